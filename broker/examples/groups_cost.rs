//! What groups cost without network and disk: a heartbeat among many, the way to a stable group, a load.
//!
//! `cargo run --release -p thalweg-broker --all-features --example groups_cost`
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a measuring program: it prints, reads the clock, and fails by panicking"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use thalweg_broker::base::Monotonic;
use thalweg_broker::coordinator::{
    Answer, ClientInfo, CommittedOffset, GroupOptions, GroupState, Groups, Heartbeat, Moment, Name,
    Record, Request, Subscription, TopicFacts, Topics,
};
use thalweg_protocol::{
    LeaderEpoch, MemberEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicPartition,
};

const TOPIC: TopicId = TopicId::from_bytes([7; 16]);

/// One topic with so many partitions.
struct OneTopic(usize);

impl Topics for OneTopic {
    fn named(&self, name: &str) -> Option<TopicFacts> {
        (name == "t").then_some(TopicFacts { id: TOPIC, partitions: self.0 })
    }

    fn with_id(&self, id: TopicId) -> Option<TopicFacts> {
        (id == TOPIC).then_some(TopicFacts { id, partitions: self.0 })
    }

    fn name_of(&self, id: TopicId) -> Option<&str> {
        (id == TOPIC).then_some("t")
    }

    fn each(&self, visit: &mut dyn FnMut(&str, TopicFacts)) {
        visit("t", TopicFacts { id: TOPIC, partitions: self.0 });
    }

    fn log_end(&self, _at: TopicPartition) -> Option<Offset> {
        None
    }
}

fn beat(group: usize, member: usize, epoch: i32, owned: Option<Vec<TopicPartition>>) -> Heartbeat {
    let names = vec!["t".to_owned()];
    Heartbeat {
        group: format!("group-{group}"),
        member: format!("member-{member:06}"),
        instance: None,
        epoch: MemberEpoch::new(epoch),
        session_timeout_ms: 0,
        drain_timeout_ms: 0,
        subscription: (epoch == 0).then_some(Subscription { names, pattern: None }),
        assignor: None,
        owned,
        client: ClientInfo::default(),
    }
}

struct Bench {
    groups: Groups,
    topics: OneTopic,
}

impl Bench {
    fn new(partitions: usize) -> Self {
        let groups = Groups::new(Arc::new(GroupOptions::default()));
        Self { groups, topics: OneTopic(partitions) }
    }

    fn round(&mut self, requests: Vec<Request>) -> Vec<Answer> {
        let moment = Moment {
            now: Monotonic::ZERO,
            wall: TimestampMs::new(0),
            topics: &self.topics,
            groups_elsewhere: 0,
            members_elsewhere: 0,
        };
        let round = self.groups.round(requests, &moment);
        round.answers.into_iter().map(|answer| answer.expect("a good question")).collect()
    }

    /// All members join at once; then they heartbeat until the group is stable. Says how many heartbeats each sent.
    fn stabilize(&mut self, group: usize, members: usize) -> (Vec<i32>, usize) {
        let mut epochs = vec![0; members];
        let mut owned: Vec<Option<Vec<TopicPartition>>> = vec![Some(Vec::new()); members];
        for beats in 1..50 {
            for member in 0..members {
                let said = owned.get_mut(member).expect("a member").take();
                let epoch = epochs.get_mut(member).expect("a member");
                let request = Request::Heartbeat(beat(group, member, *epoch, said));
                let answers = self.round(vec![request]);
                let Some(Answer::Heartbeat(answer)) = answers.into_iter().next() else {
                    panic!("another answer");
                };
                *epoch = answer.epoch.get();
                let target = answer.target.map(|topics| {
                    let all = topics.into_iter().flat_map(|topic| topic.partitions);
                    all.map(|p| TopicPartition::new(TOPIC, p)).collect()
                });
                if let Some(place) = owned.get_mut(member) {
                    *place = target;
                }
            }
            let asked = vec![Request::Describe(format!("group-{group}"))];
            let answers = self.round(asked);
            if let Some(Answer::Described(group)) = answers.first()
                && group.state == GroupState::Stable
            {
                return (epochs, beats);
            }
        }
        panic!("the group never became stable");
    }
}

fn main() {
    for members in [10, 100, 1_000] {
        let mut bench = Bench::new(members * 2);
        let began = Instant::now();
        let (_, beats) = bench.stabilize(0, members);
        let took = began.elapsed();
        println!("stable group of {members}: {beats} heartbeats of each member, {took:?} of CPU");
    }
    heartbeats();
    load();
}

fn heartbeats() {
    let mut bench = Bench::new(20);
    let epochs: Vec<Vec<i32>> = (0..100).map(|group| bench.stabilize(group, 10).0).collect();
    let mut count = 0_u32;
    let mut spent = Duration::ZERO;
    for _ in 0..100 {
        let mut requests = Vec::new();
        for (group, epochs) in epochs.iter().enumerate() {
            for (member, epoch) in epochs.iter().enumerate() {
                requests.push(Request::Heartbeat(beat(group, member, *epoch, None)));
            }
        }
        count += u32::try_from(requests.len()).expect("few");
        let began = Instant::now();
        bench.round(requests);
        spent += began.elapsed();
    }
    println!("heartbeat of one of 1,000 members in 100 groups: {:?}", spent / count);
}

fn load() {
    const OFFSETS: i32 = 1_000_000;
    let records: Vec<(Bytes, Option<Bytes>)> = (0..OFFSETS)
        .map(|number| {
            let group: Name = format!("group-{}", number / 1_000).into();
            let at = TopicPartition::new(TOPIC, PartitionIndex::new(number % 1_000));
            let offset = CommittedOffset {
                offset: Offset::new(i64::from(number)),
                leader_epoch: LeaderEpoch::new(0),
                metadata: String::new(),
                commit_time: TimestampMs::new(0),
            };
            let record = Record::Offset(group, at, Some(offset));
            (record.key(), record.value())
        })
        .collect();
    let began = Instant::now();
    let mut groups = Groups::new(Arc::new(GroupOptions::default()));
    for (key, value) in records {
        let record = Record::decode(key, value).expect("it was just made").expect("a known kind");
        groups.load(record);
    }
    println!(
        "load of {OFFSETS} committed offsets in {} groups: {:?}",
        groups.count(),
        began.elapsed()
    );
}
