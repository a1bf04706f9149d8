//! One replica of one partition as a plain value: told what happened, it says what to do.
//!
//! Owns the decision when a record is committed. Never reads a clock, a file or a socket.
//! Invariants: high watermark <= log end; a leader's high watermark never moves back within its epoch;
//! an input of an older epoch changes nothing.
//!
//! ```text
//! Idle    -> Leader  : the image names this broker as leader
//! Leader  -> Leader  : the image names it again with a newer epoch
//! any     -> Idle    : the image names another leader, or the log is offline
//! ```

use thalweg_protocol::{LeaderEpoch, Offset};

use super::high_watermark::Ends;
use super::isr::Member;
use super::leader::{Leader, Leadership, Progress, Rules};
use crate::base::Monotonic;

/// What has happened.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// The image names this broker as leader; `ends` and `high_watermark` are what its log holds.
    Lead {
        /// What the image says.
        leadership: &'a Leadership,
        /// How far the log has come.
        ends: Ends,
        /// The high watermark as far as this replica knows it.
        high_watermark: Offset,
        /// When.
        now: Monotonic,
    },
    /// The image names another leader, or none.
    Resign,
    /// The log has grown, under this leader epoch.
    Appended {
        /// The epoch that the appender checked.
        epoch: LeaderEpoch,
        /// The offset after the last record.
        log_end: Offset,
    },
    /// More of the log is on stable storage.
    Synced {
        /// The offset after the last record that is.
        synced_end: Offset,
    },
    /// A follower has fetched.
    FollowerFetched(Progress),
    /// The topic's settings have changed.
    RulesChanged(Rules),
    /// The controller refused the proposed in-sync set or did not answer.
    ProposalFailed,
    /// Time has passed.
    Tick {
        /// When it is.
        now: Monotonic,
    },
}

/// What is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Everything below is committed: publish it and answer who waits for it.
    AdvanceHighWatermark {
        /// The new high watermark.
        to: Offset,
    },
    /// Ask the controller for another in-sync set.
    ProposeIsr {
        /// The members, each with its broker's epoch.
        members: Vec<Member>,
        /// The leader's epoch.
        leader_epoch: LeaderEpoch,
        /// The entry of the metadata that the proposal goes out from.
        partition_epoch: i32,
    },
    /// Nobody who waits can be answered by this replica any more.
    FailWaiters,
}

/// One replica: a leader, or idle until the image says what it is.
#[derive(Clone, Debug)]
pub struct Replica {
    me: Member,
    rules: Rules,
    leader: Option<Leader>,
}

impl Replica {
    /// A replica on broker `me` that does not lead yet.
    pub const fn new(me: Member, rules: Rules) -> Self {
        Self { me, rules, leader: None }
    }

    /// What it knows as a leader.
    pub const fn leader(&self) -> Option<&Leader> {
        self.leader.as_ref()
    }

    /// Takes note of what happened and pushes what is to be done.
    pub fn step(&mut self, input: &Input<'_>, effects: &mut Vec<Effect>) {
        match input {
            Input::Lead { leadership, ends, high_watermark, now } => {
                self.lead(leadership, *ends, *high_watermark, *now, effects);
            }
            Input::Resign => {
                if self.leader.take().is_some() {
                    effects.push(Effect::FailWaiters);
                }
            }
            Input::RulesChanged(rules) => {
                self.rules = *rules;
                if let Some(leader) = &mut self.leader {
                    leader.rules_changed(*rules, effects);
                }
            }
            _ => {
                if let Some(leader) = &mut self.leader {
                    Self::lead_on(leader, input, effects);
                }
            }
        }
    }

    fn lead(
        &mut self,
        leadership: &Leadership,
        ends: Ends,
        high_watermark: Offset,
        now: Monotonic,
        effects: &mut Vec<Effect>,
    ) {
        match &mut self.leader {
            Some(leader) if leader.epoch() > leadership.epoch => {}
            Some(leader) if leader.epoch() == leadership.epoch => {
                leader.image_changed(leadership, now, effects);
            }
            older => {
                // Who waited for the older epoch is told to ask again: the answer comes from this one.
                if older.is_some() {
                    effects.push(Effect::FailWaiters);
                }
                let mut leader =
                    Leader::new(self.me, leadership, ends, high_watermark, self.rules, now);
                // A sole replica has committed everything that it holds.
                leader.appended(ends.log_end, effects);
                self.leader = Some(leader);
            }
        }
    }

    fn lead_on(leader: &mut Leader, input: &Input<'_>, effects: &mut Vec<Effect>) {
        match input {
            Input::Appended { epoch, log_end } if *epoch == leader.epoch() => {
                leader.appended(*log_end, effects);
            }
            Input::Synced { synced_end } => leader.synced(*synced_end, effects),
            Input::FollowerFetched(progress) => leader.follower_fetched(progress, effects),
            Input::ProposalFailed => leader.proposal_failed(),
            Input::Tick { now } => leader.tick(*now, effects),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
