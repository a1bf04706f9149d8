//! One member of a group, as it sees itself. Reads no clock, sends nothing.
//!
//! It has one heartbeat in flight at most. An answer that comes too late, or that was asked for in an earlier life, means
//! nothing.
//!
//! - `Joining -> Joined`: the coordinator answered.
//! - `Joined -> Joining`: the coordinator does not know the member, has fenced it, or was silent for a whole session:
//!   all partitions are dropped at once, and the member begins a new life.
//! - `Joined, Joining -> Leaving -> Out`: it was told to leave, and the coordinator heard it. From when it *retires*, a
//!   little before, it takes nothing new, and a life that ends is the last one.
//! - `Out -> Joining`: it was told to come back.
//! - `Joining -> Failed`, `Joined -> Failed`: the coordinator says that it will never do.
//!
//! A partition is *owned* from the answer that brings it, until it was let go or dropped; a heartbeat that follows a
//! change names all that is owned.

mod lives;
mod message;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use thalweg_protocol::{MemberEpoch, TopicPartition};

use crate::clock::Instant;
use crate::retry::Backoff;

use lives::fresh;
pub(crate) use message::{Answer, Effect, Failure, Heartbeat, Rules, Target};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Joining,
    Joined,
    Leaving(MemberEpoch),
    Out,
    Failed,
}

/// What becomes of a partition that is owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    Reading,
    LettingGo,
}

/// How much longer than a session an instance id may be somebody else's.
const IN_USE_SLACK: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Member {
    rules: Rules,
    rng: Rng,
    phase: Phase,
    life: u64,
    id: String,
    epoch: MemberEpoch,
    owned: BTreeMap<TopicPartition, Hold>,
    /// When the heartbeat was sent that waits for its answer.
    in_flight: Option<Instant>,
    /// The next heartbeat says everything, since the last one may not have been heard.
    is_full: bool,
    /// What is owned has changed since the last heartbeat.
    has_changed: bool,
    /// It leaves as soon as its last commit is answered.
    retires: bool,
    due: Instant,
    interval: Duration,
    /// When the coordinator was last heard in this life: when it was asked, since that is the latest moment from which it
    /// may count the session.
    heard: Instant,
    in_use_since: Option<Instant>,
    backoff: Backoff,
}

impl Member {
    pub(crate) fn new(rules: Rules, mut rng: Rng, now: Instant) -> Self {
        Self {
            id: fresh(&mut rng),
            backoff: rules.backoff,
            rules,
            rng,
            phase: Phase::Joining,
            life: 0,
            epoch: MemberEpoch::JOIN,
            owned: BTreeMap::new(),
            in_flight: None,
            is_full: true,
            has_changed: true,
            retires: false,
            due: now,
            interval: Duration::from_secs(1),
            heard: now,
            in_use_since: None,
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) const fn epoch(&self) -> MemberEpoch {
        self.epoch
    }

    pub(crate) const fn life(&self) -> u64 {
        self.life
    }

    /// Whether commits can be sent: the coordinator knows the member.
    pub(crate) fn is_joined(&self) -> bool {
        self.phase == Phase::Joined
            || (matches!(self.phase, Phase::Leaving(_)) && self.epoch != MemberEpoch::JOIN)
    }

    pub(crate) fn is_failed(&self) -> bool {
        self.phase == Phase::Failed
    }

    pub(crate) fn is_out(&self) -> bool {
        matches!(self.phase, Phase::Out | Phase::Failed)
    }

    /// When to look again, if nothing happens before.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let ends = (self.phase == Phase::Joined).then(|| self.heard + self.rules.session_timeout);
        let due = self.may_speak().then_some(self.due);
        match (ends, due) {
            (Some(ends), Some(due)) => Some(ends.min(due)),
            (one, other) => one.or(other),
        }
    }

    /// Whether there is something to say: not while an answer is waited for, nor to join only to leave again.
    fn may_speak(&self) -> bool {
        let joins = self.phase == Phase::Joining && !self.retires;
        self.in_flight.is_none()
            && (joins || matches!(self.phase, Phase::Joined | Phase::Leaving(_)))
    }

    /// The heartbeat that is due, if one is.
    pub(crate) fn heartbeat(&mut self, now: Instant) -> Option<Heartbeat> {
        if !self.may_speak() || now < self.due {
            return None;
        }
        self.in_flight = Some(now);
        let is_full = self.is_full && !matches!(self.phase, Phase::Leaving(_));
        let says_owned = (is_full || self.has_changed) && !self.retires;
        self.has_changed = false;
        Some(Heartbeat {
            life: self.life,
            member: self.id.clone(),
            epoch: match self.phase {
                Phase::Leaving(epoch) => epoch,
                _ => self.epoch,
            },
            is_full,
            owned: says_owned.then(|| self.owned.keys().copied().collect()),
        })
    }

    /// The coordinator answered the heartbeat of `life`.
    pub(crate) fn answered(
        &mut self,
        life: u64,
        answer: Answer,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if life != self.life {
            return;
        }
        if matches!(self.phase, Phase::Leaving(_)) {
            // An answer to a heartbeat that was on its way before says nothing of the leaving.
            if answer.epoch.get() <= 0 {
                self.phase = Phase::Out;
                effects.push(Effect::Left);
            }
            return;
        }
        let Some(asked) = self.in_flight.take() else {
            return;
        };
        self.backoff.reset();
        if self.phase == Phase::Joining {
            effects.push(Effect::Joined);
        }
        self.phase = Phase::Joined;
        self.epoch = answer.epoch;
        self.heard = asked;
        self.is_full = false;
        self.in_use_since = None;
        self.interval = answer.interval;
        self.due = now + self.interval;
        if let Some(target) = answer.target.filter(|_| !self.retires) {
            self.aim(target, now, effects);
        }
        if self.has_changed {
            self.due = now;
        }
    }

    /// Compares what shall be owned with what is.
    fn aim(&mut self, target: Vec<Target>, now: Instant, effects: &mut Vec<Effect>) {
        let mut gone = Vec::new();
        for (at, hold) in &mut self.owned {
            if *hold == Hold::Reading && !target.iter().any(|one| one.at == *at) {
                *hold = Hold::LettingGo;
                gone.push(*at);
            }
        }
        // What comes back while it is being let go is let go first, and taken when it is brought again.
        let mut taken = target;
        taken.retain(|one| !self.owned.contains_key(&one.at));
        for one in &taken {
            self.owned.insert(one.at, Hold::Reading);
            self.has_changed = true;
        }
        if !gone.is_empty() {
            let until = now + self.rules.drain_timeout;
            effects.push(Effect::LetGo { partitions: gone, until });
        }
        if !taken.is_empty() {
            effects.push(Effect::Take(taken));
        }
    }

    /// The heartbeat of `life` has no good answer.
    pub(crate) fn failed(
        &mut self,
        life: u64,
        failure: Failure,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let Some(asked) = self.in_flight.filter(|_| life == self.life) else {
            return;
        };
        self.in_flight = None;
        self.is_full = true;
        let chance = self.rng.f64();
        self.due = now + self.backoff.next(chance);
        match failure {
            Failure::Loading => self.heard = asked,
            Failure::NoAnswer => {}
            Failure::Fenced(reason) => self.fence(&reason, now, effects),
            Failure::InUse(error) => {
                let since = *self.in_use_since.get_or_insert(now);
                self.due = now + self.interval;
                if now - since > self.rules.session_timeout + IN_USE_SLACK {
                    self.fail(error, effects);
                }
            }
            Failure::Final(error) => self.fail(error, effects),
        }
    }

    /// Sends the next heartbeat at once.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.due = self.due.min(now);
    }

    /// The application is done with these partitions, and what it is done with is committed.
    pub(crate) fn let_go(&mut self, partitions: &[TopicPartition], now: Instant) {
        for at in partitions {
            if self.owned.get(at) == Some(&Hold::LettingGo) {
                self.owned.remove(at);
                self.has_changed = true;
            }
        }
        if self.has_changed {
            self.due = self.due.min(now);
        }
    }
}
