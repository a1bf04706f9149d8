//! Why a question to a coordinator has no answer, with the code that a client acts on.

use thalweg_protocol::{BrokerId, ErrorCode, PartitionIndex};

use super::group::GroupError;
use crate::cluster::MetadataError;

/// Why a question has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// The group says no.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// What is stored about the group is still being read.
    #[error("shard {shard} of __consumer_offsets is loading; ask again")]
    Loading {
        /// The shard.
        shard: PartitionIndex,
    },
    /// What was asked could not be written, or not be seen to be durable; the shard is read anew.
    #[error("shard {shard} of __consumer_offsets could not be written and is read anew; ask again")]
    Reloading {
        /// The shard.
        shard: PartitionIndex,
    },
    /// The shard's worker has panicked again and again; only a restart of the broker, or another one, serves it again.
    #[error(
        "shard {shard} of __consumer_offsets: its worker has panicked too often; restart the broker, its log says why"
    )]
    GivenUp {
        /// The shard.
        shard: PartitionIndex,
    },
    /// Another broker has the group.
    #[error("shard {shard} of __consumer_offsets is led by broker {leader}, not by this one")]
    NotCoordinator {
        /// The shard.
        shard: PartitionIndex,
        /// Who leads it, or -1.
        leader: BrokerId,
    },
    /// As many questions wait as may; nothing was done.
    #[error("shard {shard} of __consumer_offsets: {waiting} questions wait already")]
    Overloaded {
        /// The shard.
        shard: PartitionIndex,
        /// How many wait.
        waiting: usize,
    },
    /// The deadline passed.
    #[error(
        "shard {shard} of __consumer_offsets: no answer within {timeout_ms} ms; it may yet take effect"
    )]
    TimedOut {
        /// The shard.
        shard: PartitionIndex,
        /// The deadline, in milliseconds from the question on.
        timeout_ms: u128,
    },
    /// `__consumer_offsets` is not there and could not be made.
    #[error("cannot make __consumer_offsets: {0}")]
    Metadata(#[from] MetadataError),
    /// The broker stops.
    #[error("the broker is stopping")]
    Stopped,
}

impl CoordinatorError {
    /// What a client acts on.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Group(error) => error.code(),
            Self::Loading { .. } | Self::Reloading { .. } => ErrorCode::CoordinatorLoading,
            Self::GivenUp { .. } => ErrorCode::Internal,
            Self::NotCoordinator { .. } => ErrorCode::NotCoordinator,
            Self::Overloaded { .. } => ErrorCode::Overloaded,
            // Everything that a group is asked can be asked again.
            Self::TimedOut { .. } => ErrorCode::TimedOut,
            Self::Metadata(error) => error.code(),
            Self::Stopped => ErrorCode::ShuttingDown,
        }
    }
}
