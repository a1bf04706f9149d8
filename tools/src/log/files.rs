//! Which files a path means, and what each one is by its name and first bytes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thalweg_storage::{EPOCH_FILE, FileKind, FileName, METADATA_FILE};

use crate::failure::Failure;

/// A small file is read at once; a larger one of its name is no such file.
const SMALL_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Named by an offset; a name that is no offset has none.
    Named(FileKind, Option<i64>),
    MetadataLog,
    MetadataSnapshot,
    Epochs,
    PartitionMetadata,
    Identity,
    /// A checkpoint in Thalweg's frame.
    Checkpoint,
    /// A text that Kafka keeps beside its logs.
    KafkaText,
    Unknown,
}

/// What the file at `path` is.
pub(super) fn what(path: &Path) -> What {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match name {
        EPOCH_FILE => return What::Epochs,
        METADATA_FILE => return What::PartitionMetadata,
        "meta.properties" => return What::Identity,
        "clean-stop" => return What::Checkpoint,
        _ if name.ends_with(".checkpoint") => return What::Checkpoint,
        _ if name.ends_with("-checkpoint") => return What::KafkaText,
        _ => {}
    }
    let kind = match FileName::parse(name) {
        Some(parsed) => Some((parsed.kind, Some(parsed.offset.get()))),
        // A file that somebody copied under another name still says what it is at its end.
        None => FileKind::ALL
            .into_iter()
            .find(|kind| name.ends_with(kind.suffix()))
            .map(|kind| (kind, None)),
    };
    match (kind, magic(path)) {
        (Some((FileKind::Log, _)), Some(magic)) if magic == *b"THLWMLOG" => What::MetadataLog,
        (Some((FileKind::Snapshot, _)), Some(magic)) if magic == *b"THLWMSNP" => {
            What::MetadataSnapshot
        }
        (Some((kind, offset)), _) => What::Named(kind, offset),
        (None, _) => What::Unknown,
    }
}

fn magic(path: &Path) -> Option<[u8; 8]> {
    let mut magic = [0; 8];
    File::open(path).ok()?.read_exact(&mut magic).ok()?;
    Some(magic)
}

/// All files that `path` means, by name: itself, or everything below a folder but hidden files.
pub(super) fn below(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed =
        |error: io::Error| Failure::failed(format!("cannot read {}: {error}", path.display()));
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries: Vec<(PathBuf, fs::FileType)> = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        entries.push((entry.path(), entry.file_type().map_err(failed)?));
    }
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut files = Vec::new();
    for (path, kind) in entries {
        let is_hidden =
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        match () {
            () if is_hidden => {}
            () if kind.is_dir() => files.extend(below(&path)?),
            () if kind.is_file() => files.push(path),
            () => {}
        }
    }
    Ok(files)
}

/// The bytes of a small file.
pub(super) fn read_small(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed =
        |error: io::Error| Failure::failed(format!("cannot read {}: {error}", path.display()));
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(SMALL_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(failed)?;
    Ok(bytes)
}

/// A file's length.
pub(super) fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}
