//! Records that were not accepted, or not delivered.

use thalweg_protocol::{ErrorCode, PartitionIndex};

use super::{CallError, ConfigError};

/// Why a record was not accepted, or not delivered.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The producer's options do not fit together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The producer was closed or dropped.
    #[error("the producer is closed: the record was not sent")]
    Closed,
    /// There is no such topic.
    #[error("topic {topic} does not exist: create it first")]
    UnknownTopic {
        /// The topic's name.
        topic: String,
    },
    /// The topic was deleted before the record was stored, and another one has its name now. The record is
    /// not in the new topic; sending it again cannot store it there twice.
    #[error(
        "topic {topic} was deleted and created again before the record was stored: send it again if the new topic shall have it"
    )]
    TopicReplaced {
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
    /// The record alone is larger than a batch may be.
    #[error(
        "a record of {bytes} bytes for topic {topic} does not fit in a batch of {bytes_max}: raise batch_bytes or split it"
    )]
    RecordTooLarge {
        /// The topic's name.
        topic: String,
        /// The record's size in bytes, about.
        bytes: usize,
        /// The limit in bytes.
        bytes_max: usize,
    },
    /// No memory became free before the deadline: the brokers take records more slowly than they come.
    #[error(
        "no room for the record within {waited_ms} ms: {memory_bytes_max} bytes wait for the brokers"
    )]
    MemoryFull {
        /// How long was waited, in milliseconds.
        waited_ms: u64,
        /// The bound.
        memory_bytes_max: usize,
    },
    /// The topic's metadata could not be had.
    #[error("cannot find the leaders of topic {topic} within {waited_ms} ms: {last}")]
    NoMetadata {
        /// The topic's name.
        topic: String,
        /// How long was tried, in milliseconds.
        waited_ms: u64,
        /// The last failure.
        last: CallError,
    },
    /// No producer id could be had.
    #[error("cannot get a producer id within {waited_ms} ms: {last}")]
    NoProducerId {
        /// How long was tried, in milliseconds.
        waited_ms: u64,
        /// The last failure.
        last: CallError,
    },
    /// The broker refused the batch that held the record; it was not stored.
    #[error(
        "partition {partition} of topic {topic} refused a batch of {records} records: {message} ({code})"
    )]
    Refused {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: PartitionIndex,
        /// How many records the batch held.
        records: u32,
        /// The broker's error code.
        code: ErrorCode,
        /// What the broker said.
        message: String,
    },
    /// The delivery deadline passed.
    #[error(
        "partition {partition} of topic {topic}: not delivered after {attempts} attempts in {waited_ms} ms ({}); last: {last}",
        if *maybe_stored { "it may be stored or not: read before sending again" } else { "it was not stored" }
    )]
    DeadlinePassed {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: PartitionIndex,
        /// How often it was sent.
        attempts: u32,
        /// How long was tried, in milliseconds.
        waited_ms: u64,
        /// Whether it may be stored nevertheless.
        maybe_stored: bool,
        /// The last failure in words.
        last: String,
    },
    /// It is not known whether the record was stored, and it cannot be sent again without the risk of
    /// storing it twice or out of order.
    #[error(
        "partition {partition} of topic {topic}: the record may be stored or not ({reason}); read before sending again"
    )]
    OutcomeUnknown {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: PartitionIndex,
        /// Why.
        reason: String,
    },
}

impl SendError {
    /// The broker's error code, when it was the broker that said no.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::UnknownTopic { .. } | Self::TopicReplaced { .. } => Some(ErrorCode::UnknownTopic),
            Self::UnknownPartition { .. } => Some(ErrorCode::UnknownPartition),
            Self::NoMetadata { last, .. } | Self::NoProducerId { last, .. } => last.code(),
            _ => None,
        }
    }

    /// Whether the record may be stored in spite of the error.
    pub const fn maybe_stored(&self) -> bool {
        matches!(
            self,
            Self::OutcomeUnknown { .. } | Self::DeadlinePassed { maybe_stored: true, .. }
        )
    }
}

/// Why not everything was delivered by the end of a flush.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{records_failed} records in {batches_failed} batches were not delivered; first: {first}")]
pub struct FlushError {
    /// How many records failed.
    pub records_failed: u64,
    /// In how many batches.
    pub batches_failed: u64,
    /// The first failure.
    pub first: SendError,
}
