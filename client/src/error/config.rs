//! Options that cannot be used.

use thalweg_protocol::{PartitionIndex, TopicNameError};

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
