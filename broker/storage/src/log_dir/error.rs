//! What can go wrong with a log directory.

use std::io;
use std::path::PathBuf;

use thalweg_protocol::{BrokerId, ClusterId, ErrorCode, TopicPartition};

use crate::checkpoint::CheckpointError;

/// Why a log directory cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenDirError {
    /// Another process has it.
    #[error(
        "log directory {}: in use by another process; stop that one or choose another folder",
        dir.display()
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// It cannot be read or written.
    #[error(
        "log directory {}: cannot {action}: {source}; \
         it must be a folder in which this user may write", dir.display()
    )]
    Unusable {
        /// The directory.
        dir: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// It has no `meta.properties`, but other things.
    #[error(
        "log directory {}: not ours: it has no meta.properties but holds {found:?}; choose an empty folder",
        dir.display()
    )]
    NotOurs {
        /// The directory.
        dir: PathBuf,
        /// The name of something in it.
        found: String,
    },
    /// `meta.properties` is no file of ours.
    #[error(
        "log directory {}: meta.properties cannot be read: {reason}; \
         restore it from a backup, it says which directory this is", dir.display()
    )]
    Identity {
        /// The directory.
        dir: PathBuf,
        /// What is wrong, with the line.
        reason: String,
    },
    /// It belongs to another cluster.
    #[error(
        "log directory {}: belongs to cluster {found}, this broker to cluster {expected}; \
         choose the folder of this cluster", dir.display()
    )]
    OtherCluster {
        /// The directory.
        dir: PathBuf,
        /// Our cluster.
        expected: ClusterId,
        /// The directory's cluster.
        found: ClusterId,
    },
    /// It belongs to another broker.
    #[error(
        "log directory {}: belongs to broker {found}, this is broker {expected}; \
         choose this broker's folder or start with node id {found}", dir.display()
    )]
    OtherNode {
        /// The directory.
        dir: PathBuf,
        /// Our number.
        expected: BrokerId,
        /// The directory's broker.
        found: BrokerId,
    },
    /// A checkpoint is damaged.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// Why a log directory takes no change now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirRefusal {
    /// Too little free space. Reads and deletes go on; writing resumes by itself.
    #[error(
        "log directory {}: storage full: {free} bytes free, {floor} are kept free; \
         writing resumes by itself above {resume}", dir.display()
    )]
    StorageFull {
        /// The directory.
        dir: PathBuf,
        /// Free bytes when last asked.
        free: u64,
        /// The floor, in bytes.
        floor: u64,
        /// Writing resumes above so many free bytes.
        resume: u64,
    },
    /// The directory failed.
    #[error("log directory {}: offline: {reason}", dir.display())]
    Offline {
        /// The directory.
        dir: PathBuf,
        /// Why.
        reason: String,
    },
}

impl DirRefusal {
    /// The code that the client gets.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::StorageFull { .. } => ErrorCode::StorageFull,
            Self::Offline { .. } => ErrorCode::StorageOffline,
        }
    }
}

/// Why the folder of a partition cannot be made, found or removed.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The metadata says that the partition lives here, and its folder is not there.
    #[error(
        "partition {partition}: folder {} is missing; it is never made a second time, because an unmounted disk \
         must not become an empty partition: mount the disk or restore the folder, or delete the topic",
        folder.display()
    )]
    Missing {
        /// The partition.
        partition: TopicPartition,
        /// Where its folder should be.
        folder: PathBuf,
    },
    /// A new partition finds a folder of its name.
    #[error("partition {partition}: folder {} exists already", folder.display())]
    Exists {
        /// The partition.
        partition: TopicPartition,
        /// The folder.
        folder: PathBuf,
    },
    /// The directory takes no change now.
    #[error(transparent)]
    Refused(#[from] DirRefusal),
    /// The file system refused.
    #[error("partition folder {}: cannot {action}: {source}", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A checkpoint could not be written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}
