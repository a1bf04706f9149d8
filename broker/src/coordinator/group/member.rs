//! One member: what is stored of it, and what is only known while it is looked after.

use std::sync::Arc;
use std::time::Duration;

use thalweg_protocol::{MemberEpoch, TopicId};

use super::partitions::Partitions;
use super::pattern::Pattern;
use super::stored::{Current, StoredMember};
use crate::base::Monotonic;

/// A member. Its first three fields are what its records say; the others are begun anew when a shard is loaded.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// None only while its records are being read.
    pub(super) stored: Option<StoredMember>,
    pub(super) target: Partitions,
    pub(super) current: Current,
    /// When it is taken for dead.
    pub(super) deadline: Monotonic,
    /// When it last gave a sign of life.
    pub(super) heard: Monotonic,
    /// By when it must have let go of what it was told to.
    pub(super) drain: Option<Monotonic>,
    /// What it last said that it reads.
    pub(super) reported: Option<Partitions>,
    /// Its pattern, compiled: when it was accepted, after a load when it is first needed.
    pub(super) pattern: Option<Arc<Pattern>>,
    /// The topics that it wants and that are there, rising.
    pub(super) topics: Vec<TopicId>,
}

impl Default for Member {
    fn default() -> Self {
        Self {
            stored: None,
            target: Partitions::NONE,
            current: Current {
                epoch: MemberEpoch::JOIN,
                previous: MemberEpoch::JOIN,
                assigned: Partitions::NONE,
                revoking: Partitions::NONE,
            },
            deadline: Monotonic::ZERO,
            heard: Monotonic::ZERO,
            drain: None,
            reported: None,
            pattern: None,
            topics: Vec::new(),
        }
    }
}

impl Member {
    /// All that nobody else may read.
    pub(super) fn owned(&self) -> Partitions {
        self.current.assigned.with(&self.current.revoking)
    }

    /// Whether it owns what it shall own, and nothing else.
    pub(super) fn is_settled(&self) -> bool {
        self.current.revoking.is_empty() && self.current.assigned == self.target
    }

    /// Whether it has left and will be back.
    pub(super) fn is_away(&self) -> bool {
        self.current.epoch == MemberEpoch::LEAVE_FOR_A_WHILE
    }

    /// The name of a static member.
    pub(super) fn instance(&self) -> Option<&str> {
        self.stored.as_ref()?.instance.as_deref()
    }

    pub(super) fn session_timeout(&self) -> Duration {
        Duration::from_millis(self.stored.as_ref().map_or(0, |s| s.session_timeout_ms).into())
    }

    pub(super) fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.stored.as_ref().map_or(0, |s| s.drain_timeout_ms).into())
    }

    /// A sign of life.
    pub(super) fn touch(&mut self, now: Monotonic) {
        self.heard = now;
        self.deadline = now.plus(self.session_timeout());
    }
}
