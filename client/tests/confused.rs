//! Members at a coordinator that is slow, mute or confused: the last commit comes before the leaving, what waits for an
//! answer ends, and nothing is committed in the wrong name.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::chaos::Chaos;
use support::{Cluster, eventually};
use thalweg_client::{
    Client, CommitError, CommitOffset, ConsumeError, Consumer, ConsumerBuilder, ErrorCode,
    GroupEvent, Offset, Record, StartAt,
};
use tokio::sync::Semaphore;

const MS: Duration = Duration::from_millis(1);

async fn publish(client: &Client, partitions: usize, records: usize) {
    let producer = client.producer().build().await.unwrap();
    for number in 0..records {
        let partition = i32::try_from(number % partitions).unwrap();
        let value = number.to_string();
        let record = Record::to("events").partition(partition).value(&value);
        producer.send(record).await.unwrap().await.unwrap();
    }
}

async fn cluster(partitions: usize, records: usize) -> (Cluster, Client) {
    let cluster = Cluster::start(1).await;
    cluster.create("events", partitions);
    let client = cluster.client();
    publish(&client, partitions, records).await;
    (cluster, client)
}

fn subscribed(client: &Client) -> ConsumerBuilder {
    client.consumer().group("g").subscribe(["events"])
}

async fn next(consumer: &mut Consumer) -> (i32, i64) {
    let next = tokio::time::timeout(Duration::from_secs(20), consumer.next());
    let record = next.await.unwrap().unwrap().unwrap();
    (record.partition.get(), record.offset.get())
}

fn committed(cluster: &Cluster) -> Vec<i64> {
    cluster.state().groups.offsets.values().map(|(offset, _, _)| *offset).collect()
}

/// Holds commits back until permits are added.
fn hold_commits(cluster: &Cluster) -> Arc<Semaphore> {
    let gate = Arc::new(Semaphore::new(0));
    cluster.state().groups.commit_gate = Some(gate.clone());
    gate
}

fn heartbeats(cluster: &Cluster) -> usize {
    cluster.state().groups.heartbeats.len()
}

/// Waits for so many more heartbeats: time enough for a member to say what it wants to.
async fn heartbeats_more(cluster: &Cluster, count: usize) {
    let before = heartbeats(cluster);
    eventually("heartbeats", || heartbeats(cluster) >= before + count).await;
}

#[tokio::test]
async fn closing_waits_for_the_answer_to_the_last_commit_before_it_leaves() {
    let (cluster, client) = cluster(1, 3).await;
    let mut consumer = subscribed(&client).build().await.unwrap();
    next(&mut consumer).await;
    let gate = hold_commits(&cluster);
    let closing = tokio::spawn(consumer.close());
    heartbeats_more(&cluster, 3).await;
    assert_eq!(cluster.state().groups.members.len(), 1, "it is still a member");
    gate.add_permits(1);
    closing.await.unwrap().unwrap();
    assert_eq!(
        (committed(&cluster), cluster.state().groups.log.clone()),
        (vec![1], vec!["commit", "leave"])
    );
}

/// A coordinator that is mute about the commit kept the member, too, until its session was over: nobody had said that it
/// leaves.
#[tokio::test]
async fn a_member_whose_last_commit_is_never_answered_leaves_all_the_same() {
    let (cluster, client) = cluster(1, 3).await;
    let mut consumer = subscribed(&client).close_timeout(800 * MS).build().await.unwrap();
    next(&mut consumer).await;
    hold_commits(&cluster);
    let closed = tokio::time::timeout(Duration::from_secs(20), consumer.close()).await.unwrap();
    let error = closed.unwrap_err().to_string();
    assert!(error.contains("not committed within") && error.contains("CommitOffsets"), "{error}");
    eventually("leaving", || cluster.state().groups.members.is_empty()).await;
}

/// It left before the commit was answered, and joined again at once although nobody asked for records.
#[tokio::test]
async fn an_application_that_asks_for_nothing_leaves_after_its_commit_and_stays_away() {
    let (cluster, client) = cluster(1, 4).await;
    let events: Arc<Mutex<Vec<GroupEvent>>> = Arc::default();
    let tells = events.clone();
    let builder = subscribed(&client).max_poll_interval(1000 * MS);
    let builder = builder.on_group_event(move |event| tells.lock().unwrap().push(event.clone()));
    let mut consumer = builder.build().await.unwrap();
    assert_eq!([next(&mut consumer).await, next(&mut consumer).await], [(0, 0), (0, 1)]);
    let gate = hold_commits(&cluster);
    let overdue = |event: &GroupEvent| matches!(event, GroupEvent::PollOverdue { .. });
    eventually("the guard", || events.lock().unwrap().iter().any(overdue)).await;
    heartbeats_more(&cluster, 2).await;
    assert_eq!(cluster.state().groups.members.len(), 1, "it waits for its commit");
    gate.add_permits(1);
    eventually("leaving", || cluster.state().groups.members.is_empty()).await;
    let log = cluster.state().groups.log.clone();
    assert_eq!((committed(&cluster), &log[..]), (vec![1], &["commit", "leave"][..]));

    // What a resting member is asked to commit is refused at once, and it does not come back for it.
    let late = consumer.commit_offsets([CommitOffset::new("events", 0, Offset::new(2))]).await;
    assert!(matches!(late, Err(CommitError::NotMember { .. })), "{late:?}");
    let back = tokio::time::timeout(300 * MS, async {
        eventually("coming back", || !cluster.state().groups.members.is_empty()).await;
    });
    assert!(back.await.is_err(), "nobody has asked for a record");
    assert_eq!(next(&mut consumer).await, (0, 1), "what was in hand comes again");
}

/// The second commit waited behind the first, was sent after the member had joined with a new name, and put the offset back.
#[tokio::test]
async fn a_commit_that_waited_while_its_member_was_fenced_is_not_made_by_the_next_one() {
    let (cluster, client) = cluster(1, 4).await;
    let mut consumer = subscribed(&client).manual_commit().build().await.unwrap();
    next(&mut consumer).await;
    let gate = hold_commits(&cluster);
    let offset = |offset| [CommitOffset::new("events", 0, Offset::new(offset))];
    let (first, second) = (consumer.commit_offsets(offset(1)), consumer.commit_offsets(offset(2)));
    let id = consumer.member_id().unwrap();
    let disturb = async {
        heartbeats_more(&cluster, 2).await;
        cluster.state().groups.fence(&id);
        eventually("another life", || consumer.member_id().unwrap() != id).await;
        eventually("joining", || !cluster.state().groups.members.is_empty()).await;
        gate.add_permits(10);
    };
    let (first, second, ()) = tokio::join!(first, second, disturb);
    for outcome in [first, second] {
        assert!(matches!(outcome, Err(CommitError::NotMember { .. })), "{outcome:?}");
    }
    assert_eq!(committed(&cluster), Vec::<i64>::new());
}

/// A partition was added and written to before the member heard of it: beginning at its end skipped what was there.
#[tokio::test]
async fn what_is_added_after_the_subscription_is_read_from_its_beginning() {
    let (cluster, client) = cluster(1, 5).await;
    let builder = subscribed(&client).start_at(StartAt::Latest);
    let mut consumer = builder.build().await.unwrap();
    eventually("a place to begin", || consumer.position("events", 0) == Some(Offset::new(5))).await;
    // The coordinator tells nobody anything while this happens.
    cluster.state().groups.loading = usize::MAX;
    let more = thalweg_client::AlterTopic::new("events").partitions(2);
    client.admin().alter_topic(more).await.unwrap();
    publish(&client, 2, 4).await;
    cluster.state().groups.loading = 0;
    let mut read = Vec::new();
    while read.len() < 4 {
        read.push(next(&mut consumer).await);
    }
    read.sort_unstable();
    assert_eq!(read, [(0, 5), (0, 6), (1, 0), (1, 1)]);
}

/// Pausing counted as the call that follows: a record that was paused for, and then lost in a crash, was committed.
#[tokio::test]
async fn a_record_that_is_worked_on_while_its_partition_is_paused_is_not_committed() {
    let (cluster, client) = cluster(1, 3).await;
    let mut consumer = subscribed(&client).auto_commit(10 * MS).build().await.unwrap();
    assert_eq!([next(&mut consumer).await, next(&mut consumer).await], [(0, 0), (0, 1)]);
    consumer.pause("events", 0).unwrap();
    eventually("committing what is done", || committed(&cluster) == [1]).await;
    heartbeats_more(&cluster, 5).await;
    consumer.resume("events", 0).unwrap();
    heartbeats_more(&cluster, 5).await;
    assert_eq!(committed(&cluster), [1], "the second is in hand");
    assert_eq!(next(&mut consumer).await, (0, 2));
    eventually("committing the second", || committed(&cluster) == [2]).await;
}

/// Its place was written down only when the commit interval was over.
#[tokio::test]
async fn where_a_reader_of_the_end_begins_is_committed_at_once() {
    let (cluster, client) = cluster(2, 6).await;
    let builder = subscribed(&client).start_at(StartAt::Latest);
    let consumer = builder.auto_commit(Duration::from_hours(1)).build().await.unwrap();
    eventually("committing", || committed(&cluster) == [3, 3]).await;
    drop(consumer);
}

/// It was asked again without a pause, as fast as the coordinator answered.
#[tokio::test]
async fn offsets_that_are_not_known_yet_are_asked_for_with_pauses() {
    let (cluster, client) = cluster(1, 1).await;
    cluster.state().groups.offsets_unknown = usize::MAX;
    let mut consumer = subscribed(&client).build().await.unwrap();
    heartbeats_more(&cluster, 10).await;
    eventually("asking again", || cluster.state().groups.asked > 1).await;
    let said = heartbeats(&cluster);
    let asked = cluster.state().groups.asked;
    assert!(asked < 10 * said, "{asked} questions within {said} heartbeats");
    cluster.state().groups.offsets_unknown = 0;
    assert_eq!(next(&mut consumer).await, (0, 0));
}

/// It said that no broker leads the partition.
#[tokio::test]
async fn who_cannot_join_in_time_says_why() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    cluster.state().groups.instances_in_use = true;
    let client = Client::builder().bootstrap(cluster.address(0)).api_timeout(1000 * MS);
    let refused = subscribed(&client.build().unwrap()).instance("one").build().await.unwrap_err();
    let ConsumeError::Refused { operation, code, .. } = &refused else { panic!("{refused}") };
    assert_eq!((operation.as_str(), *code), ("join group g", ErrorCode::InstanceInUse));
}

/// What members have read: how often each record was handed out.
type Read = Arc<Mutex<BTreeMap<(i32, i64), usize>>>;

/// Reads, works, and now and then goes and comes back, until told to end.
async fn live(client: Client, seed: u64, read: Read, end: Arc<Semaphore>) {
    let mut random = fastrand::Rng::with_seed(seed);
    loop {
        let builder = subscribed(&client).auto_commit(20 * MS).session_timeout(400 * MS);
        let builder = builder.drain_timeout(200 * MS).close_timeout(400 * MS);
        let Ok(mut consumer) = builder.build().await else { continue };
        for _ in 0..random.usize(1..60) {
            let record = tokio::select! {
                _ = end.acquire() => return,
                record = consumer.next() => record.unwrap(),
            };
            // Errors of partitions do not end a stream.
            let Ok(record) = record else { continue };
            *read
                .lock()
                .unwrap()
                .entry((record.partition.get(), record.offset.get()))
                .or_default() += 1;
            if random.u8(0..8) == 0 {
                tokio::time::sleep(random.u32(1..20) * MS).await;
            }
        }
        if random.bool() {
            drop(consumer.close().await);
        }
    }
}

#[tokio::test]
async fn whatever_happens_to_requests_each_record_is_read_and_no_offset_goes_back() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (first, runs) = (number("SEED", 1), number("N", 2));
    for seed in first..first + runs {
        let (cluster, client) = cluster(5, 200).await;
        cluster.state().groups.chaos = Chaos::seeded(seed, 6);
        let (read, end) = (Read::default(), Arc::new(Semaphore::new(0)));
        let lives: Vec<_> = (0..3)
            .map(|one| {
                let seed = 10 * seed + one;
                tokio::spawn(live(cluster.client(), seed, read.clone(), end.clone()))
            })
            .collect();
        eventually("faults of all kinds", || cluster.state().groups.chaos.happened.len() == 8)
            .await;
        publish(&client, 5, 200).await;
        cluster.state().groups.chaos.one_in = 0;
        eventually("reading and committing all", || committed(&cluster) == [80; 5]).await;
        end.close();
        for life in lives {
            life.await.unwrap();
        }
        let all = read.lock().unwrap().len();
        assert_eq!((all, cluster.state().groups.went_back), (400, 0), "seed {seed}");
    }
}
