//! The metadata log of a broker that is alone: a snapshot and a log file in one folder.
//!
//! ```text
//!     metadata/00000000000000000412.snapshot    the image as of entry 412
//!     metadata/00000000000000000412.log         entries 413, 414, … one synced after the other
//! ```
//! A new folder begins with `00000000000000000000.log` alone. Once the log is large, the next pair is made
//! under other names, synced, renamed, and the names are synced; only then the old pair is removed.
//!
//! Invariants: nothing is answered before it was synced; an entry is written only after the one before was
//! synced; after a failed write or sync nothing is written any more, since what is on disk is not known.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use thalweg_storage::fs::{File, FileSystem};

use super::image::{Image, MetadataIndex, Term};
use super::log_folder::{self, Extension, Found, io, put_in_place, write_aside};
use super::metadata_log::{MetadataLog, MetadataLogError, Subscriber};
use super::record::Record;
use super::stored::{self, ENTRY_BYTES_MAX, FORMAT, LOG_HEAD_BYTES, StoredError};

/// The most bytes of one file that are read into memory.
const FILE_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Blocks are reserved ahead in steps of so many bytes, so that a delete still finds room on a full disk.
const RESERVE_BYTES: u64 = 64 * 1024;

/// How the log of a broker that is alone is kept.
#[derive(Clone, Debug)]
pub struct FileMetadataLogOptions {
    /// The folder; it is made if there is none.
    pub folder: PathBuf,
    /// Once the log file has so many bytes, a snapshot takes its place.
    pub snapshot_log_bytes: u64,
}

/// The metadata log in files. Belongs to one thread, and to one process (the log directory's lock sees to
/// that).
pub struct FileMetadataLog {
    files: Arc<dyn FileSystem>,
    options: FileMetadataLogOptions,
    image: Arc<Image>,
    subscriber: Option<Subscriber>,
    /// The log file and its path.
    file: Arc<dyn File>,
    path: PathBuf,
    /// Where the next entry goes.
    end: u64,
    /// Blocks are reserved up to here.
    reserved: u64,
    /// The file is large enough for a snapshot from here on.
    snapshot_at: u64,
    failed: Option<String>,
}

impl FileMetadataLog {
    /// Opens the folder, or makes it. A torn tail is cut off; damage is refused and nothing is changed.
    pub fn open(
        files: Arc<dyn FileSystem>,
        options: FileMetadataLogOptions,
    ) -> Result<Self, MetadataLogError> {
        let folder = options.folder.clone();
        log_folder::make(files.as_ref(), &folder)?;
        let found = log_folder::find(files.as_ref(), &folder)?;
        // A process that died between a rename and the sync of the names may have left them in the cache.
        io(&folder, "sync the names in", files.sync_folder(&folder))?;
        let image = read_snapshot(files.as_ref(), &folder, &found)?;
        let path = log_folder::path(&folder, found.base, Extension::Log);
        let mut log = Self {
            file: open_log_file(&files, &path, &folder, &found)?,
            files,
            options,
            image: Arc::new(image),
            subscriber: None,
            path,
            end: 0,
            reserved: 0,
            snapshot_at: 0,
            failed: None,
        };
        log.snapshot_at = log.options.snapshot_log_bytes;
        log.recover(found.base)?;
        log.remove_others(found.base);
        Ok(log)
    }

    /// Reads the log file into the image and cuts off a torn tail.
    fn recover(&mut self, base: MetadataIndex) -> Result<(), MetadataLogError> {
        let read = self.files.read_small(&self.path, FILE_BYTES_MAX);
        let bytes = Bytes::from(io(&self.path, "read", read)?);
        let content =
            stored::decode_log(&bytes, base).map_err(|error| refuse(&self.path, error))?;
        let mut image = Image::clone(&self.image);
        for entry in &content.entries {
            let index = entry.index;
            image = image
                .with_entry(index, entry.term, &entry.records)
                .map_err(|source| MetadataLogError::Replay { index, source })?;
        }
        self.image = Arc::new(image);
        self.end = position(content.last.end);
        if content.last.end < bytes.len() {
            let torn = bytes.len() - content.last.end;
            tracing::warn!(file = %self.path.display(), at = self.end, torn, "cut a torn tail off");
            io(&self.path, "cut", self.file.set_length(self.end))?;
        }
        // A sync may have failed in the life before: then the last entry's pages look clean and were never
        // written. They are written again before anybody believes them; all earlier ones were synced.
        if let Some(last) = bytes.get(content.last.clone()) {
            let start = position(content.last.start);
            io(&self.path, "write the last entry of", self.file.write_at(start, &[last]))?;
        }
        io(&self.path, "sync", self.file.sync())
    }

    /// Writes one entry and syncs it.
    fn append(&mut self, entry: &Bytes) -> Result<(), MetadataLogError> {
        let end = self.end + position(entry.len());
        self.reserve(end, entry.len())?;
        let written = self.file.write_at(self.end, &[entry]);
        if let Err(source) = written {
            return Err(self.write_failed(source, entry.len()));
        }
        if let Err(source) = self.file.sync() {
            return Err(self.fail("sync", source));
        }
        self.end = end;
        Ok(())
    }

    /// Makes sure that there are blocks for what is written up to `end`.
    fn reserve(&mut self, end: u64, bytes: usize) -> Result<(), MetadataLogError> {
        if end <= self.reserved {
            return Ok(());
        }
        let wanted = end.next_multiple_of(RESERVE_BYTES) + RESERVE_BYTES;
        // When there is no room for the step ahead, there may still be room for this entry.
        for up_to in [wanted, end] {
            match self.file.preallocate(up_to) {
                Ok(()) => {
                    self.reserved = up_to;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
                // Some file systems cannot reserve: the write itself finds out.
                Err(_) => return Ok(()),
            }
        }
        let source = io::Error::from(io::ErrorKind::StorageFull);
        Err(MetadataLogError::Full { path: self.path.clone(), bytes, source })
    }

    /// No room is no reason to stop, if what was half written can be cut off again.
    fn write_failed(&mut self, source: io::Error, bytes: usize) -> MetadataLogError {
        if source.kind() == io::ErrorKind::StorageFull && self.file.set_length(self.end).is_ok() {
            return MetadataLogError::Full { path: self.path.clone(), bytes, source };
        }
        self.fail("write", source)
    }

    /// Remembers a failure after which nothing is written any more.
    fn fail(&mut self, action: &'static str, source: io::Error) -> MetadataLogError {
        let error = MetadataLogError::Io { action, path: self.path.clone(), source };
        tracing::error!(%error, "the metadata log takes no more entries");
        self.failed = Some(error.to_string());
        error
    }

    fn check_alive(&self) -> Result<(), MetadataLogError> {
        match &self.failed {
            Some(first) => Err(MetadataLogError::Failed { first: first.clone() }),
            None => Ok(()),
        }
    }

    /// Makes the next pair of files and goes on in it.
    fn change_over(&mut self) -> Result<(), MetadataLogError> {
        let base = self.image.index();
        let (files, folder) = (self.files.as_ref(), self.options.folder.clone());
        let snapshot = stored::encode_snapshot(&self.image);
        write_aside(files, &folder, base, Extension::Snapshot, &snapshot)?;
        let head = stored::encode_log_head(base);
        let file = write_aside(files, &folder, base, Extension::Log, &head)?;
        for extension in [Extension::Log, Extension::Snapshot] {
            put_in_place(files, &folder, base, extension)?;
        }
        io(&folder, "sync the names in", files.sync_folder(&folder))?;
        self.file = file;
        self.path = log_folder::path(&folder, base, Extension::Log);
        self.end = position(LOG_HEAD_BYTES);
        self.reserved = 0;
        self.remove_others(base);
        Ok(())
    }

    /// Removes what is not of the pair `base`; what cannot be removed is left for the next time.
    fn remove_others(&self, base: MetadataIndex) {
        if let Err(error) =
            log_folder::remove_others(self.files.as_ref(), &self.options.folder, base)
        {
            tracing::warn!(%error, "old metadata files are left behind");
        }
    }
}

impl MetadataLog for FileMetadataLog {
    fn image(&self) -> Arc<Image> {
        Arc::clone(&self.image)
    }

    fn subscribe(&mut self, subscriber: Subscriber) {
        self.subscriber = Some(subscriber);
    }

    fn propose(&mut self, records: &[Record]) -> Result<MetadataIndex, MetadataLogError> {
        self.check_alive()?;
        let (index, term) = (self.image.index().next(), Term::FIRST);
        let next = self
            .image
            .with_entry(index, term, records)
            .map_err(|source| MetadataLogError::Replay { index, source })?;
        let entry = stored::encode_entry(index, term, records);
        if entry.len() > ENTRY_BYTES_MAX {
            return Err(MetadataLogError::TooLarge {
                bytes: entry.len(),
                bytes_max: ENTRY_BYTES_MAX,
            });
        }
        self.append(&entry)?;
        self.image = Arc::new(next);
        if let Some(subscriber) = &mut self.subscriber {
            subscriber(Arc::clone(&self.image));
        }
        if self.end >= self.snapshot_at
            && let Err(error) = self.snapshot()
        {
            // The entry itself is safe. Trouble that lasts shows with the next proposal.
            tracing::warn!(%error, "no metadata snapshot");
        }
        Ok(index)
    }

    fn snapshot(&mut self) -> Result<MetadataIndex, MetadataLogError> {
        self.check_alive()?;
        if log_folder::path(&self.options.folder, self.image.index(), Extension::Log) == self.path {
            return Ok(self.image.index());
        }
        let step = self.options.snapshot_log_bytes;
        match self.change_over() {
            Ok(()) => {
                self.snapshot_at = step;
                Ok(self.image.index())
            }
            // Without room the old pair is still whole: go on with it for a while.
            Err(error @ MetadataLogError::Full { .. }) => {
                self.snapshot_at = self.end + step;
                if let Some((base, _)) = log_folder::parse(&self.path) {
                    self.remove_others(base);
                }
                Err(error)
            }
            Err(error) => {
                self.failed = Some(error.to_string());
                Err(error)
            }
        }
    }
}

impl fmt::Debug for FileMetadataLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileMetadataLog")
            .field("path", &self.path)
            .field("index", &self.image.index())
            .field("end", &self.end)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

fn read_snapshot(
    files: &dyn FileSystem,
    folder: &Path,
    found: &Found,
) -> Result<Image, MetadataLogError> {
    if !found.snapshot {
        return Ok(Image::default());
    }
    let path = log_folder::path(folder, found.base, Extension::Snapshot);
    let bytes = Bytes::from(io(&path, "read", files.read_small(&path, FILE_BYTES_MAX))?);
    stored::decode_snapshot(&bytes, found.base).map_err(|error| refuse(&path, error))
}

/// Opens the log file that goes on from the snapshot, or makes it when it cannot have held anything yet.
fn open_log_file(
    files: &Arc<dyn FileSystem>,
    path: &Path,
    folder: &Path,
    found: &Found,
) -> Result<Arc<dyn File>, MetadataLogError> {
    if found.log {
        return io(path, "open", files.open(path));
    }
    let head = stored::encode_log_head(found.base);
    let file = write_aside(files.as_ref(), folder, found.base, Extension::Log, &head)?;
    put_in_place(files.as_ref(), folder, found.base, Extension::Log)?;
    io(folder, "sync the names in", files.sync_folder(folder))?;
    Ok(file)
}

fn refuse(path: &Path, error: StoredError) -> MetadataLogError {
    let path = path.to_owned();
    match error {
        StoredError::Damaged { position: at, reason } => {
            MetadataLogError::Corrupt { path, position: position(at), reason }
        }
        StoredError::Format { found } => MetadataLogError::Format { path, found, known: FORMAT },
        StoredError::Record { index, source } => MetadataLogError::Record { path, index, source },
        StoredError::Replay { index, source } => MetadataLogError::Replay { index, source },
    }
}

/// A position in a file that was in memory.
fn position(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("what fits into memory is below 2^64 bytes")
}
