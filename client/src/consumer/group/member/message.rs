//! What a member goes by, what it says and hears, and what it wants done.

use std::time::Duration;

use thalweg_protocol::native::ApiError;
use thalweg_protocol::{MemberEpoch, TopicName, TopicPartition};

use crate::clock::Instant;
use crate::retry::Backoff;

/// What a member goes by.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Silence of the coordinator for so long ends the membership.
    pub(crate) session_timeout: Duration,
    /// How long letting go of a partition may take.
    pub(crate) drain_timeout: Duration,
    /// Whether it has an instance id.
    pub(crate) is_static: bool,
    /// The pauses after failures.
    pub(crate) backoff: Backoff,
}

/// A heartbeat to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    /// Which life sends it; comes back with the answer.
    pub(crate) life: u64,
    pub(crate) member: String,
    pub(crate) epoch: MemberEpoch,
    /// Subscription and assignor belong in it.
    pub(crate) is_full: bool,
    /// All that is owned; none when it is as the last heartbeat said.
    pub(crate) owned: Option<Vec<TopicPartition>>,
}

/// What the coordinator said.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) epoch: MemberEpoch,
    pub(crate) interval: Duration,
    /// All that shall be owned; none when nothing has changed.
    pub(crate) target: Option<Vec<Target>>,
}

/// A partition that shall be owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) at: TopicPartition,
    pub(crate) topic: TopicName,
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// It may have been heard or not.
    NoAnswer,
    /// The coordinator still reads what it knows of the group; no session runs out meanwhile.
    Loading,
    /// The member's life is over.
    Fenced(String),
    /// The instance id belongs to another member, for now.
    InUse(ApiError),
    /// It will never do.
    Final(ApiError),
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// Begin to read these.
    Take(Vec<Target>),
    /// Finish what is in hand of these, commit, and say [`Member::let_go`], before `until`.
    LetGo { partitions: Vec<TopicPartition>, until: Instant },
    /// These are lost: stop reading them at once, commit nothing.
    Drop { partitions: Vec<TopicPartition>, reason: String },
    /// The coordinator knows the member.
    Joined,
    /// The member is out of the group.
    Left,
    /// There can be no membership.
    Fail(ApiError),
}
