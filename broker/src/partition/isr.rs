//! Which replicas are in sync: the committed set, and the one that was proposed and not yet answered.

use thalweg_protocol::{BrokerEpoch, BrokerId};

/// A member of an in-sync set that a leader proposes, with the life of the broker that it speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The broker.
    pub broker: BrokerId,
    /// Its epoch as it last fetched; the controller refuses the proposal when the broker has restarted since.
    pub broker_epoch: BrokerEpoch,
}

/// The in-sync replicas as a leader knows them.
///
/// Invariant: the leader itself is a member of both sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Isr {
    committed: Vec<BrokerId>,
    proposed: Option<Vec<BrokerId>>,
}

impl Isr {
    /// The committed set, with nothing proposed.
    pub(super) fn new(committed: Vec<BrokerId>) -> Self {
        Self { committed, proposed: None }
    }

    /// What the controller has committed.
    pub(super) fn committed(&self) -> &[BrokerId] {
        &self.committed
    }

    /// Whether a proposal waits for its answer; only one may.
    pub(super) fn is_proposing(&self) -> bool {
        self.proposed.is_some()
    }

    /// Remembers a proposal until it is answered.
    pub(super) fn propose(&mut self, members: Vec<BrokerId>) {
        assert!(self.proposed.is_none(), "one in-sync set is proposed at a time");
        self.proposed = Some(members);
    }

    /// The controller refused the proposal or lost it.
    pub(super) fn withdraw(&mut self) {
        self.proposed = None;
    }

    /// Whether `broker` is in the **maximal** set: the committed one united with the proposed one. Until
    /// the controller answers, either may be the one that an election goes by, so a record counts
    /// only when both hold it.
    pub(super) fn is_in_maximal(&self, broker: BrokerId) -> bool {
        self.committed.contains(&broker)
            || self.proposed.as_ref().is_some_and(|proposed| proposed.contains(&broker))
    }

    /// The size that `min.insync.replicas` is held against: the smaller of both sets, since either may hold.
    pub(super) fn size_min(&self) -> usize {
        let proposed = self.proposed.as_ref().map_or(usize::MAX, Vec::len);
        self.committed.len().min(proposed)
    }
}
