//! One member of a group, as it sees itself. Reads no clock, sends nothing.
//!
//! It has one heartbeat in flight at most. An answer that comes too late, or that was asked for in an earlier life, means
//! nothing.
//!
//! - `Joining -> Joined`: the coordinator answered.
//! - `Joined -> Joining`: the coordinator does not know the member, has fenced it, or was silent for a whole session:
//!   all partitions are dropped at once, and the member begins a new life.
//! - `Joined, Joining -> Leaving -> Out`: it was told to leave, and the coordinator heard it.
//! - `Out -> Joining`: it was told to come back.
//! - `Joining -> Failed`, `Joined -> Failed`: the coordinator says that it will never do.
//!
//! A partition is *owned* from the answer that brings it, until it was let go or dropped; a heartbeat that follows a
//! change names all that is owned.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use thalweg_protocol::native::ApiError;
use thalweg_protocol::{MemberEpoch, MemberId, TopicName, TopicPartition};

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
    in_flight: bool,
    /// The next heartbeat says everything, since the last one may not have been heard.
    is_full: bool,
    /// What is owned has changed since the last heartbeat.
    has_changed: bool,
    due: Instant,
    interval: Duration,
    /// When the coordinator was last heard in this life.
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
            in_flight: false,
            is_full: true,
            has_changed: true,
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
        let due = (!self.in_flight && !self.is_out()).then_some(self.due);
        match (ends, due) {
            (Some(ends), Some(due)) => Some(ends.min(due)),
            (one, other) => one.or(other),
        }
    }

    /// The heartbeat that is due, if one is.
    pub(crate) fn heartbeat(&mut self, now: Instant) -> Option<Heartbeat> {
        if self.in_flight || self.is_out() || now < self.due {
            return None;
        }
        self.in_flight = true;
        let is_full = self.is_full && !matches!(self.phase, Phase::Leaving(_));
        let says_owned = is_full || self.has_changed;
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
        if life != self.life || !self.in_flight {
            return;
        }
        self.in_flight = false;
        self.backoff.reset();
        if matches!(self.phase, Phase::Leaving(_)) {
            if answer.epoch.get() <= 0 {
                self.phase = Phase::Out;
                effects.push(Effect::Left);
            } else {
                // This heartbeat was on its way before the member was told to leave.
                self.epoch = answer.epoch;
                self.due = now;
            }
            return;
        }
        if self.phase == Phase::Joining {
            effects.push(Effect::Joined);
        }
        self.phase = Phase::Joined;
        self.epoch = answer.epoch;
        self.heard = now;
        self.is_full = false;
        self.in_use_since = None;
        self.interval = answer.interval;
        self.due = now + self.interval;
        if let Some(target) = answer.target {
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
        if life != self.life || !self.in_flight {
            return;
        }
        self.in_flight = false;
        self.is_full = true;
        let chance = self.rng.f64();
        self.due = now + self.backoff.next(chance);
        match failure {
            Failure::Loading => self.heard = now,
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

    /// There is no coordinator to ask, and never will be.
    pub(crate) fn refused(&mut self, error: ApiError, effects: &mut Vec<Effect>) {
        if !self.is_out() {
            self.fail(error, effects);
        }
    }

    /// Sends the next heartbeat at once.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.due = self.due.min(now);
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
            self.in_flight = false;
            self.due = now;
            self.fence(reason, now, effects);
        }
    }

    fn fence(&mut self, reason: &str, now: Instant, effects: &mut Vec<Effect>) {
        self.drop_all(reason, effects);
        if let Phase::Leaving(_) = self.phase {
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
        self.in_flight = false;
        self.is_full = true;
        self.has_changed = true;
        self.heard = now;
        self.due = self.due.max(now);
    }

    fn fail(&mut self, error: ApiError, effects: &mut Vec<Effect>) {
        self.drop_all(&error.message, effects);
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

    /// Leaves as soon as nothing is in flight. A static member that leaves for a while keeps its partitions.
    pub(crate) fn leave(&mut self, for_good: bool, now: Instant, effects: &mut Vec<Effect>) {
        match self.phase {
            Phase::Out | Phase::Failed => effects.push(Effect::Left),
            // Nobody knows it, unless a heartbeat is on its way.
            Phase::Joining
                if !self.in_flight && self.epoch == MemberEpoch::JOIN && self.is_new() =>
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

    /// Comes back after it has left.
    pub(crate) fn join_again(&mut self, now: Instant) {
        if self.phase == Phase::Out {
            self.due = now;
            self.begin_life(now);
        }
    }
}

fn fresh(rng: &mut Rng) -> String {
    MemberId::from_bytes(rng.u128(..).to_be_bytes()).to_string()
}
