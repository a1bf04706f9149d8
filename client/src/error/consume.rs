//! Reasons why a consumer cannot read on.

use thalweg_protocol::{ErrorCode, LeaderEpoch, Offset, PartitionIndex};

use super::{CallError, ConfigError};

/// Why a consumer cannot read on.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumeError {
    /// The consumer's options do not fit together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no such topic.
    #[error("topic {topic} does not exist: create it first")]
    UnknownTopic {
        /// The topic's name.
        topic: String,
    },
    /// The topic has no such partition.
    #[error("topic {topic} has {partitions} partitions, but partition {partition} was asked for")]
    UnknownPartition {
        /// The topic's name.
        topic: String,
        /// The partition asked for.
        partition: PartitionIndex,
        /// How many there are.
        partitions: usize,
    },
    /// The topic was deleted, or deleted and created again, while it was read.
    #[error("topic {topic} was deleted while partition {partition} was read at offset {offset}")]
    TopicDeleted {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: PartitionIndex,
        /// The offset that would have come next.
        offset: Offset,
    },
    /// The consumer does not read this partition.
    #[error("partition {partition} of topic {topic} is not assigned to this consumer")]
    NotAssigned {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: PartitionIndex,
    },
    /// The group has committed nothing for this partition, and the options forbid to begin anywhere else.
    #[error(
        "group {group} has committed nothing for partition {partition} of topic {topic}: seek to where to begin"
    )]
    NothingCommitted {
        /// The group.
        group: String,
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: PartitionIndex,
    },
    /// The wanted offset is not in the log.
    #[error(
        "partition {partition} of topic {topic} holds offsets {log_start} to {log_end}, but {offset} was wanted: seek to where to go on"
    )]
    OffsetOutOfRange {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: PartitionIndex,
        /// The wanted offset.
        offset: Offset,
        /// The first offset that can be read, or -1.
        log_start: Offset,
        /// The offset after the last that can be read, or -1.
        log_end: Offset,
    },
    /// Bytes of the log are damaged.
    #[error(
        "partition {partition} of topic {topic} is damaged at offset {offset}; good records go on at {next_good}: seek there to skip the damage ({message})"
    )]
    Corrupt {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: PartitionIndex,
        /// Where the damage begins.
        offset: Offset,
        /// Where good records go on, or -1 if that is not known.
        next_good: Offset,
        /// What is wrong.
        message: String,
    },
    /// The log was cut below what was already read.
    #[error(
        "the log of partition {partition} of topic {topic} was cut: read up to {offset}, the logs agree up to {safe} (epoch {epoch}); seek there to go on"
    )]
    LogTruncated {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: PartitionIndex,
        /// The offset that would have come next.
        offset: Offset,
        /// How far what was read and the log agree.
        safe: Offset,
        /// The epoch that ends there.
        epoch: LeaderEpoch,
    },
    /// The broker refused, and the same request would fail again.
    #[error("{operation}: {message} ({code})")]
    Refused {
        /// What was tried.
        operation: String,
        /// The broker's error code.
        code: ErrorCode,
        /// What the broker said.
        message: String,
    },
    /// No broker gave an answer for a long time; the consumer goes on trying when it is polled again.
    #[error("{operation}: no answer for {waited_ms} ms; last: {last}")]
    Unreachable {
        /// What was tried.
        operation: String,
        /// For how long, in milliseconds.
        waited_ms: u64,
        /// The last failure.
        last: CallError,
    },
}

impl ConsumeError {
    /// The broker's error code, when it was the broker that said no.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::UnknownTopic { .. } | Self::TopicDeleted { .. } => Some(ErrorCode::UnknownTopic),
            Self::UnknownPartition { .. } => Some(ErrorCode::UnknownPartition),
            Self::OffsetOutOfRange { .. } => Some(ErrorCode::OffsetOutOfRange),
            Self::Corrupt { .. } => Some(ErrorCode::Corrupt),
            Self::LogTruncated { .. } => Some(ErrorCode::LogTruncated),
            Self::Unreachable { last, .. } => last.code(),
            Self::Config(_) | Self::NotAssigned { .. } | Self::NothingCommitted { .. } => None,
        }
    }
}
