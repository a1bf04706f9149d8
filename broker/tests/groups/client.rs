//! A member as a client is one: it heartbeats, reads, commits, lets go, and believes only what it is answered.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use thalweg_broker::coordinator::{
    Answer, ClientInfo, Commit, CommitItem, FetchOffsets, GroupError, Heartbeat, HeartbeatAnswer,
    Request, Subscription,
};
use thalweg_protocol::{LeaderEpoch, MemberEpoch, Offset, TopicPartition};

use crate::world::World;

pub const GROUP: &str = "g";
pub const SESSION_MS: u32 = 6_000;
pub const DRAIN_MS: u32 = 5_000;
const INTERVAL_MS: u64 = 1_000;
const GIVE_UP_MS: u64 = 2_500;

/// A question on its way: who asks, in which life, and which of his questions it is.
#[derive(Clone, Debug)]
pub struct Ask {
    pub client: usize,
    pub life: u64,
    pub number: u64,
    pub request: Request,
}

/// An answer on its way back.
#[derive(Clone, Debug)]
pub struct Reply {
    pub ask: Ask,
    pub answer: Result<Answer, Option<GroupError>>,
}

#[derive(Debug)]
pub struct Client {
    pub place: usize,
    pub instance: Option<String>,
    pub subscription: Subscription,
    /// Counts the lives; each one has a name of its own.
    pub life: u64,
    pub epoch: MemberEpoch,
    /// What it reads, with the position where it knows one.
    pub reading: BTreeMap<TopicPartition, Option<i64>>,
    /// What it lets go of, and when.
    draining: BTreeMap<TopicPartition, u64>,
    /// Said in the next heartbeat.
    say_owned: bool,
    asked: u64,
    /// The heartbeat that it waits for, and since when.
    beat: Option<(u64, u64)>,
    /// The question for offsets that counts; older ones do not.
    fetch: Option<(u64, u64)>,
    commit_at: u64,
    next_beat: u64,
    pub paused_until: u64,
    pub is_up: bool,
    /// When the last commit of this member arrives: one connection keeps them in order.
    pub commit_arrives: u64,
    pub drain_ms_max: u64,
}

impl Client {
    pub fn new(place: usize, instance: Option<String>, subscription: Subscription) -> Self {
        Self {
            place,
            instance,
            subscription,
            life: 0,
            epoch: MemberEpoch::JOIN,
            reading: BTreeMap::new(),
            draining: BTreeMap::new(),
            say_owned: true,
            asked: 0,
            beat: None,
            fetch: None,
            commit_at: 0,
            next_beat: 0,
            paused_until: 0,
            is_up: false,
            commit_arrives: 0,
            drain_ms_max: 3_000,
        }
    }

    pub fn member(&self) -> String {
        format!("member-{}-{}", self.place, self.life)
    }

    /// Begins another life, knowing nothing.
    pub fn start(&mut self, now: u64) {
        self.life += 1;
        self.epoch = MemberEpoch::JOIN;
        self.reading.clear();
        self.draining.clear();
        self.say_owned = true;
        self.beat = None;
        self.fetch = None;
        self.next_beat = now;
        self.commit_arrives = 0;
        self.is_up = true;
    }

    pub fn die(&mut self) {
        self.is_up = false;
        self.reading.clear();
        self.draining.clear();
    }

    pub fn is_running(&self, now: u64) -> bool {
        self.is_up && self.paused_until <= now
    }

    fn ask(&mut self, request: Request) -> Ask {
        self.asked += 1;
        Ask { client: self.place, life: self.life, number: self.asked, request }
    }

    pub fn heartbeat(&self, epoch: MemberEpoch) -> Heartbeat {
        let joins = epoch == MemberEpoch::JOIN;
        Heartbeat {
            group: GROUP.to_owned(),
            member: self.member(),
            instance: self.instance.clone(),
            epoch,
            session_timeout_ms: SESSION_MS,
            drain_timeout_ms: DRAIN_MS,
            subscription: joins.then(|| self.subscription.clone()),
            assignor: None,
            owned: self.say_owned.then(|| self.reading.keys().copied().collect()),
            client: ClientInfo::default(),
        }
    }

    /// Leaves, for good or for a while; nobody waits for the answer.
    pub fn leave(&mut self, epoch: MemberEpoch) -> Ask {
        let request = Request::Heartbeat(self.heartbeat(epoch));
        let ask = self.ask(request);
        self.die();
        ask
    }

    /// What it does now; the questions that it asks.
    pub fn act(&mut self, now: u64, world: &World, rng: &mut Rng) -> Vec<Ask> {
        let mut asks = Vec::new();
        if !self.is_running(now) {
            return asks;
        }
        self.read(world, rng);
        // What was drained is committed before it is let go of.
        let done: Vec<_> =
            self.draining.iter().filter(|(_, when)| **when <= now).map(|(at, _)| *at).collect();
        if (self.commit_at <= now || !done.is_empty()) && self.epoch > MemberEpoch::JOIN {
            self.commit_at = now + rng.u64(200..3_000);
            asks.extend(self.commit());
        }
        for at in done {
            self.draining.remove(&at);
            self.reading.remove(&at);
            self.say_owned = true;
            self.next_beat = now;
        }
        if self.fetch.is_none_or(|(_, since)| now > since + GIVE_UP_MS) {
            asks.extend(self.fetch(now));
        }
        if self.beat.is_some_and(|(_, since)| now > since + GIVE_UP_MS) {
            self.beat = None;
        }
        if self.beat.is_none() && self.next_beat <= now {
            self.next_beat = now + INTERVAL_MS;
            let request = Request::Heartbeat(self.heartbeat(self.epoch));
            let ask = self.ask(request);
            self.beat = Some((ask.number, now));
            asks.push(ask);
        }
        asks
    }

    fn read(&mut self, world: &World, rng: &mut Rng) {
        for (at, position) in &mut self.reading {
            if let (Some(position), Some(end)) = (position, world.end(*at)) {
                *position = (*position + rng.i64(0..20)).min(end);
            }
        }
    }

    fn commit(&mut self) -> Option<Ask> {
        let item = |(at, position): (&TopicPartition, &Option<i64>)| {
            Some(CommitItem {
                partition: *at,
                offset: Offset::new((*position)?),
                leader_epoch: LeaderEpoch::new(0),
                metadata: String::new(),
            })
        };
        let items: Vec<_> = self.reading.iter().filter_map(item).collect();
        let (member, epoch) = (self.member(), self.epoch);
        let commit = Commit { group: GROUP.to_owned(), member, epoch, items };
        (!commit.items.is_empty()).then(|| self.ask(Request::Commit(commit)))
    }

    fn fetch(&mut self, now: u64) -> Option<Ask> {
        let unknown: Vec<_> =
            self.reading.iter().filter(|(_, p)| p.is_none()).map(|(at, _)| *at).collect();
        if unknown.is_empty() || self.epoch <= MemberEpoch::JOIN {
            return None;
        }
        let (member, epoch) = (self.member(), self.epoch);
        let fetch =
            FetchOffsets { group: GROUP.to_owned(), member, epoch, partitions: Some(unknown) };
        let ask = self.ask(Request::FetchOffsets(fetch));
        self.fetch = Some((ask.number, now));
        Some(ask)
    }

    /// An answer has come.
    pub fn hear(&mut self, reply: Reply, now: u64, rng: &mut Rng) {
        let Ask { life, number, request, .. } = reply.ask;
        if life != self.life || !self.is_running(now) {
            return;
        }
        match (request, reply.answer) {
            (Request::Heartbeat(_), answer) => {
                if self.beat.is_none_or(|(waited, _)| waited != number) {
                    return;
                }
                self.beat = None;
                match answer {
                    Ok(Answer::Heartbeat(answer)) => self.told(answer, now, rng),
                    Ok(_) => panic!("another answer"),
                    Err(Some(
                        GroupError::UnknownMember { .. } | GroupError::FencedMemberEpoch { .. },
                    )) => self.start(now),
                    Err(_) => self.next_beat = now + 300,
                }
            }
            (Request::FetchOffsets(_), answer) => {
                if self.fetch.is_none_or(|(waited, _)| waited != number) {
                    return;
                }
                self.fetch = None;
                let Ok(Answer::Offsets(offsets)) = answer else { return };
                for (at, offset) in offsets {
                    let committed = offset.unwrap().offset.get().max(0);
                    if let Some(position @ None) = self.reading.get_mut(&at) {
                        *position = Some(committed);
                    }
                }
            }
            _ => {}
        }
    }

    fn told(&mut self, answer: HeartbeatAnswer, now: u64, rng: &mut Rng) {
        self.epoch = answer.epoch;
        self.say_owned = false;
        let Some(target) = answer.target else { return };
        // Each target is answered by what is owned, so that both sides know.
        self.say_owned = true;
        self.next_beat = now;
        let target: BTreeSet<TopicPartition> = target
            .into_iter()
            .flat_map(|topic| {
                topic.partitions.into_iter().map(move |p| TopicPartition::new(topic.topic, p))
            })
            .collect();
        for at in self.reading.keys().copied().collect::<Vec<_>>() {
            if !target.contains(&at) {
                let when = now + rng.u64(0..=self.drain_ms_max);
                self.draining.entry(at).or_insert(when);
            }
        }
        if self.draining.keys().any(|at| !target.contains(at)) {
            self.next_beat = now + INTERVAL_MS;
        }
        for at in target {
            // What it was to let go of and is given back it goes on reading.
            self.draining.remove(&at);
            if let Entry::Vacant(place) = self.reading.entry(at) {
                place.insert(None);
                // An answer that is on its way may be from when it read this before.
                self.fetch = None;
            }
        }
    }
}
