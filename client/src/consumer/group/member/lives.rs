//! How a life in the group ends: fenced, silent, failed or left; and how the next one begins.

use fastrand::Rng;
use thalweg_protocol::native::ApiError;
use thalweg_protocol::{MemberEpoch, MemberId};

use super::{Effect, Member, Phase};
use crate::clock::Instant;

impl Member {
    /// There is no coordinator to ask, and never will be.
    pub(crate) fn refused(&mut self, error: ApiError, effects: &mut Vec<Effect>) {
        if !self.is_out() {
            self.fail(error, effects);
        }
    }

    /// The life that the coordinator knew as `life` is over: others may already read what it had.
    pub(crate) fn fenced(
        &mut self,
        life: u64,
        reason: &str,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if life == self.life && self.phase == Phase::Joined {
            self.in_flight = None;
            self.due = now;
            self.fence(reason, now, effects);
        }
    }

    pub(super) fn fence(&mut self, reason: &str, now: Instant, effects: &mut Vec<Effect>) {
        self.drop_all(reason, effects);
        if self.is_leaving() {
            self.phase = Phase::Out;
            effects.push(Effect::Left);
            return;
        }
        self.begin_life(now);
    }

    fn begin_life(&mut self, now: Instant) {
        self.life += 1;
        self.id = fresh(&mut self.rng);
        self.epoch = MemberEpoch::JOIN;
        self.phase = Phase::Joining;
        self.in_flight = None;
        self.is_full = true;
        self.has_changed = true;
        self.retires = false;
        self.heard = now;
        self.due = self.due.max(now);
    }

    pub(super) fn fail(&mut self, error: ApiError, effects: &mut Vec<Effect>) {
        self.drop_all(&error.message, effects);
        if self.is_leaving() {
            self.phase = Phase::Out;
            effects.push(Effect::Left);
            return;
        }
        self.phase = Phase::Failed;
        effects.push(Effect::Fail(error));
    }

    fn drop_all(&mut self, reason: &str, effects: &mut Vec<Effect>) {
        let partitions: Vec<_> = std::mem::take(&mut self.owned).into_keys().collect();
        if !partitions.is_empty() {
            effects.push(Effect::Drop { partitions, reason: reason.to_owned() });
        }
    }

    /// Time passes: a coordinator that was silent for a whole session has given the member up.
    pub(crate) fn tick(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Joined && now >= self.heard + self.rules.session_timeout {
            let silent_ms = (now - self.heard).as_millis();
            self.due = now;
            self.fence(&format!("no answer of the coordinator for {silent_ms} ms"), now, effects);
        }
    }

    /// Leaves soon: says no more what it owns, takes nothing, and does not come back if it is put out meanwhile.
    pub(crate) const fn retire(&mut self) {
        self.retires = true;
    }

    const fn is_leaving(&self) -> bool {
        self.retires || matches!(self.phase, Phase::Leaving(_))
    }

    /// Leaves now, whatever is in flight: requests of one connection are carried out in their order. A static member that
    /// leaves for a while keeps its partitions.
    pub(crate) fn leave(&mut self, for_good: bool, now: Instant, effects: &mut Vec<Effect>) {
        match self.phase {
            Phase::Out | Phase::Failed => effects.push(Effect::Left),
            // Nobody knows it, unless a heartbeat is on its way.
            Phase::Joining
                if self.in_flight.is_none() && self.epoch == MemberEpoch::JOIN && self.is_new() =>
            {
                self.phase = Phase::Out;
                effects.push(Effect::Left);
            }
            Phase::Leaving(_) => {}
            Phase::Joining | Phase::Joined => {
                let is_kept = self.rules.is_static && !for_good;
                let epoch =
                    if is_kept { MemberEpoch::LEAVE_FOR_A_WHILE } else { MemberEpoch::LEAVE };
                self.phase = Phase::Leaving(epoch);
                self.in_flight = None;
                self.due = now;
            }
        }
    }

    /// Whether no heartbeat of this life was ever sent.
    const fn is_new(&self) -> bool {
        self.has_changed && self.is_full
    }

    /// Gives up all that is owned, before leaving for want of an application that reads.
    pub(crate) fn give_up(&mut self, reason: &str, effects: &mut Vec<Effect>) {
        self.drop_all(reason, effects);
    }

    /// The answer to its leaving is waited for no longer.
    pub(crate) fn forget(&mut self) {
        if self.is_leaving() {
            self.phase = Phase::Out;
        }
    }

    /// Comes back after it has left.
    pub(crate) fn join_again(&mut self, now: Instant) {
        if self.phase == Phase::Out {
            self.due = now;
            self.begin_life(now);
        }
    }
}

/// A name that nobody else has.
pub(super) fn fresh(rng: &mut Rng) -> String {
    MemberId::from_bytes(rng.u128(..).to_be_bytes()).to_string()
}
