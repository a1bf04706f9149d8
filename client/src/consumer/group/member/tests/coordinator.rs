//! The least coordinator that keeps the protocol's promises: what members are tested against.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use thalweg_protocol::{MemberEpoch, TopicName, TopicPartition};

use super::super::{Answer, Failure, Heartbeat, Member, Target};
use super::at;
use crate::clock::Instant;

/// A heartbeat on its way.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) life: u64,
    pub(super) call: u64,
    member: String,
    epoch: MemberEpoch,
    is_full: bool,
    owned: Option<BTreeSet<TopicPartition>>,
}

impl Request {
    pub(super) fn of(heartbeat: Heartbeat, call: u64) -> Self {
        Self {
            life: heartbeat.life,
            call,
            member: heartbeat.member,
            epoch: heartbeat.epoch,
            is_full: heartbeat.is_full,
            owned: heartbeat.owned.map(|owned| owned.into_iter().collect()),
        }
    }
}

#[derive(Default)]
struct Known {
    epoch: i32,
    previous: i32,
    /// What it may read.
    assigned: BTreeSet<TopicPartition>,
    /// What it has not let go of yet.
    revoking: BTreeSet<TopicPartition>,
    /// What it last said that it owns.
    said: BTreeSet<TopicPartition>,
    heard: Option<Instant>,
    revoking_since: Option<Instant>,
}

impl Known {
    fn holds(&self, at: &TopicPartition) -> bool {
        self.assigned.contains(at) || self.revoking.contains(at)
    }
}

pub(super) struct Coordinator {
    count: i32,
    session: Duration,
    drain: Duration,
    epoch: i32,
    members: BTreeMap<String, Known>,
    target: BTreeMap<TopicPartition, String>,
    /// It is being loaded elsewhere.
    loading_until: Option<Instant>,
}

impl Coordinator {
    pub(super) const fn new(count: i32, session: Duration, drain: Duration) -> Self {
        Self {
            count,
            session,
            drain,
            epoch: 0,
            members: BTreeMap::new(),
            target: BTreeMap::new(),
            loading_until: None,
        }
    }

    /// Whether it takes the member's next heartbeat. (A join that was long on its way may bring back a name whose life is
    /// over: that is another member.)
    pub(super) fn knows(&self, member: &Member) -> bool {
        let epoch = member.epoch().get();
        let known = self.members.get(member.id());
        known.is_some_and(|known| known.epoch == epoch || known.previous == epoch)
    }

    pub(super) fn partitions(&self) -> BTreeSet<TopicPartition> {
        (0..self.count).map(at).collect()
    }

    /// What the member shall keep, whatever happens around it.
    pub(super) fn keeps(&self, member: &str) -> BTreeSet<TopicPartition> {
        let Some(known) = self.members.get(member) else {
            return BTreeSet::new();
        };
        let targeted = |at: &&TopicPartition| self.target.get(at).is_some_and(|id| id == member);
        known.assigned.iter().filter(targeted).copied().collect()
    }

    pub(super) fn grow(&mut self, by: i32) {
        self.count += by;
        self.assign();
    }

    /// Another broker loads the group: for a while there is no answer, then all sessions begin anew.
    pub(super) fn move_elsewhere(&mut self, now: Instant, takes: Duration) {
        self.loading_until = Some(now + takes);
        for known in self.members.values_mut() {
            known.heard = Some(now + takes);
            known.revoking_since = known.revoking_since.map(|_| now + takes);
        }
    }

    /// Evenly, moving as little as possible.
    fn assign(&mut self) {
        self.epoch += 1;
        let mut counts: BTreeMap<String, usize> =
            self.members.keys().map(|id| (id.clone(), 0)).collect();
        if counts.is_empty() {
            self.target.clear();
            return;
        }
        let all = self.partitions();
        let most = all.len().div_ceil(counts.len());
        let mut free = Vec::new();
        for at in all {
            let keeper = self.target.get(&at).and_then(|id| counts.get_mut(id));
            match keeper {
                Some(count) if *count < most => *count += 1,
                _ => free.push(at),
            }
        }
        for at in free {
            let least = counts.iter_mut().min_by_key(|(_, count)| **count).unwrap();
            *least.1 += 1;
            self.target.insert(at, least.0.clone());
        }
    }

    fn expire(&mut self, now: Instant) {
        let (session, drain) = (self.session, self.drain);
        let before = self.members.len();
        self.members.retain(|_, known| {
            let is_heard = known.heard.is_some_and(|heard| now < heard + session);
            let is_slow = known.revoking_since.is_some_and(|since| now >= since + drain);
            is_heard && !is_slow
        });
        if self.members.len() != before {
            self.assign();
        }
    }

    pub(super) fn heartbeat(&mut self, request: &Request, now: Instant) -> Result<Answer, Failure> {
        if self.loading_until.is_some_and(|until| now < until) {
            return Err(Failure::Loading);
        }
        self.expire(now);
        let fenced = |why: &str| Err(Failure::Fenced(why.to_owned()));
        if request.epoch.get() < 0 {
            if self.members.remove(&request.member).is_some() {
                self.assign();
            }
            let interval = Duration::from_secs(1);
            return Ok(Answer { epoch: request.epoch, interval, target: None });
        }
        if request.epoch == MemberEpoch::JOIN {
            if !self.members.contains_key(&request.member) {
                self.members.insert(request.member.clone(), Known::default());
                self.assign();
            }
        } else {
            let Some(known) = self.members.get(&request.member) else {
                return fenced("unknown");
            };
            let epoch = request.epoch.get();
            let may_own: BTreeSet<_> = known.assigned.union(&known.revoking).copied().collect();
            let is_within = request.owned.as_ref().is_none_or(|owned| owned.is_subset(&may_own));
            if epoch != known.epoch && !(epoch == known.previous && is_within) {
                return fenced("epoch");
            }
        }
        self.reconcile(request, now);
        let known = &self.members[&request.member];
        let differs = known.said != known.assigned;
        let topic = TopicName::new("events").unwrap();
        let target = known.assigned.iter().map(|at| Target { at: *at, topic: topic.clone() });
        Ok(Answer {
            epoch: MemberEpoch::new(known.epoch),
            interval: Duration::from_secs(1),
            target: (request.is_full || differs).then(|| target.collect()),
        })
    }

    fn reconcile(&mut self, request: &Request, now: Instant) {
        let mine: BTreeSet<_> = self
            .target
            .iter()
            .filter(|(_, id)| **id == request.member)
            .map(|(at, _)| *at)
            .collect();
        let known = self.members.get_mut(&request.member).unwrap();
        known.heard = Some(now);
        // What was said before the last order to let go says nothing about it.
        if let Some(owned) = request.owned.as_ref().filter(|_| request.epoch.get() == known.epoch) {
            known.said.clone_from(owned);
            known.revoking.retain(|at| owned.contains(at));
        }
        let before = known.assigned.clone();
        if known.revoking.is_empty() {
            known.revoking = known.assigned.difference(&mine).copied().collect();
            known.assigned.retain(|at| mine.contains(at));
        }
        let mut free = BTreeSet::new();
        if known.revoking.is_empty() {
            free.extend(mine.difference(&known.assigned).copied());
            free.retain(|at| !self.members.values().any(|other| other.holds(at)));
        }
        let known = self.members.get_mut(&request.member).unwrap();
        known.assigned.extend(free);
        known.revoking_since =
            (!known.revoking.is_empty()).then(|| known.revoking_since.unwrap_or(now));
        if (known.assigned != before || known.epoch == 0) && known.epoch != self.epoch {
            known.previous = known.epoch;
            known.epoch = self.epoch;
        }
    }
}
