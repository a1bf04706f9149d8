//! Committed offsets as callers see them: what to commit, what was committed, and why it failed.

use thalweg_protocol::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicName};

use super::consumed::ConsumedRecord;
use super::group::GroupPartition;
use crate::error::{AdminError, CallError, ConfigError};
use crate::record::Partition;

/// An offset to commit: that of the next record to read.
///
/// ```
/// use thalweg_client::{CommitOffset, Offset};
///
/// let next = CommitOffset::new("events", 0, Offset::new(43)).metadata("batch 17");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "`Consumer::commit_offsets` commits it"]
pub struct CommitOffset {
    pub(crate) topic: String,
    pub(crate) partition: PartitionIndex,
    pub(crate) offset: Offset,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) metadata: String,
}

impl CommitOffset {
    /// Reading goes on at `offset`.
    pub fn new(topic: impl Into<String>, partition: impl Into<Partition>, offset: Offset) -> Self {
        Self {
            topic: topic.into(),
            partition: partition.into().0,
            offset,
            leader_epoch: LeaderEpoch::UNCHECKED,
            metadata: String::new(),
        }
    }

    /// Reading goes on after `record`.
    pub fn after(record: &ConsumedRecord) -> Self {
        Self {
            topic: record.topic.to_string(),
            partition: record.partition,
            offset: record.offset.next(),
            leader_epoch: record.leader_epoch,
            metadata: String::new(),
        }
    }

    /// The leader epoch of the last record that is done: with it a later reader notices that the log was cut.
    pub const fn leader_epoch(mut self, epoch: LeaderEpoch) -> Self {
        self.leader_epoch = epoch;
        self
    }

    /// A note to keep with the offset.
    pub fn metadata(mut self, note: impl Into<String>) -> Self {
        self.metadata = note.into();
        self
    }
}

/// An offset that a group has committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The topic's name.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
    /// The offset of the next record to read.
    pub offset: Offset,
    /// The leader epoch of the last record that is done, or -1.
    pub leader_epoch: LeaderEpoch,
    /// The note that was committed with it.
    pub metadata: String,
    /// When it was committed, by the broker's clock.
    pub time: TimestampMs,
}

/// A partition whose offset was not committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCommit {
    /// The partition.
    pub partition: GroupPartition,
    /// The broker's error code.
    pub code: ErrorCode,
    /// What the broker said.
    pub message: String,
}

/// Why offsets were not committed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The consumer's options name no group.
    #[error("this consumer has no group to commit to: name one with `group`")]
    NoGroup,
    /// The offset's topic is not one.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The member is not in the group any more. It joins again by itself; what was not committed is read again.
    #[error("group {group}: the member was put out of the group before the commit: {message}")]
    NotMember {
        /// The group.
        group: String,
        /// What the broker said.
        message: String,
    },
    /// Some partitions were refused; the others are committed.
    #[error(
        "group {group}: {} of {of} offsets were not committed; first: {}: {} ({})",
        failed.len(), first(failed).partition, first(failed).message, first(failed).code
    )]
    Partitions {
        /// The group.
        group: String,
        /// Those that were refused; at least one.
        failed: Vec<FailedCommit>,
        /// How many were to be committed.
        of: usize,
    },
    /// The broker refused the request as a whole.
    #[error("group {group}: cannot commit: {message} ({code})")]
    Refused {
        /// The group.
        group: String,
        /// The broker's error code.
        code: ErrorCode,
        /// What the broker said.
        message: String,
    },
    /// No coordinator took it before the deadline; it may have been committed or not.
    #[error("group {group}: not committed within {waited_ms} ms; last: {last}")]
    Unreachable {
        /// The group.
        group: String,
        /// How long was tried, in milliseconds.
        waited_ms: u64,
        /// The last failure.
        last: CallError,
    },
    /// The topic of an offset could not be found.
    #[error(transparent)]
    Lookup(AdminError),
    /// The consumer is closed.
    #[error("the consumer is closed: nothing was committed")]
    Closed,
}

/// For messages: an error about partitions names at least one.
fn first(failed: &[FailedCommit]) -> &FailedCommit {
    #[expect(clippy::indexing_slicing, reason = "made with at least one")]
    &failed[0]
}

impl CommitError {
    /// The broker's error code, when it was the broker that said no.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Partitions { failed, .. } => failed.first().map(|one| one.code),
            Self::Unreachable { last, .. } => last.code(),
            Self::Lookup(error) => error.code(),
            Self::NotMember { .. } => Some(ErrorCode::UnknownMember),
            Self::NoGroup | Self::Config(_) | Self::Closed => None,
        }
    }
}
