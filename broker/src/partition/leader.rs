//! One leader's view of its partition: how far each replica has come, who is in sync, what is committed.

use std::time::Duration;

use thalweg_protocol::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};

use super::high_watermark::{Durability, Ends, lowest};
use super::isr::{Isr, Member};
use super::replica::Effect;
use crate::base::Monotonic;

/// The topic's settings that replication goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Which ends count.
    pub durability: Durability,
    /// Below so many in-sync replicas nothing is committed.
    pub insync_replicas_min: usize,
    /// A follower that has not caught up for so long leaves the in-sync set.
    pub lag_max: Duration,
}

/// What the metadata image says about a partition that this broker leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// The leader's epoch.
    pub epoch: LeaderEpoch,
    /// The version of the partition's entry in the metadata; an in-sync proposal names it.
    pub partition_epoch: i32,
    /// All replicas, this broker among them.
    pub replicas: Vec<BrokerId>,
    /// Those in sync, this broker among them.
    pub isr: Vec<BrokerId>,
}

/// What the leader knows of another replica.
#[derive(Clone, Debug)]
struct Follower {
    broker: BrokerId,
    broker_epoch: BrokerEpoch,
    ends: Ends,
    /// When it last held all that there was.
    caught_up: Monotonic,
}

/// One leader's view of its partition. Reads no clock, opens no file, sends nothing.
///
/// Invariants: high watermark <= log end; the high watermark never moves back within an epoch.
#[derive(Clone, Debug)]
pub struct Leader {
    me: Member,
    epoch: LeaderEpoch,
    partition_epoch: i32,
    /// The log end when the epoch began: a follower below it may lack records that are committed.
    epoch_start: Offset,
    ends: Ends,
    followers: Vec<Follower>,
    isr: Isr,
    high_watermark: Offset,
    rules: Rules,
}

/// How far a follower's fetch says that it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The follower.
    pub broker: BrokerId,
    /// Its life.
    pub broker_epoch: BrokerEpoch,
    /// Its ends.
    pub ends: Ends,
    /// When the fetch came.
    pub now: Monotonic,
}

impl Leader {
    /// A leader at the begin of its epoch, with what its own log holds.
    pub fn new(
        me: Member,
        leadership: &Leadership,
        ends: Ends,
        high_watermark: Offset,
        rules: Rules,
        now: Monotonic,
    ) -> Self {
        let followers = leadership.replicas.iter().filter(|broker| **broker != me.broker);
        Self {
            me,
            epoch: leadership.epoch,
            partition_epoch: leadership.partition_epoch,
            epoch_start: ends.log_end,
            ends,
            followers: followers.map(|broker| Follower::unheard(*broker, now)).collect(),
            isr: Isr::new(leadership.isr.clone()),
            high_watermark: high_watermark.min(ends.log_end),
            rules,
        }
    }

    /// The leader's epoch.
    pub const fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// Readers see what is below.
    pub const fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Whether enough replicas are in sync to commit what is appended now.
    pub fn has_enough_in_sync(&self) -> bool {
        self.isr.size_min() >= self.rules.insync_replicas_min
    }

    /// How many replicas are in sync, and how many must be.
    pub fn in_sync(&self) -> (usize, usize) {
        (self.isr.size_min(), self.rules.insync_replicas_min)
    }

    /// The log has grown.
    pub fn appended(&mut self, log_end: Offset, effects: &mut Vec<Effect>) {
        self.ends.log_end = self.ends.log_end.max(log_end);
        self.advance(effects);
    }

    /// More of the log is on stable storage.
    pub fn synced(&mut self, synced_end: Offset, effects: &mut Vec<Effect>) {
        self.ends.synced_end = self.ends.synced_end.max(synced_end);
        // The sync may overtake the news of the append that it covers.
        self.ends.log_end = self.ends.log_end.max(synced_end);
        self.advance(effects);
    }

    /// A follower's fetch says how far it has come.
    pub fn follower_fetched(&mut self, progress: &Progress, effects: &mut Vec<Effect>) {
        let log_end = self.ends.log_end;
        let Some(follower) = self.followers.iter_mut().find(|f| f.broker == progress.broker) else {
            return;
        };
        if follower.broker_epoch > progress.broker_epoch {
            return;
        }
        follower.broker_epoch = progress.broker_epoch;
        follower.ends = progress.ends;
        if progress.ends.log_end >= log_end {
            follower.caught_up = progress.now;
        }
        self.grow(progress.broker, effects);
        self.advance(effects);
    }

    /// The metadata image has a newer entry of the same leader epoch.
    pub fn image_changed(
        &mut self,
        leadership: &Leadership,
        now: Monotonic,
        effects: &mut Vec<Effect>,
    ) {
        assert_eq!(leadership.epoch, self.epoch, "another epoch is another leader");
        if leadership.partition_epoch < self.partition_epoch {
            return;
        }
        self.partition_epoch = leadership.partition_epoch;
        self.isr = Isr::new(leadership.isr.clone());
        self.followers.retain(|follower| leadership.replicas.contains(&follower.broker));
        for broker in leadership.replicas.iter().filter(|broker| **broker != self.me.broker) {
            if !self.followers.iter().any(|follower| follower.broker == *broker) {
                self.followers.push(Follower::unheard(*broker, now));
            }
        }
        self.advance(effects);
    }

    /// The topic's settings have changed.
    pub fn rules_changed(&mut self, rules: Rules, effects: &mut Vec<Effect>) {
        self.rules = rules;
        self.advance(effects);
    }

    /// The controller refused the proposed in-sync set or did not answer.
    pub fn proposal_failed(&mut self) {
        self.isr.withdraw();
    }

    /// Time has passed: a follower that lags for too long leaves the in-sync set.
    pub fn tick(&mut self, now: Monotonic, effects: &mut Vec<Effect>) {
        if self.isr.is_proposing() {
            return;
        }
        let lag_max = self.rules.lag_max;
        let lags = |broker: &BrokerId| {
            self.followers.iter().any(|f| f.broker == *broker && now.since(f.caught_up) > lag_max)
        };
        let kept: Vec<_> =
            self.isr.committed().iter().copied().filter(|broker| !lags(broker)).collect();
        if kept.len() < self.isr.committed().len() {
            self.propose(kept, effects);
        }
    }

    /// A follower that holds everything committed, in this epoch too, may join the in-sync set.
    fn grow(&mut self, broker: BrokerId, effects: &mut Vec<Effect>) {
        let Some(follower) = self.followers.iter().find(|f| f.broker == broker) else { return };
        let has_all = follower.ends.log_end >= self.high_watermark.max(self.epoch_start);
        if has_all && !self.isr.is_in_maximal(broker) && !self.isr.is_proposing() {
            let mut members = self.isr.committed().to_vec();
            members.push(broker);
            self.propose(members, effects);
        }
    }

    fn propose(&mut self, brokers: Vec<BrokerId>, effects: &mut Vec<Effect>) {
        let epoch_of = |broker: BrokerId| {
            let follower = self.followers.iter().find(|f| f.broker == broker);
            follower.map_or(self.me.broker_epoch, |f| f.broker_epoch)
        };
        let member =
            |broker: &BrokerId| Member { broker: *broker, broker_epoch: epoch_of(*broker) };
        effects.push(Effect::ProposeIsr {
            members: brokers.iter().map(member).collect(),
            leader_epoch: self.epoch,
            partition_epoch: self.partition_epoch,
        });
        self.isr.propose(brokers);
    }

    fn advance(&mut self, effects: &mut Vec<Effect>) {
        if !self.has_enough_in_sync() {
            return;
        }
        let me = self.isr.is_in_maximal(self.me.broker).then_some(self.ends);
        let others = self.followers.iter().filter(|f| self.isr.is_in_maximal(f.broker));
        let ends = me.into_iter().chain(others.map(|follower| follower.ends));
        let Some(position) = lowest(ends, self.rules.durability) else { return };
        if position > self.high_watermark {
            self.high_watermark = position;
            effects.push(Effect::AdvanceHighWatermark { to: position });
        }
        assert!(
            self.high_watermark <= self.ends.log_end,
            "nothing is committed before it is appended"
        );
    }
}

impl Follower {
    /// A replica that has not fetched in this epoch: it holds nothing, as far as the leader knows.
    fn unheard(broker: BrokerId, now: Monotonic) -> Self {
        Self { broker, broker_epoch: BrokerEpoch::new(-1), ends: Ends::NOTHING, caught_up: now }
    }
}
