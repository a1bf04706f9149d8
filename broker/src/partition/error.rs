//! Why a partition refuses or fails, with the code that a client acts on.

use thalweg_protocol::batch::BatchError;
use thalweg_protocol::{BrokerId, ErrorCode, LeaderEpoch, Offset, TopicPartition};
use thalweg_storage::checkpoint::CheckpointError;
use thalweg_storage::{AppendError, LogError, ReadError};

/// Why a partition did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum PartitionError {
    /// The topic is not there, or this broker has not heard of it.
    #[error("there is no topic with id {}", at.topic)]
    UnknownTopic {
        /// What was asked for.
        at: TopicPartition,
    },
    /// The topic has fewer partitions.
    #[error("topic {} has no partition {}", at.topic, at.partition)]
    UnknownPartition {
        /// What was asked for.
        at: TopicPartition,
    },
    /// Another broker leads, or nobody does.
    #[error("{name}: this broker does not lead; broker {leader} does in epoch {epoch}")]
    NotLeader {
        /// The partition.
        name: String,
        /// Who leads, as far as this broker knows, or -1.
        leader: BrokerId,
        /// In which epoch.
        epoch: LeaderEpoch,
    },
    /// The request names an older epoch.
    #[error(
        "{name}: leader epoch {found} is over, the current one is {current}; refresh the metadata"
    )]
    FencedEpoch {
        /// The partition.
        name: String,
        /// The request's epoch.
        found: LeaderEpoch,
        /// The leader's epoch.
        current: LeaderEpoch,
    },
    /// The request names a newer epoch.
    #[error("{name}: leader epoch {found} is not known here yet, the current one is {current}")]
    UnknownEpoch {
        /// The partition.
        name: String,
        /// The request's epoch.
        found: LeaderEpoch,
        /// The leader's epoch.
        current: LeaderEpoch,
    },
    /// The in-sync set is too small to commit anything.
    #[error(
        "{name}: {in_sync} replicas are in sync, min.insync.replicas asks for {needed}; nothing was written"
    )]
    NotEnoughReplicas {
        /// The partition.
        name: String,
        /// How many are in sync.
        in_sync: usize,
        /// How many must be.
        needed: usize,
    },
    /// The reader's log and this one part below the asked offset.
    #[error("{name}: the log was cut; epoch {epoch} ends at offset {end} here, resume there")]
    Truncated {
        /// The partition.
        name: String,
        /// The last epoch that both share.
        epoch: LeaderEpoch,
        /// Where it ends here.
        end: Offset,
    },
    /// The offset lies outside of what can be read.
    #[error(
        "{name}: offset {offset} is out of range; the log holds {log_start} to {high_watermark}"
    )]
    OutOfRange {
        /// The partition.
        name: String,
        /// The offset asked for.
        offset: Offset,
        /// The first offset that can be read.
        log_start: Offset,
        /// Readers see what is below.
        high_watermark: Offset,
    },
    /// The replica's disk or folder is gone, or a fault left it unusable.
    #[error("{name}: offline: {reason}")]
    Offline {
        /// The partition.
        name: String,
        /// Why.
        reason: String,
    },
    /// The batch is not valid.
    #[error("{name}: {error}")]
    Batch {
        /// The partition.
        name: String,
        /// What is wrong with it.
        error: BatchError,
    },
    /// The batch inflates to much, and so do those of others.
    #[error(
        "{name}: {waiting} batches that inflate to much wait to be checked; nothing was written, send smaller batches or try again"
    )]
    Inflating {
        /// The partition.
        name: String,
        /// How many wait.
        waiting: usize,
    },
    /// The batch was not checked before the broker stopped.
    #[error("{name}: the broker is stopping; nothing was written")]
    Stopping {
        /// The partition.
        name: String,
    },
    /// The log did not take the batch.
    #[error("{name}: {error}")]
    Append {
        /// The partition.
        name: String,
        /// Why not.
        error: AppendError,
    },
    /// The log could not be read.
    #[error("{name}: {error}")]
    Read {
        /// The partition.
        name: String,
        /// Why not.
        error: ReadError,
    },
    /// What a restart must know could not be written down.
    #[error("{name}: {error}")]
    Checkpoint {
        /// The partition.
        name: String,
        /// Why not.
        error: CheckpointError,
    },
    /// The log could not be changed.
    #[error("{name}: {error}")]
    Log {
        /// The partition.
        name: String,
        /// Why not.
        error: LogError,
    },
}

impl PartitionError {
    /// What a client acts on.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownTopic { .. } => ErrorCode::UnknownTopic,
            Self::UnknownPartition { .. } => ErrorCode::UnknownPartition,
            Self::NotLeader { leader, .. } if *leader == BrokerId::NONE => {
                ErrorCode::LeaderNotAvailable
            }
            Self::NotLeader { .. } => ErrorCode::NotLeader,
            Self::FencedEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            Self::UnknownEpoch { .. } => ErrorCode::UnknownLeaderEpoch,
            Self::NotEnoughReplicas { .. } => ErrorCode::NotEnoughReplicas,
            Self::Truncated { .. } => ErrorCode::LogTruncated,
            Self::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::Batch { error, .. } => error.code(),
            Self::Inflating { .. } => ErrorCode::Overloaded,
            Self::Stopping { .. } => ErrorCode::ShuttingDown,
            Self::Append { error, .. } => error.code(),
            Self::Read { error, .. } => error.code(),
            Self::Log { error, .. } => error.code(),
            Self::Checkpoint { error, .. } if error.is_full() => ErrorCode::StorageFull,
            Self::Offline { .. } | Self::Checkpoint { .. } => ErrorCode::StorageOffline,
        }
    }
}
