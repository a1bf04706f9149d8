//! The metadata folder: which files count, what a crash between two pairs leaves, how a file gets there.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use thalweg_storage::fs::{File, FileSystem};

use super::image::MetadataIndex;
use super::metadata_log::MetadataLogError;
use super::stored::LOG_HEAD_BYTES;

/// The digits of a file's name.
const DIGITS: usize = 20;

/// The suffix of a file that is not in place yet.
const ASIDE: &str = "tmp";

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    Snapshot,
    Log,
}

impl Extension {
    const fn text(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Log => "log",
        }
    }
}

/// The pair that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The last index of the snapshot; 0 without one.
    pub(super) base: MetadataIndex,
    /// Whether there is a snapshot. Without one the log begins with the first entry of all.
    pub(super) snapshot: bool,
    /// Whether there is a log file; without one it never held an entry.
    pub(super) log: bool,
}

/// `<20 digits>.<extension>` in `folder`.
pub(super) fn path(folder: &Path, base: MetadataIndex, extension: Extension) -> PathBuf {
    folder.join(format!("{:0DIGITS$}.{}", base.get(), extension.text()))
}

/// The same file before it is in place.
pub(super) fn aside(folder: &Path, base: MetadataIndex, extension: Extension) -> PathBuf {
    folder.join(format!("{:0DIGITS$}.{}.{ASIDE}", base.get(), extension.text()))
}

/// What a path says, if it names a file that is in place.
pub(super) fn parse(path: &Path) -> Option<(MetadataIndex, Extension)> {
    let (digits, extension) = path.file_name()?.to_str()?.split_once('.')?;
    if digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let base = MetadataIndex::new(digits.parse().ok()?);
    let known = [Extension::Snapshot, Extension::Log];
    let extension = known.into_iter().find(|known| known.text() == extension)?;
    Some((base, extension))
}

/// Chooses the pair. What a crash can leave while the next pair N takes the place of M, as renames reach the
/// disk in any order:
///
/// | there is | so |
/// |---|---|
/// | nothing | a new folder |
/// | M, and N's log without entries | M counts: nobody has written to N yet |
/// | M, and N's snapshot | N counts, its log is made again: M is removed only after both names were synced |
/// | M and N | N counts |
/// | N's snapshot alone | refused: its log was removed by somebody |
/// | a log with entries without its snapshot | refused: its snapshot was removed by somebody |
pub(super) fn find(files: &dyn FileSystem, folder: &Path) -> Result<Found, MetadataLogError> {
    let list = |source| MetadataLogError::Io { action: "list", path: folder.to_owned(), source };
    let (mut snapshots, mut logs) = (BTreeSet::new(), BTreeSet::new());
    for (base, extension) in files.list(folder).map_err(list)?.iter().filter_map(|path| parse(path))
    {
        match extension {
            Extension::Snapshot => snapshots.insert(base),
            Extension::Log => logs.insert(base),
        };
    }
    let snapshot = snapshots.last().copied();
    let base = snapshot.unwrap_or(MetadataIndex::ZERO);
    let log = logs.contains(&base);
    for later in logs.range(base.next()..) {
        refuse_orphan(files, folder, *later)?;
    }
    // Before the first snapshot, the first log is there from the begin; a later one proves that.
    let older = logs.range(..base).next();
    let because = match snapshot {
        Some(base) if older.is_none() => Some(path(folder, base, Extension::Snapshot)),
        None => logs.first().map(|base| path(folder, *base, Extension::Log)),
        Some(_) => None,
    };
    match because {
        Some(because) if !log => {
            Err(MetadataLogError::Missing { path: path(folder, base, Extension::Log), because })
        }
        _ => Ok(Found { base, snapshot: snapshot.is_some(), log }),
    }
}

/// Refuses a log that holds entries on top of a snapshot that is not there.
fn refuse_orphan(
    files: &dyn FileSystem,
    folder: &Path,
    base: MetadataIndex,
) -> Result<(), MetadataLogError> {
    let log = path(folder, base, Extension::Log);
    let length = files.open(&log).and_then(|file| file.length());
    match length.map(usize::try_from) {
        Ok(Ok(length)) if length <= LOG_HEAD_BYTES => Ok(()),
        Ok(_) => Err(MetadataLogError::Missing {
            path: path(folder, base, Extension::Snapshot),
            because: log,
        }),
        Err(source) => Err(MetadataLogError::Io { action: "measure", path: log, source }),
    }
}

/// Removes every other pair and what is not in place; strangers' files stay.
pub(super) fn remove_others(
    files: &dyn FileSystem,
    folder: &Path,
    base: MetadataIndex,
) -> io::Result<()> {
    for path in files.list(folder)? {
        let is_aside = path.extension().is_some_and(|extension| extension == ASIDE);
        if is_aside || parse(&path).is_some_and(|(other, _)| other != base) {
            files.remove(&path)?;
        }
    }
    Ok(())
}

/// Makes the folder if there is none; its name is on stable storage afterwards. The folder above must be.
pub(super) fn make(files: &dyn FileSystem, folder: &Path) -> Result<(), MetadataLogError> {
    if !files.exists(folder) {
        io(folder, "create the folder", files.create_folder(folder))?;
    }
    // Also when it was there: a process that died may have left the name in the cache.
    match folder.parent() {
        Some(parent) => io(parent, "sync the names in", files.sync_folder(parent)),
        None => Ok(()),
    }
}

/// Writes a new file under another name and syncs it.
pub(super) fn write_aside(
    files: &dyn FileSystem,
    folder: &Path,
    base: MetadataIndex,
    extension: Extension,
    bytes: &Bytes,
) -> Result<Arc<dyn File>, MetadataLogError> {
    let path = aside(folder, base, extension);
    if files.exists(&path) {
        io(&path, "remove", files.remove(&path))?;
    }
    let full_or = |source: io::Error, action| match source.kind() {
        io::ErrorKind::StorageFull => {
            MetadataLogError::Full { path: path.clone(), bytes: bytes.len(), source }
        }
        _ => MetadataLogError::Io { action, path: path.clone(), source },
    };
    let file = files.create(&path).map_err(|source| full_or(source, "create"))?;
    file.write_at(0, &[bytes]).map_err(|source| full_or(source, "write"))?;
    io(&path, "sync", file.sync())?;
    Ok(file)
}

/// Gives it its name; the caller syncs the folder.
pub(super) fn put_in_place(
    files: &dyn FileSystem,
    folder: &Path,
    base: MetadataIndex,
    extension: Extension,
) -> Result<(), MetadataLogError> {
    let (from, to) = (aside(folder, base, extension), path(folder, base, extension));
    io(&from, "rename", files.rename(&from, &to))
}

/// Says what was tried, and on what.
pub(super) fn io<T>(
    path: &Path,
    action: &'static str,
    result: io::Result<T>,
) -> Result<T, MetadataLogError> {
    result.map_err(|source| MetadataLogError::Io { action, path: path.to_owned(), source })
}
