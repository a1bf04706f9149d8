//! What can go wrong, one enum per family of operations.
//!
//! Each message says what was tried, where, with which numbers, and what to do. All errors are cheap
//! enough to clone: a batch that fails hands its error to every record in it.

use thalweg_protocol::native::ApiError;
use thalweg_protocol::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, Retry, TopicNameError};

/// Why options cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No broker's address was given.
    #[error("no bootstrap address: name at least one broker as HOST:PORT")]
    NoBootstrap,
    /// An address is not `HOST:PORT`.
    #[error("bootstrap address {address:?}: {reason}; expected HOST:PORT, such as 127.0.0.1:9092")]
    Address {
        /// The address as given.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A number is outside of what its option allows.
    #[error("option {option} is {found}, allowed are {min} to {max}")]
    OutOfRange {
        /// The option.
        option: &'static str,
        /// Its value.
        found: u64,
        /// The smallest value allowed.
        min: u64,
        /// The largest value allowed.
        max: u64,
    },
    /// Idempotence was asked for together with weaker acknowledgements.
    #[error(
        "an idempotent producer needs acks=all, but acks={acks} was asked for: drop one of the two"
    )]
    IdempotenceNeedsAcksAll {
        /// The acknowledgements asked for: `leader` or `none`.
        acks: &'static str,
    },
    /// A text is no topic name.
    #[error(transparent)]
    TopicName(#[from] TopicNameError),
    /// A consumer was asked for with nothing to read.
    #[error("a consumer needs at least one topic or partition to read")]
    NothingAssigned,
    /// Topics were subscribed to, or a committed offset was asked for, without a group.
    #[error(
        "topics are shared, and offsets kept, under the name of a group: name one with `group`"
    )]
    NoGroup,
    /// Partitions were assigned and topics subscribed to.
    #[error(
        "a consumer either subscribes, and the broker assigns, or it is assigned its partitions"
    )]
    SubscribedAndAssigned,
    /// A partition was assigned twice.
    #[error("partition {partition} of topic {topic} is assigned twice")]
    AssignedTwice {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: PartitionIndex,
    },
}

/// Why one request to one broker got no useful answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No connection could be made.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// The broker's address.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// The broker and this client could not agree on how to talk.
    #[error("handshake with {address} failed: {reason}")]
    Handshake {
        /// The broker's address.
        address: String,
        /// What did not fit.
        reason: String,
    },
    /// The broker does not speak any version of this request that this client speaks.
    #[error(
        "{address} does not know request {api} in a version of this client: update the older one"
    )]
    Unsupported {
        /// The broker's address.
        address: String,
        /// The request.
        api: &'static str,
    },
    /// The connection ended before the answer came.
    #[error("connection to {address} lost before the answer to {api}: {reason}")]
    Lost {
        /// The broker's address.
        address: String,
        /// The request.
        api: &'static str,
        /// Why it ended.
        reason: String,
        /// Whether the request may have reached the broker.
        sent: bool,
    },
    /// No answer came in time.
    #[error("{address} did not answer {api} within {waited_ms} ms")]
    TimedOut {
        /// The broker's address.
        address: String,
        /// The request.
        api: &'static str,
        /// How long was waited, in milliseconds.
        waited_ms: u64,
    },
    /// The broker failed repeatedly and is left alone for a while.
    #[error(
        "{address} failed {failures} times in a row and is left alone for {rest_ms} ms more; last: {last}"
    )]
    Resting {
        /// The broker's address.
        address: String,
        /// How often in a row.
        failures: u32,
        /// How long it is still left alone, in milliseconds.
        rest_ms: u64,
        /// The last failure.
        last: String,
    },
    /// The answer is not what its version says.
    #[error("the answer of {address} to {api} cannot be read: {reason}")]
    Undecodable {
        /// The broker's address.
        address: String,
        /// The request.
        api: &'static str,
        /// What is wrong with the bytes.
        reason: String,
    },
    /// The request is larger than the broker takes.
    #[error("request {api} of {bytes} bytes is larger than the {bytes_max} that {address} takes")]
    TooLarge {
        /// The broker's address.
        address: String,
        /// The request.
        api: &'static str,
        /// Its size.
        bytes: usize,
        /// The broker's limit.
        bytes_max: usize,
    },
    /// As many requests are in flight on the connection as the broker takes.
    #[error("{in_flight} requests are in flight to {address}, which is its limit")]
    Busy {
        /// The broker's address.
        address: String,
        /// How many.
        in_flight: usize,
    },
    /// The broker answered with an error for the request as a whole.
    #[error("{address} refused {api}: {error} ({})", error.code)]
    Refused {
        /// The broker's address.
        address: String,
        /// The request.
        api: &'static str,
        /// What the broker said.
        error: ApiError,
    },
    /// No broker is known that could be asked.
    #[error("no broker is known that leads the partition")]
    NoLeader,
    /// The client, producer or consumer was closed meanwhile.
    #[error("closed")]
    Closed,
}

impl CallError {
    /// What to do about it.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Connect { .. }
            | Self::Handshake { .. }
            | Self::Resting { .. }
            | Self::NoLeader
            | Self::Lost { sent: false, .. } => Retry::AfterRefresh,
            Self::Busy { .. } => Retry::Later,
            Self::Lost { .. } | Self::TimedOut { .. } | Self::Undecodable { .. } => {
                Retry::SameSequence
            }
            Self::Refused { error, .. } => error.code.retry(),
            Self::Unsupported { .. } | Self::TooLarge { .. } | Self::Closed => Retry::Never,
        }
    }

    /// The broker's error code, when it was the broker that said no.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { error, .. } => Some(error.code),
            _ => None,
        }
    }
}

/// Why an operation of [`Admin`](crate::Admin) did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// No broker gave an answer before the deadline.
    #[error("{operation}: no answer after {attempts} attempts in {waited_ms} ms; last: {last}")]
    Unreachable {
        /// What was tried.
        operation: String,
        /// How often.
        attempts: u32,
        /// For how long, in milliseconds.
        waited_ms: u64,
        /// The last failure.
        last: CallError,
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
    /// The request itself cannot be made.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl AdminError {
    /// The broker's error code, when it was the broker that said no.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Unreachable { last, .. } => last.code(),
            Self::Config(_) => None,
        }
    }
}

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
