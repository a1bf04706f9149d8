//! The metadata log as the rest of the cluster room sees it: propose, hear what is committed, snapshot.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::image::{Image, MetadataIndex};
use super::record::{Record, RecordError};
use super::replay_error::ReplayError;

/// Hears of each committed entry, as the image that includes it, in order and without a gap.
pub type Subscriber = Box<dyn FnMut(Arc<Image>) + Send>;

/// A durable sequence of entries, and the image that they add up to.
///
/// Blocking: called from the metadata thread alone.
pub trait MetadataLog: Send + 'static {
    /// The image as of the last committed entry.
    fn image(&self) -> Arc<Image>;

    /// Hands every image from the next one on to `subscriber`; replaces the one before.
    fn subscribe(&mut self, subscriber: Subscriber);

    /// Appends the records as one entry: all of them or none. Answers its index once the entry is committed
    /// (durable here, or on a majority) and the subscriber has its image.
    ///
    /// After [`MetadataLogError::is_final`] errors every later proposal fails too.
    fn propose(&mut self, records: &[Record]) -> Result<MetadataIndex, MetadataLogError>;

    /// Writes the image down and drops the entries that it includes.
    fn snapshot(&mut self) -> Result<MetadataIndex, MetadataLogError>;
}

/// Why the metadata log could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum MetadataLogError {
    /// The file system refused something.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no room; nothing was changed, and it may be tried again.
    #[error("{}: no room for {bytes} bytes of metadata: {source}", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// How many bytes there was no room for.
        bytes: usize,
        /// What the file system said.
        source: io::Error,
    },
    /// Bytes that were synced are damaged. Nothing was changed.
    #[error(
        "{}: damaged at byte {position}: {reason}; the metadata is not read past this point and nothing was changed: restore the folder from a copy",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the damage begins.
        position: u64,
        /// What is wrong there.
        reason: String,
    },
    /// A file that must be there is not. Nothing was changed.
    #[error("{}: missing, but {} is there: the metadata folder is incomplete; restore it from a copy", path.display(), because.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The file that shows it was there.
        because: PathBuf,
    },
    /// The file was written by a later release. Nothing was changed.
    #[error("{}: format {found}, this release knows 1 to {known}: start the later release", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u16,
        /// The newest format that this release knows.
        known: u16,
    },
    /// An entry holds a record that this release does not understand. Nothing was changed.
    #[error("{}: entry {index}: {source}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The entry.
        index: MetadataIndex,
        /// What is wrong.
        source: RecordError,
    },
    /// An entry does not fit the image before it.
    #[error("metadata entry {index}: {source}")]
    Replay {
        /// The entry.
        index: MetadataIndex,
        /// What is wrong.
        source: ReplayError,
    },
    /// The records of one proposal are too many bytes. Nothing was changed.
    #[error(
        "a metadata entry of {bytes} bytes is larger than the limit of {bytes_max}: ask for less at once"
    )]
    TooLarge {
        /// The entry's bytes.
        bytes: usize,
        /// The most that an entry may have.
        bytes_max: usize,
    },
    /// An earlier write or sync failed: what is on disk is not known, so nothing is written any more.
    #[error(
        "the metadata log failed before and takes no more entries until the broker starts again: {first}"
    )]
    Failed {
        /// The first failure.
        first: String,
    },
}

impl MetadataLogError {
    /// Whether the log takes no more proposals.
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Full { .. } | Self::Replay { .. } | Self::TooLarge { .. })
    }
}
