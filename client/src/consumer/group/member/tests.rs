//! Members against a coordinator in memory, over a network that delays, loses and doubles what it carries: one seeded
//! run after the other. `N=` takes more of them, `SEED=` begins elsewhere.
//!
//! Checked after each step: members that the coordinator knows never own a partition twice; a partition that a member
//! keeps is never taken from it; when the disturbances end, all partitions are owned again within a bound.

mod coordinator;

use std::collections::{BTreeMap, BTreeSet};

use thalweg_protocol::native::ApiError;
use thalweg_protocol::{ErrorCode, PartitionIndex, TopicId, TopicName};

use super::*;
use crate::clock::now;
use coordinator::{Coordinator, Request};

const MS: Duration = Duration::from_millis(1);
const SESSION: Duration = Duration::from_secs(10);
const DRAIN: Duration = Duration::from_secs(4);
/// What a client gives a heartbeat.
const PATIENCE: Duration = Duration::from_secs(3);

fn rules() -> Rules {
    Rules {
        session_timeout: SESSION,
        drain_timeout: DRAIN,
        is_static: false,
        backoff: Backoff::new(20 * MS, 500 * MS),
    }
}

fn at(partition: i32) -> TopicPartition {
    TopicPartition::new(TopicId::NONE, PartitionIndex::new(partition))
}

fn target(partitions: &[i32]) -> Vec<Target> {
    let topic = TopicName::new("events").unwrap();
    partitions.iter().map(|one| Target { at: at(*one), topic: topic.clone() }).collect()
}

fn answer(epoch: i32, partitions: Option<Vec<Target>>) -> Answer {
    Answer { epoch: MemberEpoch::new(epoch), interval: 1000 * MS, target: partitions }
}

/// A member that has joined and owns `partitions`.
fn joined(partitions: &[i32]) -> (Member, Instant) {
    let begun = now();
    let mut member = Member::new(rules(), Rng::with_seed(1), begun);
    let first = member.heartbeat(begun).unwrap();
    assert_eq!((first.epoch, first.is_full, first.owned), (MemberEpoch::JOIN, true, Some(vec![])));
    let mut effects = Vec::new();
    member.answered(0, answer(1, Some(target(partitions))), begun, &mut effects);
    let told = member.heartbeat(begun).unwrap();
    assert_eq!(told.owned.unwrap(), partitions.iter().map(|one| at(*one)).collect::<Vec<_>>());
    member.answered(0, answer(1, None), begun, &mut effects);
    (member, begun)
}

#[test]
fn what_is_kept_is_not_touched_when_something_is_taken_away() {
    let (mut member, begun) = joined(&[0, 1, 2]);
    let soon = begun + 1000 * MS;
    let heartbeat = member.heartbeat(soon).unwrap();
    assert_eq!((heartbeat.owned, heartbeat.is_full), (None, false), "nothing has changed");
    let mut effects = Vec::new();
    member.answered(0, answer(1, Some(target(&[0, 3]))), soon, &mut effects);
    let said = format!("{effects:?}");
    assert!(
        matches!(
            &effects[..],
            [Effect::LetGo { partitions, until }, Effect::Take(taken)]
                if *partitions == [at(1), at(2)] && *until == soon + DRAIN && taken[0].at == at(3)
        ),
        "{said}"
    );
    let told = member.heartbeat(soon).unwrap();
    assert_eq!(told.owned.unwrap(), [at(0), at(1), at(2), at(3)], "all that is still read");
    member.answered(0, answer(1, None), soon, &mut effects);
    member.let_go(&[at(1)], soon);
    assert_eq!(member.heartbeat(soon).unwrap().owned.unwrap(), [at(0), at(2), at(3)]);
}

#[test]
fn a_member_that_is_fenced_drops_everything_and_begins_a_new_life() {
    let (mut member, begun) = joined(&[0]);
    let old = member.id().to_owned();
    let soon = begun + 1000 * MS;
    member.heartbeat(soon).unwrap();
    let mut effects = Vec::new();
    member.failed(0, Failure::Fenced("gone".to_owned()), soon, &mut effects);
    assert!(matches!(&effects[..], [Effect::Drop { partitions, .. }] if *partitions == [at(0)]));
    assert_ne!(member.id(), old);
    let later = soon + 500 * MS;
    let join = member.heartbeat(later).unwrap();
    assert_eq!((join.life, join.epoch, join.owned), (1, MemberEpoch::JOIN, Some(vec![])));
    // The answer to the life before means nothing.
    effects.clear();
    member.answered(0, answer(9, Some(target(&[5]))), later, &mut effects);
    assert!(effects.is_empty(), "{effects:?}");
}

#[test]
fn after_no_answer_the_next_heartbeat_says_everything() {
    let (mut member, begun) = joined(&[0]);
    let soon = begun + 1000 * MS;
    member.heartbeat(soon).unwrap();
    member.failed(0, Failure::NoAnswer, soon, &mut Vec::new());
    let again = member.heartbeat(soon + 100 * MS).unwrap();
    assert_eq!((again.is_full, again.owned), (true, Some(vec![at(0)])));
}

#[test]
fn a_silent_coordinator_ends_the_membership_and_a_loading_one_does_not() {
    let (mut member, begun) = joined(&[0]);
    let mut effects = Vec::new();
    let mut time = begun;
    while time < begun + 5 * SESSION {
        time += 500 * MS;
        if member.heartbeat(time).is_some() {
            member.failed(0, Failure::Loading, time, &mut effects);
        }
        member.tick(time, &mut effects);
    }
    assert!(effects.is_empty(), "{effects:?}");
    member.tick(time + SESSION, &mut effects);
    assert!(matches!(&effects[..], [Effect::Drop { .. }]), "{effects:?}");
}

#[test]
fn an_instance_that_is_in_use_is_waited_for_a_session_and_no_longer() {
    let begun = now();
    let mut member = Member::new(Rules { is_static: true, ..rules() }, Rng::with_seed(1), begun);
    let in_use = || Failure::InUse(ApiError::new(ErrorCode::InstanceInUse, "alive"));
    let mut effects = Vec::new();
    let mut time = begun;
    while effects.is_empty() {
        if member.heartbeat(time).is_some() {
            member.failed(0, in_use(), time, &mut effects);
        }
        time += 100 * MS;
    }
    assert!(
        matches!(&effects[..], [Effect::Fail(error)] if error.code == ErrorCode::InstanceInUse)
    );
    assert!(time - begun > SESSION && time - begun < SESSION + 4 * IN_USE_SLACK);
    assert!(member.heartbeat(time + SESSION).is_none(), "it is over");
}

#[test]
fn a_static_member_leaves_for_a_while_unless_it_is_for_good() {
    for (is_static, for_good, epoch) in [
        (false, false, MemberEpoch::LEAVE),
        (true, false, MemberEpoch::LEAVE_FOR_A_WHILE),
        (true, true, MemberEpoch::LEAVE),
    ] {
        let begun = now();
        let mut member = Member::new(Rules { is_static, ..rules() }, Rng::with_seed(1), begun);
        member.heartbeat(begun).unwrap();
        member.answered(0, answer(1, None), begun, &mut Vec::new());
        let mut effects = Vec::new();
        member.leave(for_good, begun, &mut effects);
        assert_eq!(member.heartbeat(begun).unwrap().epoch, epoch);
        member.answered(0, answer(epoch.get(), None), begun, &mut effects);
        assert!(matches!(&effects[..], [Effect::Left]), "{effects:?}");
        assert!(member.heartbeat(begun + SESSION).is_none());
    }
}

/// What is on its way.
#[derive(Debug)]
enum Event {
    /// A member may have something to do.
    Wake(usize),
    Request(usize, Request),
    Answer(usize, u64, u64, Result<Answer, Failure>),
    /// The client waits no longer for the call of this number.
    GiveUp(usize, u64, u64),
    /// The application has nothing of these in hand any more.
    Done(usize, u64, Vec<TopicPartition>),
    Disturb,
}

struct One {
    member: Member,
    is_running: bool,
    /// Its next wake. Once each event brought another, and each of these the next: more than half of all steps.
    wakes_at: Option<Instant>,
    call: Option<u64>,
    /// What is read, by the effects alone.
    reads: BTreeSet<TopicPartition>,
}

/// One group, its coordinator, and the network between.
struct World {
    seed: u64,
    rng: Rng,
    now: Instant,
    begun: Instant,
    calm_at: Instant,
    queue: BTreeMap<(Instant, u64), Event>,
    counter: u64,
    members: Vec<One>,
    coordinator: Coordinator,
    /// Partitions taken from a member though it was to keep them.
    interrupted: usize,
    disturbances: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let begun = now();
        let mut world = Self {
            seed,
            now: begun,
            begun,
            calm_at: begun + Duration::from_mins(1),
            queue: BTreeMap::new(),
            counter: 0,
            members: Vec::new(),
            coordinator: Coordinator::new(rng.i32(1..24), SESSION, DRAIN + Duration::from_secs(5)),
            interrupted: 0,
            disturbances: 0,
            rng,
        };
        for _ in 0..world.rng.usize(3..9) {
            world.start();
        }
        world.put(100 * MS, Event::Disturb);
        world
    }

    fn put(&mut self, after: Duration, event: Event) {
        self.counter += 1;
        self.queue.insert((self.now + after, self.counter), event);
    }

    fn is_calm(&self) -> bool {
        self.now >= self.calm_at
    }

    fn start(&mut self) {
        let seed = self.rng.u64(..);
        let member = Member::new(rules(), Rng::with_seed(seed), self.now);
        let reads = BTreeSet::new();
        self.members.push(One { member, is_running: true, wakes_at: None, call: None, reads });
        let delay = self.rng.u32(0..500) * MS;
        self.wake_after(self.members.len() - 1, delay);
    }

    fn delay(&mut self) -> Duration {
        if !self.is_calm() && self.rng.u8(0..20) == 0 {
            return self.rng.u32(0..8000) * MS;
        }
        self.rng.u32(0..30) * MS
    }

    /// Carries something, loses it, or carries it twice.
    fn carry(&mut self, make: impl Fn() -> Event) {
        let chance = if self.is_calm() { 99 } else { self.rng.u8(0..100) };
        if chance < 4 {
            return;
        }
        let delay = self.delay();
        self.put(delay, make());
        if chance < 8 {
            let delay = self.delay();
            self.put(delay, make());
        }
    }

    fn run(&mut self) {
        let end = self.calm_at + 3 * SESSION + 2 * DRAIN;
        while let Some(((time, _), event)) = self.queue.pop_first() {
            if time > end {
                break;
            }
            self.now = time;
            self.step(event);
            self.check();
        }
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Wake(index) => self.wake(index),
            Event::Request(index, request) => {
                let (life, call) = (request.life, request.call);
                let outcome = self.coordinator.heartbeat(&request, self.now);
                self.carry(|| Event::Answer(index, life, call, outcome.clone()));
            }
            Event::Answer(index, life, call, outcome) => {
                if self.members[index].call == Some(call) {
                    self.hear(index, life, outcome);
                }
            }
            Event::GiveUp(index, life, call) => {
                if self.members[index].call == Some(call) {
                    self.hear(index, life, Err(Failure::NoAnswer));
                }
            }
            Event::Done(index, life, partitions) => {
                let now = self.now;
                let one = &mut self.members[index];
                if one.member.life() == life {
                    for partition in &partitions {
                        one.reads.remove(partition);
                    }
                    one.member.let_go(&partitions, now);
                }
                self.wake(index);
            }
            Event::Disturb => self.disturb(),
        }
    }

    fn hear(&mut self, index: usize, life: u64, outcome: Result<Answer, Failure>) {
        let mut effects = Vec::new();
        let (now, one) = (self.now, &mut self.members[index]);
        one.call = None;
        match outcome {
            Ok(answer) => one.member.answered(life, answer, now, &mut effects),
            Err(failure) => one.member.failed(life, failure, now, &mut effects),
        }
        self.perform(index, effects);
        self.wake(index);
    }

    fn perform(&mut self, index: usize, effects: Vec<Effect>) {
        for effect in effects {
            let keeps = self.coordinator.keeps(self.members[index].member.id());
            let one = &mut self.members[index];
            match effect {
                Effect::Take(targets) => one.reads.extend(targets.iter().map(|one| one.at)),
                Effect::LetGo { partitions, until } => {
                    self.interrupted += partitions.iter().filter(|at| keeps.contains(at)).count();
                    let (life, longest) = (one.member.life(), (until - self.now).as_millis());
                    let longest = u32::try_from(longest).unwrap();
                    let takes = if self.rng.bool() { 0 } else { self.rng.u32(0..=longest) };
                    self.put(takes * MS, Event::Done(index, life, partitions));
                }
                Effect::Drop { partitions, .. } => {
                    for at in partitions {
                        one.reads.remove(&at);
                    }
                }
                Effect::Fail(error) => panic!("seed {}: {error}", self.seed),
                Effect::Joined | Effect::Left => {}
            }
        }
    }

    fn wake(&mut self, index: usize) {
        if !self.members[index].is_running {
            return;
        }
        let mut effects = Vec::new();
        self.members[index].member.tick(self.now, &mut effects);
        self.perform(index, effects);
        let one = &mut self.members[index];
        // A new life hears nothing of the calls of the one before.
        if let Some(heartbeat) = one.member.heartbeat(self.now) {
            self.counter += 1;
            let call = self.counter;
            one.call = Some(call);
            let life = heartbeat.life;
            let request = Request::of(heartbeat, call);
            self.carry(|| Event::Request(index, request.clone()));
            self.put(PATIENCE, Event::GiveUp(index, life, call));
        }
        if let Some(wake_at) = self.members[index].member.wake_at() {
            self.wake_after(index, wake_at.saturating_duration_since(self.now).max(MS));
        }
    }

    /// Wakes the member then at the latest.
    fn wake_after(&mut self, index: usize, after: Duration) {
        let (now, at) = (self.now, self.now + after);
        let one = &mut self.members[index];
        if one.wakes_at.is_none_or(|planned| planned <= now || at < planned) {
            one.wakes_at = Some(at);
            self.put(after, Event::Wake(index));
        }
    }

    fn disturb(&mut self) {
        if self.is_calm() {
            for one in &mut self.members {
                // Who was paused to the end is as good as dead.
                one.is_running &= !one.member.is_out();
            }
            return;
        }
        self.disturbances += 1;
        let index = self.rng.usize(0..self.members.len());
        match self.rng.u8(0..10) {
            0 | 1 => self.start(),
            2 => self.members[index].is_running = false,
            3 => {
                let mut effects = Vec::new();
                self.members[index].member.leave(true, self.now, &mut effects);
                self.perform(index, effects);
                self.wake(index);
            }
            4 => self.coordinator.grow(self.rng.i32(1..5)),
            5 => self.coordinator.move_elsewhere(self.now, self.rng.u32(0..3000) * MS),
            _ => {}
        }
        let next = self.rng.u32(100..4000) * MS;
        self.put(next, Event::Disturb);
    }

    /// Members that the coordinator knows own nothing twice.
    fn check(&self) {
        // By its number: after each step, a map would take more time than the step.
        let mut owners: Vec<Option<&str>> = Vec::new();
        for one in self.members.iter().filter(|one| !one.reads.is_empty()) {
            if !self.coordinator.knows(&one.member) {
                continue;
            }
            for at in &one.reads {
                let partition = usize::try_from(at.partition.get()).unwrap();
                owners.resize(owners.len().max(partition + 1), None);
                let other = owners[partition].replace(one.member.id());
                let after = self.now - self.begun;
                assert_eq!(other, None, "seed {}: {at} after {after:?}", self.seed);
            }
        }
    }

    /// When all is calm everything is owned, by members that live.
    fn settled(&self) {
        let mut owned = BTreeSet::new();
        let mut living = 0;
        for one in self.members.iter().filter(|one| one.is_running && !one.member.is_out()) {
            living += 1;
            owned.extend(one.reads.iter().copied());
            assert!(self.coordinator.knows(&one.member), "seed {}", self.seed);
        }
        if living > 0 {
            let all = self.coordinator.partitions();
            assert_eq!(owned, all, "seed {}: {living} members", self.seed);
        }
    }
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn whatever_the_network_does_nothing_is_owned_twice_and_all_is_owned_in_the_end() {
    let (first, runs) = (from_environment("SEED", 0), from_environment("N", 300));
    let mut disturbances = 0;
    for seed in first..first + runs {
        let mut world = World::new(seed);
        world.run();
        world.settled();
        assert_eq!(world.interrupted, 0, "seed {seed}: kept partitions were let go");
        disturbances += world.disturbances;
    }
    assert!(disturbances > usize::try_from(runs).unwrap() * 10, "a vacuous run");
}
