//! Why a compaction run ends early.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::LogError;
use crate::log_dir::DirRefusal;

/// Why a run ended early. What it had done until then stays done.
#[derive(Debug, thiserror::Error)]
pub enum CompactionError {
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
    /// What is to be compacted is damaged. It stays as it is.
    #[error("{} at byte {position}: {reason}", path.display())]
    Corrupt {
        /// The data file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What is wrong.
        reason: String,
    },
    /// The log directory takes no change now.
    #[error(transparent)]
    Refused(#[from] DirRefusal),
    /// How far the run came could not be written down.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The caller wanted no more.
    #[error("stopped on request")]
    Stopped,
    /// Segments were deleted or cut meanwhile.
    #[error("the log was cut or deleted from meanwhile")]
    Interrupted,
    /// The log was closed meanwhile.
    #[error("the log was closed meanwhile")]
    Closed,
}

impl CompactionError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// Whether nothing is wrong with the log: the next run may go better at once.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Stopped | Self::Interrupted | Self::Closed)
    }
}
