//! Opening a log directory, and what every log in it asks of it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use thalweg_protocol::{BrokerId, ClusterId, DirectoryId};

use super::checkpoints::{CLEAN_FILE, read_clean_mark};
use super::error::OpenDirError;
use super::identity::{self, Identity};
use super::points::{Kind, Points};
use super::reserve::{self, Reserve};
use super::state::{Gate, lock};
use crate::checkpoint::CheckpointError;
use crate::deleted::DeletedFiles;
use crate::folder::FolderName;
use crate::fs::FileSystem;
use crate::names::Names;
use crate::open_files::OpenFiles;

const LOCK_FILE: &str = ".lock";
const PROBE_FILE: &str = ".probe";
/// The broker's metadata may live beside the partitions.
const METADATA_FOLDER: &str = "metadata";

/// Whose directory it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// This broker.
    pub node: BrokerId,
    /// Its cluster, when it is known already.
    pub cluster: Option<ClusterId>,
}

/// What a log directory holds itself to.
#[derive(Clone, Debug)]
pub struct LogDirOptions {
    /// Writes stop when less is free, in bytes.
    pub free_bytes_min: u64,
    /// Blocks set aside for checkpoints and deletes on a full disk, in bytes; 0 for none.
    pub reserve_bytes: u64,
    /// The process's table of open files.
    pub open_files: Arc<OpenFiles>,
}

/// One disk. All methods may be called from any thread.
pub struct LogDir {
    pub(super) path: PathBuf,
    pub(super) fs: Arc<dyn FileSystem>,
    pub(super) options: LogDirOptions,
    identity: Mutex<Identity>,
    is_new: bool,
    was_clean: bool,
    ignored: Vec<CheckpointError>,
    pub(super) gate: Gate,
    /// Held while the clean mark is removed or written.
    pub(super) mark: Mutex<()>,
    pub(super) reserve: Reserve,
    deleted: Arc<DeletedFiles>,
    /// Which names of folders are on stable storage.
    pub(super) names: Names,
    /// Held while they are brought there.
    pub(super) syncing_names: Mutex<()>,
    pub(super) recovery_points: Points,
    pub(super) log_starts: Points,
    pub(super) high_watermarks: Points,
    pub(super) last_appends: Points,
    /// Other processes stay out as long as this lives.
    _lock: Box<dyn Send + Sync>,
}

impl LogDir {
    /// Opens the folder at `path` for `owner`; makes it when it is missing or empty.
    pub fn open(
        fs: Arc<dyn FileSystem>,
        path: &Path,
        owner: &Owner,
        options: LogDirOptions,
    ) -> Result<Arc<Self>, OpenDirError> {
        make_folder(&*fs, path).map_err(|source| unusable(path, "create it", source))?;
        if Identity::load(&*fs, path)?.is_none() {
            // Before the lock file appears in a stranger's folder.
            refuse_strangers(&*fs, path)?;
        }
        let guard = fs.lock(&path.join(LOCK_FILE)).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => OpenDirError::Locked { dir: path.to_owned() },
            _ => unusable(path, "lock it", source),
        })?;
        probe(&*fs, path).map_err(|source| unusable(path, "write a file in it", source))?;
        // After a kill the page cache shows names that a power cut would take back: what is believed of them
        // below must not change any more.
        fs.sync_folder(path).map_err(|source| unusable(path, "sync it", source))?;
        let (identity, is_new) = identify(&*fs, path, owner)?;
        let mut ignored = Vec::new();
        let dir = Self {
            recovery_points: Points::load(&*fs, path, Kind::RecoveryPoint)?,
            log_starts: Points::load(&*fs, path, Kind::LogStart)?,
            high_watermarks: Points::load_or_none(&*fs, path, Kind::HighWatermark, &mut ignored)?,
            last_appends: Points::load_or_none(&*fs, path, Kind::LastAppend, &mut ignored)?,
            path: path.to_owned(),
            reserve: Reserve::new(path, options.reserve_bytes),
            was_clean: read_clean_mark(&*fs, path, identity.directory),
            gate: Gate::new(fs.exists(&path.join(CLEAN_FILE))),
            identity: Mutex::new(identity),
            is_new,
            ignored,
            deleted: Arc::default(),
            names: Names::default(),
            syncing_names: Mutex::new(()),
            mark: Mutex::new(()),
            options,
            _lock: guard,
            fs,
        };
        dir.set_cluster(owner.cluster)?;
        dir.reserve.fill(&*dir.fs);
        dir.check_space();
        Ok(Arc::new(dir))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file system that it lies on.
    pub fn fs(&self) -> &Arc<dyn FileSystem> {
        &self.fs
    }

    /// The process's table of open files.
    pub fn open_files(&self) -> &Arc<OpenFiles> {
        &self.options.open_files
    }

    pub(crate) const fn deleted_files(&self) -> &Arc<DeletedFiles> {
        &self.deleted
    }

    /// Bytes of deleted segments that readers still hold: the disk gives them back when the last slice has left.
    pub fn pinned_bytes(&self) -> u64 {
        self.deleted.pinned_bytes()
    }

    /// Whose it is.
    pub fn identity(&self) -> Identity {
        *lock(&self.identity)
    }

    /// Its name in the metadata.
    pub fn directory_id(&self) -> DirectoryId {
        self.identity().directory
    }

    /// Whether this start made it: no replica can be expected here.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether the last stop was clean: every log in it was synced and closed.
    pub fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// Damaged checkpoints that the start went on without, because what they say is found out again: to be
    /// logged.
    pub fn ignored(&self) -> &[CheckpointError] {
        &self.ignored
    }

    /// Makes the cluster known, durably, if it was not; refuses another one.
    pub fn set_cluster(&self, cluster: Option<ClusterId>) -> Result<(), OpenDirError> {
        let mut identity = lock(&self.identity);
        let node = identity.node;
        identity.check(&Owner { node, cluster }, &self.path)?;
        if cluster.is_some() && identity.cluster.is_none() {
            let known = Identity { cluster, ..*identity };
            known.store(&*self.fs, &self.path)?;
            *identity = known;
        }
        Ok(())
    }
}

impl fmt::Debug for LogDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogDir")
            .field("path", &self.path)
            .field("identity", &self.identity())
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}

/// Whether a name in the log directory is ours, partitions' folders apart.
pub(super) fn is_known(name: &str) -> bool {
    let name = name.strip_suffix(".tmp").unwrap_or(name);
    let fixed = [LOCK_FILE, PROBE_FILE, CLEAN_FILE, reserve::FILE, identity::FILE, METADATA_FOLDER];
    // The root of an ext4 file system has the last one.
    fixed.contains(&name) || name.ends_with(".checkpoint") || name == "lost+found"
}

fn unusable(dir: &Path, action: &'static str, source: io::Error) -> OpenDirError {
    OpenDirError::Unusable { dir: dir.to_owned(), action, source }
}

/// Makes the folder and those above it that are missing, durably.
fn make_folder(fs: &dyn FileSystem, path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|it| !it.as_os_str().is_empty() && !fs.exists(it)).collect();
    fs.create_folder(path)?;
    for made in missing {
        match made.parent() {
            Some(parent) if parent.as_os_str().is_empty() => fs.sync_folder(Path::new("."))?,
            Some(parent) => fs.sync_folder(parent)?,
            None => {}
        }
    }
    Ok(())
}

/// Whose the folder is, and whether it was made just now.
fn identify(
    fs: &dyn FileSystem,
    path: &Path,
    owner: &Owner,
) -> Result<(Identity, bool), OpenDirError> {
    if let Some(identity) = Identity::load(fs, path)? {
        identity.check(owner, path)?;
        return Ok((identity, false));
    }
    let Owner { node, cluster } = *owner;
    let identity = Identity { node, directory: DirectoryId::random(), cluster };
    identity.store(fs, path)?;
    Ok((identity, true))
}

/// A folder without `meta.properties` must be empty, but for what a crash before the file leaves.
fn refuse_strangers(fs: &dyn FileSystem, dir: &Path) -> Result<(), OpenDirError> {
    let listed = fs.list(dir).map_err(|source| unusable(dir, "list it", source))?;
    for path in listed {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let expected = is_known(&name) && !name.ends_with(".checkpoint") && name != CLEAN_FILE;
        if !expected || FolderName::parse(&name).is_some() {
            return Err(OpenDirError::NotOurs { dir: dir.to_owned(), found: name });
        }
    }
    Ok(())
}

/// Writes a file and removes it: better to hear of a read-only disk now than at the first append.
fn probe(fs: &dyn FileSystem, dir: &Path) -> io::Result<()> {
    let file = dir.join(PROBE_FILE);
    if fs.exists(&file) {
        fs.remove(&file)?;
    }
    drop(fs.create(&file)?);
    fs.remove(&file)
}
