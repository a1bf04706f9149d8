//! What a consumer is told about its group.

use std::fmt;
use std::time::Duration;

use thalweg_protocol::{Offset, PartitionIndex, TopicName};

use crate::consumer::commit::CommitError;

/// A partition, by the name of its topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupPartition {
    /// The topic's name.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
}

impl fmt::Display for GroupPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// A partition that begins to be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignedPartition {
    /// The topic's name.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
    /// The offset of the first record that will be handed out.
    pub offset: Offset,
    /// Whether the group had committed this offset; else the start policy named it.
    pub committed: bool,
}

/// Something that happened in the group.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum GroupEvent {
    /// These partitions are read from now on, beside those that were read before.
    Assigned {
        /// The partitions.
        partitions: Vec<AssignedPartition>,
    },
    /// These partitions will go to other members. No more records of them come; what is in hand can still be
    /// finished and committed. They are let go at the next call of [`Consumer::next_event`](crate::Consumer::next_event)
    /// (or `next`), or when the time is over.
    Revoking {
        /// The partitions.
        partitions: Vec<GroupPartition>,
        /// How long the application may take: the drain timeout.
        within: Duration,
    },
    /// These partitions were let go. Others have them now.
    Revoked {
        /// The partitions.
        partitions: Vec<GroupPartition>,
        /// False when the drain timeout passed with records still in hand: they will be read again.
        in_time: bool,
    },
    /// The member was put out of the group, or must take itself for dead: others may read these partitions already, and
    /// what was not committed will be read again. The consumer joins again by itself.
    Lost {
        /// The partitions.
        partitions: Vec<GroupPartition>,
        /// Why.
        reason: String,
    },
    /// The application has not asked for a record for longer than `max_poll_interval`. The member leaves, so that
    /// others read what it had, and joins again with the next call.
    PollOverdue {
        /// How long it has not asked.
        waited: Duration,
    },
    /// An automatic commit did not succeed; it is tried again with the next one.
    CommitFailed {
        /// Why.
        error: CommitError,
    },
}

/// What [`Consumer::next_event`](crate::Consumer::next_event) hands out.
#[derive(Clone, Debug)]
pub enum Event {
    /// A record.
    Record(crate::ConsumedRecord),
    /// Something happened in the group.
    Group(GroupEvent),
}
