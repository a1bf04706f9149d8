//! What can go wrong with a log: one enum for each family of operations, each with its wire code.
//!
//! Owns the errors of opening, appending and reading. An error says what was tried, where, and with which
//! numbers; what a full disk and what a broken disk answers is decided here and nowhere else.

use std::io;
use std::path::{Path, PathBuf};

use thalweg_protocol::batch::BatchError;
use thalweg_protocol::{ErrorCode, Offset};

use crate::checkpoint::CheckpointError;
use crate::epoch::EpochError;
use crate::log_dir::{DirRefusal, FolderError};
use crate::producer::SequenceError;

/// Why a log could not be created, opened, rolled, cut or closed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system refused.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The file system is full.
    #[error("{action} {}: storage full", path.display())]
    StorageFull {
        /// What was tried.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
    },
    /// The log directory takes no change now.
    #[error(transparent)]
    Refused(#[from] DirRefusal),
    /// The partition's folder is missing, or cannot be made.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A checkpoint of the log directory could not be written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The partition's folder is there, but none of its data files.
    #[error(
        "{}: no data file is left, though everything below offset {recovery_point} was on stable storage; \
         bring the files back, or delete the topic", path.display()
    )]
    Emptied {
        /// The folder.
        path: PathBuf,
        /// What had been synced.
        recovery_point: Offset,
    },
    /// The folder belongs to another topic, or its `partition.metadata` cannot be read.
    #[error("{}: {reason}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An offset lies outside the log.
    #[error("cannot {action} at offset {offset}: the log holds {log_start} to {log_end}")]
    OutOfRange {
        /// What was tried.
        action: &'static str,
        /// The offset asked for.
        offset: Offset,
        /// The first offset of the log.
        log_start: Offset,
        /// The offset after its last record.
        log_end: Offset,
    },
}

impl LogError {
    /// An error of the file system while doing `action`; want of space becomes its own kind.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        if is_full(&source) {
            Self::StorageFull { action, path: path.to_owned() }
        } else {
            Self::Io { action, path: path.to_owned(), source }
        }
    }

    /// The code that a client gets.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::StorageFull { .. } => ErrorCode::StorageFull,
            Self::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::Refused(refusal) => refusal.code(),
            _ => ErrorCode::StorageOffline,
        }
    }
}

/// Why a batch was not appended; unless it says otherwise, nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The batch itself is not valid.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The batch does not follow what its producer wrote last.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// The batch carries an older leader epoch than the log's last one.
    #[error(transparent)]
    Epoch(#[from] EpochError),
    /// The batch is larger than any segment may be.
    #[error("a batch of {bytes} bytes does not fit into a segment of {bytes_max}")]
    TooLarge {
        /// The batch's size.
        bytes: usize,
        /// What a batch may have.
        bytes_max: usize,
    },
    /// A replicated batch does not begin where the log ends.
    #[error("replicated batch begins at offset {found}, the log ends at {expected}")]
    OutOfOrder {
        /// The log end.
        expected: Offset,
        /// The batch's base offset.
        found: Offset,
    },
    /// The log directory takes no writes now, for want of space or since it failed.
    #[error(transparent)]
    Refused(#[from] DirRefusal),
    /// The file system is full. The log end stands where it stood.
    #[error("{}: storage full at offset {at}", path.display())]
    StorageFull {
        /// The segment's file.
        path: PathBuf,
        /// The log end.
        at: Offset,
    },
    /// This very write failed and took the log directory offline.
    #[error("{}: cannot append at offset {at}, log directory is offline: {reason}", path.display())]
    Offline {
        /// The segment's file.
        path: PathBuf,
        /// The log end.
        at: Offset,
        /// Why the directory went offline.
        reason: String,
    },
    /// Offsets have come to their end.
    #[error("{count} records do not fit behind offset {at}")]
    OffsetsExhausted {
        /// The log end.
        at: Offset,
        /// Records in the batch.
        count: i32,
    },
}

impl AppendError {
    /// The code that a client gets.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Batch(error) => error.code(),
            Self::Sequence(error) => error.code(),
            Self::Epoch(_) => ErrorCode::FencedLeaderEpoch,
            Self::TooLarge { .. } => ErrorCode::BatchTooLarge,
            Self::OutOfOrder { .. } | Self::OffsetsExhausted { .. } => ErrorCode::InvalidRequest,
            Self::Refused(refusal) => refusal.code(),
            Self::StorageFull { .. } => ErrorCode::StorageFull,
            Self::Offline { .. } => ErrorCode::StorageOffline,
        }
    }
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset is below the log start or above the log end.
    #[error("offset {offset} is out of range: the log holds {log_start} to {log_end}")]
    OutOfRange {
        /// The offset asked for.
        offset: Offset,
        /// The first offset of the log.
        log_start: Offset,
        /// The offset after its last record.
        log_end: Offset,
    },
    /// The bytes at this offset are damaged.
    #[error("{}: damaged from offset {from} on; the next good offset is {next_good}", path.display())]
    Corrupt {
        /// The segment's file.
        path: PathBuf,
        /// The first offset that cannot be read.
        from: Offset,
        /// Where reading can go on; the log end if nothing good follows.
        next_good: Offset,
    },
    /// The file system refused.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

impl ReadError {
    /// An error of the file system while doing `action`.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// The code that a client gets.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::Corrupt { .. } => ErrorCode::Corrupt,
            Self::Io { .. } => ErrorCode::StorageOffline,
        }
    }
}

/// Whether the file system has no room left (for us, or at all).
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
