//! A fetcher whose brokers are played by the test, on a clock that stands still.

use futures_util::FutureExt;
use thalweg_protocol::batch::{BatchBuilder, Compression};
use thalweg_protocol::native::{
    BrokerEndpoint, FetchedPartition, FetchedTopic, MetadataResponse, PartitionMetadata,
    TopicMetadata,
};
use thalweg_protocol::{
    BrokerEpoch, BrokerId, ClusterId, ProducerEpoch, ProducerId, Sequence, TimestampMs, TopicName,
};
use tokio::task::unconstrained;
use tokio::time::advance;

use super::super::position::Activity;
use super::*;
use crate::config::ClientOptions;
use crate::connection::{Connection, Held, Reply, hello};

const KIB: usize = 1024;
const TOPIC: TopicId = TopicId::from_bytes([7; 16]);

/// A request that was not answered yet: for which partition, from where, for how many bytes, and where the answer goes.
struct Fetch {
    partition: PartitionIndex,
    offset: i64,
    bytes_max: usize,
    reply: Reply,
}

impl Fetch {
    fn place(&self) -> (i32, i64) {
        (self.partition.get(), self.offset)
    }
}

/// A fetcher connected to as many brokers as the topic has partitions, each of which leads one.
struct World {
    fetcher: Fetcher,
    brokers: Vec<Held>,
}

fn address(broker: i32) -> Arc<str> {
    format!("127.0.0.1:{}", 9000 + broker).into()
}

fn metadata(name: &TopicName, partitions: i32) -> MetadataResponse {
    let broker = |id: i32| BrokerEndpoint {
        id: BrokerId::new(id),
        epoch: BrokerEpoch::new(1),
        host: "127.0.0.1".to_owned(),
        port: u16::try_from(9000 + id).unwrap(),
        rack: None,
    };
    let partition = |index: i32| PartitionMetadata {
        partition: PartitionIndex::new(index),
        leader: BrokerId::new(index),
        leader_epoch: LeaderEpoch::FIRST,
        replicas: Vec::new(),
        isr: Vec::new(),
        offline: Vec::new(),
    };
    MetadataResponse {
        cluster: ClusterId::NONE,
        controller: BrokerId::new(0),
        brokers: (0..partitions).map(broker).collect(),
        topics: vec![TopicMetadata {
            error: None,
            name: name.to_string(),
            id: TOPIC,
            internal: false,
            partitions: (0..partitions).map(partition).collect(),
        }],
    }
}

impl World {
    fn new(partitions: i32, prefetch_bytes_max: usize, fetch_bytes_max: usize) -> Self {
        let name = TopicName::new("events").unwrap();
        let router = Arc::new(Router::new(Arc::new(ClientOptions::default())));
        router.metadata().want(&name);
        router.metadata().update(&metadata(&name, partitions), now());
        let connect = |broker| {
            let (connection, held) = Connection::held(&address(broker), hello());
            router.pool().put(&address(broker), Lane::Fetch, connection);
            held
        };
        let brokers = (0..partitions).map(connect).collect();
        let track =
            |index| Track::new(&name, TOPIC, PartitionIndex::new(index), Offset::ZERO, None);
        let shared = Arc::new(Shared::new((0..partitions).map(track).collect()));
        let options = ConsumerOptions {
            prefetch_bytes_max,
            fetch_bytes_max,
            partition_bytes_max: fetch_bytes_max,
            ..ConsumerOptions::default()
        };
        let stop = CancellationToken::new();
        Self { fetcher: Fetcher::new(router, Arc::new(options), shared, stop), brokers }
    }

    /// The fetcher works and hears what has come until it has nothing more to do; what it asks for.
    fn turn(&mut self) -> Vec<Fetch> {
        self.fetcher.work();
        while let Some(Some(event)) = unconstrained(self.fetcher.events.next()).now_or_never() {
            self.fetcher.handle(event);
            self.fetcher.work();
        }
        let mut fetches = Vec::new();
        for broker in &mut self.brokers {
            while let Some((request, reply)) = broker.next::<FetchRequest>() {
                let one = &request.topics[0].partitions[0];
                let (partition, offset) = (one.partition, one.offset.get());
                let bytes_max = usize::try_from(request.bytes_max).unwrap();
                fetches.push(Fetch { partition, offset, bytes_max, reply });
            }
        }
        fetches
    }

    /// The answer to the fetch of this partition is arriving; it ends below `next`.
    fn foresee(&self, partition: usize, next: i64) {
        let track = &mut self.fetcher.shared.board().tracks[partition];
        assert!(track.foresee(0, Offset::new(next), LeaderEpoch::FIRST));
    }

    fn set(&self, partition: usize, activity: Activity) {
        self.fetcher.shared.board().tracks[partition].activity = activity;
    }
}

/// The answer: one record of so many bytes, at offset 0.
fn answer(fetch: Fetch, bytes: usize) {
    let mut builder = BatchBuilder::new(Compression::None, bytes + KIB);
    let value = vec![7; bytes];
    builder.try_append(TimestampMs::new(5), None, Some(&value), &[]).unwrap();
    let records = builder.build(ProducerId::NONE, ProducerEpoch::new(-1), Sequence::new(-1));
    let partition = FetchedPartition {
        partition: fetch.partition,
        error: None,
        high_watermark: Offset::new(1000),
        log_start: Offset::ZERO,
        next_good: Offset::NONE,
        diverging: None,
        leader: None,
        records,
    };
    let topics = vec![FetchedTopic { topic: TOPIC, partitions: vec![partition] }];
    fetch.reply.good(&FetchResponse { topics });
}

fn places(fetches: &[Fetch]) -> Vec<(i32, i64)> {
    fetches.iter().map(Fetch::place).collect()
}

/// Both may bring all that they asked for, and the memory has no room for a third and what would follow.
#[tokio::test(start_paused = true)]
async fn who_would_go_ahead_counts_what_is_under_way_until_it_has_come() {
    let mut world = World::new(2, 1088 * KIB, 256 * KIB);
    let mut first = world.turn();
    assert_eq!(places(&first), [(0, 0), (1, 0)]);
    world.foresee(0, 1);
    let ahead = world.turn();
    assert_eq!(places(&ahead), [(0, 1)]);
    world.foresee(1, 1);
    assert_eq!(places(&world.turn()), [], "three answers may come");
    answer(first.remove(0), 100);
    assert_eq!(places(&world.turn()), [(1, 1)], "one of them has come, and is small");
}

/// Several that went ahead in one turn had each the room that one of them had, and it went to others besides: more was read
/// than the memory has room for.
#[tokio::test(start_paused = true)]
async fn what_is_asked_ahead_takes_its_room_from_all_others() {
    let mut world = World::new(5, 768 * KIB, 128 * KIB);
    world.set(4, Activity::Paused);
    let first = world.turn();
    assert_eq!(places(&first), [(0, 0), (1, 0), (2, 0), (3, 0)]);
    (0..4).for_each(|partition| world.foresee(partition, 1));
    let ahead = world.turn();
    assert_eq!(places(&ahead), [(0, 1), (1, 1), (2, 1), (3, 1)]);
    let sum = |fetches: &[Fetch]| fetches.iter().map(|fetch| fetch.bytes_max).sum::<usize>();
    let asked = sum(&ahead);
    assert_eq!(sum(&first) + asked, 768 * KIB, "what comes fits in any case");
    for fetch in first {
        answer(fetch, 110 * KIB);
    }
    assert_eq!(places(&world.turn()), []);
    let buffered = world.fetcher.shared.board().buffered_bytes();
    world.set(4, Activity::Reading);
    let late = world.turn();
    assert_eq!(places(&late), [(4, 0)]);
    assert_eq!(sum(&late), 768 * KIB - buffered - asked, "what is left, beside {buffered}");
}

/// Metadata was old, its refresh was under way, and the fetcher woke at once again and again.
#[tokio::test(start_paused = true)]
async fn the_fetcher_sleeps_while_old_metadata_is_refreshed() {
    let mut world = World::new(1, 1 << 20, 1 << 20);
    advance(world.fetcher.router.options().metadata_age_max).await;
    world.fetcher.work();
    assert!(world.fetcher.refresh.is_asked());
    let events = world.fetcher.events.len();
    world.fetcher.work();
    assert_eq!(world.fetcher.wake_at, now() + IDLE, "nothing is due");
    assert_eq!(world.fetcher.events.len(), events, "one refresh at a time");
}

#[tokio::test(start_paused = true)]
async fn metadata_that_did_not_come_is_asked_for_again_by_the_fetcher() {
    let mut world = World::new(1, 1 << 20, 1 << 20);
    world.fetcher.refresh.want();
    world.fetcher.work();
    assert!(world.fetcher.refresh.is_asked());
    world.fetcher.handle(Event::Refreshed(Err(CallError::NoLeader)));
    world.fetcher.work();
    assert!(!world.fetcher.refresh.is_asked(), "there is a pause");
    let due = world.fetcher.refresh.not_before();
    assert_eq!(world.fetcher.wake_at, due);
    advance(due - now()).await;
    world.fetcher.work();
    assert!(world.fetcher.refresh.is_asked());
}
