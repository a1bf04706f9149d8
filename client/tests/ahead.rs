//! Proves that a consumer asks for what follows while an answer is still arriving, and that nothing comes twice, goes
//! missing or changes places by it, whatever happens in between.
//!
//! How: against a fake broker on loopback whose large answers stop before their last bytes until they are let go on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::{Cluster, eventually};
use thalweg_client::{Consumer, ConsumerBuilder, Offset, Record, StartAt};
use tokio::sync::Semaphore;

const VALUE_BYTES: usize = 100_000;

/// Each record is a batch of its own, of which an answer holds one.
async fn publish(cluster: &Cluster, partition: i32, numbers: std::ops::Range<usize>) {
    let builder = cluster.client().producer().batch_bytes(VALUE_BYTES + 1000);
    let producer = builder.build().await.unwrap();
    for number in numbers {
        let value = format!("{number}:{}", "x".repeat(VALUE_BYTES));
        let record = Record::to("events").partition(partition).value(&value);
        drop(producer.send(record).await.unwrap());
    }
    producer.close().await.unwrap();
}

async fn filled(partitions: i32, count: usize) -> Cluster {
    let cluster = Cluster::start(1).await;
    cluster.create("events", usize::try_from(partitions).unwrap());
    for partition in 0..partitions {
        publish(&cluster, partition, 0..count).await;
    }
    cluster
}

/// Large answers stop before their end until permits are added.
fn hold_tails(cluster: &Cluster) -> Arc<Semaphore> {
    let gate = Arc::new(Semaphore::new(0));
    cluster.state().tail_gate = Some(gate.clone());
    gate
}

fn reader(cluster: &Cluster) -> ConsumerBuilder {
    let builder = cluster.client().consumer().topic("events", StartAt::Earliest);
    builder.partition_bytes_max(VALUE_BYTES + 10_000)
}

/// Where the only partition was asked for, in order.
fn asked(cluster: &Cluster) -> Vec<i64> {
    cluster.state().fetches.iter().flatten().map(|(_, offset)| *offset).collect()
}

async fn asked_for(cluster: &Cluster, offsets: &[i64]) {
    eventually(&format!("asking for {offsets:?}"), || asked(cluster) == offsets).await;
}

async fn next(consumer: &mut Consumer) -> (i32, i64) {
    let next = tokio::time::timeout(Duration::from_secs(20), consumer.next());
    let record = next.await.expect("a record within 20 s").unwrap().unwrap();
    let value = record.value.unwrap();
    assert!(value.starts_with(format!("{}:", record.offset).as_bytes()), "at {}", record.offset);
    (record.partition.get(), record.offset.get())
}

async fn reads(consumer: &mut Consumer, offsets: std::ops::Range<i64>) {
    for offset in offsets {
        assert_eq!(next(consumer).await, (0, offset));
    }
}

/// A reader of ten records: the first answer has arrived but for its end, what follows is asked for, and nothing more comes
/// until permits are added.
async fn two_under_way() -> (Cluster, Arc<Semaphore>, Consumer) {
    let cluster = filled(1, 10).await;
    let gate = hold_tails(&cluster);
    let consumer = reader(&cluster).stop_at_end().build().await.unwrap();
    asked_for(&cluster, &[0, 1]).await;
    (cluster, gate, consumer)
}

/// From here to the end, whatever else arrives.
async fn reads_the_rest(mut consumer: Consumer, from: i64) {
    reads(&mut consumer, from..10).await;
    assert!(consumer.next().await.is_none());
}

#[tokio::test]
async fn what_follows_is_asked_for_while_an_answer_is_still_arriving() {
    let (cluster, gate, consumer) = two_under_way().await;
    assert_eq!(consumer.prefetched_bytes(), 0, "the first answer is not here yet");
    gate.add_permits(100);
    reads_the_rest(consumer, 0).await;
    assert_eq!(asked(&cluster), (0..10).collect::<Vec<_>>(), "each place once");
}

/// Two of them would hold two places at the broker, and both be answered with the same records.
#[tokio::test]
async fn at_the_end_of_the_log_one_fetch_waits() {
    let cluster = filled(1, 3).await;
    let builder = reader(&cluster).fetch_wait_max(Duration::from_secs(20));
    let mut consumer = builder.build().await.unwrap();
    reads(&mut consumer, 0..3).await;
    asked_for(&cluster, &[0, 1, 2, 3]).await;
    publish(&cluster, 0, 3..5).await;
    reads(&mut consumer, 3..5).await;
    asked_for(&cluster, &[0, 1, 2, 3, 4, 5]).await;
    // A second one that came late stands between these.
    publish(&cluster, 0, 5..6).await;
    reads(&mut consumer, 5..6).await;
    asked_for(&cluster, &[0, 1, 2, 3, 4, 5, 6]).await;
}

#[tokio::test]
async fn after_a_seek_neither_of_two_fetches_counts() {
    for (to, expected) in [(7, [0, 1, 7]), (1, [0, 1, 1]), (0, [0, 1, 0])] {
        let (cluster, gate, mut consumer) = two_under_way().await;
        consumer.seek("events", 0, StartAt::Offset(Offset::new(to))).await.unwrap();
        asked_for(&cluster, &expected).await;
        gate.add_permits(100);
        reads_the_rest(consumer, to).await;
    }
}

#[tokio::test]
async fn a_pause_throws_away_both() {
    let (cluster, gate, mut consumer) = two_under_way().await;
    consumer.pause("events", 0).unwrap();
    consumer.resume("events", 0).unwrap();
    asked_for(&cluster, &[0, 1, 0]).await;
    gate.add_permits(100);
    reads_the_rest(consumer, 0).await;
}

#[tokio::test]
async fn a_connection_that_breaks_within_an_answer_takes_both_with_it() {
    let (cluster, _gate, consumer) = two_under_way().await;
    cluster.kill(0);
    cluster.state().tail_gate = None;
    cluster.restart(0).await;
    reads_the_rest(consumer, 0).await;
}

#[tokio::test]
async fn going_ahead_keeps_within_the_memory_for_reading_ahead() {
    let cluster = filled(1, 60).await;
    let bound = 1024 * 1024;
    let builder = reader(&cluster).prefetch_bytes_max(bound).fetch_bytes_max(256 * 1024);
    let mut consumer = builder.stop_at_end().build().await.unwrap();
    eventually("reading ahead", || consumer.prefetched_bytes() > bound - 200_000).await;
    for offset in 0..60 {
        // One batch may pass it.
        let ahead = consumer.prefetched_bytes();
        assert!(ahead <= bound + VALUE_BYTES + 1000, "{ahead}");
        assert_eq!(next(&mut consumer).await, (0, offset));
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_consumer_that_goes_away_meanwhile_leaves_nothing_behind() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let (cluster, _gate, consumer) = two_under_way().await;
    drop(consumer);
    eventually("no connection", || cluster.connections() == 0).await;
    // The fake broker listens on.
    eventually("no task", || tasks() <= before + 1).await;
}

/// Whatever is done while answers arrive: each partition goes on where it was told to.
#[tokio::test]
async fn seeks_and_pauses_at_any_moment_leave_each_partition_where_it_was_told() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seed = number("SEED").unwrap_or_else(|| fastrand::u64(..));
    let steps = 400 * number("N").unwrap_or(1);
    let mut random = fastrand::Rng::with_seed(seed);
    println!("SEED={seed}");
    let count = 30;
    let cluster = filled(2, usize::try_from(count).unwrap()).await;
    let mut consumer = reader(&cluster).build().await.unwrap();
    let mut places = [0_i64; 2];
    let mut paused = [false; 2];
    for step in 0..steps {
        let partition = random.i32(0..2);
        let index = usize::try_from(partition).unwrap();
        match random.u32(0..20) {
            0 => {
                places[index] = random.i64(0..count);
                let to = StartAt::Offset(Offset::new(places[index]));
                consumer.seek("events", partition, to).await.unwrap();
            }
            1 if !paused[1 - index] => {
                consumer.pause("events", partition).unwrap();
                paused[index] = true;
            }
            2 => {
                consumer.resume("events", partition).unwrap();
                paused[index] = false;
            }
            3 => tokio::task::yield_now().await,
            _ => {
                let has_more = |at: usize| !paused[at] && places[at] < count;
                if !has_more(0) && !has_more(1) {
                    continue;
                }
                let (read, offset) = next(&mut consumer).await;
                let read = usize::try_from(read).unwrap();
                assert!(!paused[read], "step {step}, SEED={seed}: partition {read} is paused");
                assert_eq!(offset, places[read], "step {step}, partition {read}, SEED={seed}");
                places[read] += 1;
            }
        }
    }
}
