//! Proves what a consumer promises: every record once and in order, from where it was told, within its memory;
//! nothing skipped in silence when a log has moved on, was cut or is damaged.
//!
//! How: one behaviour a test, against a fake broker on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod support;

use std::time::Duration;

use support::{Cluster, eventually};
use thalweg_client::{
    Client, Compression, ConsumeError, Consumer, ErrorCode, Offset, OnCorrupt, OnOutOfRange,
    Record, StartAt, TimestampMs,
};

const MS: Duration = Duration::from_millis(1);

/// Fills a partition with `count` records named by their offset, some to a batch, time = 1000 + offset.
async fn fill(cluster: &Cluster, partition: i32, count: usize, codec: Compression) {
    let builder = cluster.client().producer().compression(codec);
    let producer = builder.batch_bytes(1024).build().await.unwrap();
    for number in 0..count {
        let value = format!("{number}:{}", "x".repeat(number % 90));
        let time = TimestampMs::new(1000 + i64::try_from(number).unwrap());
        let record = Record::to("events").partition(partition).value(&value).timestamp(time);
        drop(producer.send(record).await.unwrap());
    }
    producer.close().await.unwrap();
}

async fn filled(partitions: usize, count: usize) -> Cluster {
    let cluster = Cluster::start(1).await;
    cluster.create("events", partitions);
    for partition in 0..partitions {
        fill(&cluster, i32::try_from(partition).unwrap(), count, Compression::None).await;
    }
    cluster
}

async fn from(client: &Client, start: StartAt) -> Consumer {
    let builder = client.consumer().assign([("events", 0, start)]);
    builder.stop_at_end().build().await.unwrap()
}

/// Reads to the end; the offsets by partition.
async fn offsets(consumer: &mut Consumer, partitions: usize) -> Vec<Vec<i64>> {
    let mut offsets = vec![Vec::new(); partitions];
    while let Some(record) = consumer.next().await {
        let record = record.unwrap();
        let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
        assert!(value.starts_with(&format!("{}:", record.offset)), "{value} at {}", record.offset);
        offsets[usize::try_from(record.partition.get()).unwrap()].push(record.offset.get());
    }
    offsets
}

fn range(range: std::ops::Range<i64>) -> Vec<Vec<i64>> {
    vec![range.collect()]
}

#[tokio::test]
async fn every_record_of_every_partition_comes_once_and_in_order_with_every_codec() {
    let cluster = Cluster::start(2).await;
    cluster.create("events", 5);
    for (partition, codec) in (0..).zip(Compression::ALL) {
        fill(&cluster, partition, 500, codec).await;
    }
    let builder = cluster.client().consumer().topic("events", StartAt::Earliest);
    let mut consumer = builder.fetch_bytes_max(4096).stop_at_end().build().await.unwrap();
    let expected: Vec<i64> = (0..500).collect();
    assert_eq!(offsets(&mut consumer, 5).await, vec![expected; 5]);
    assert!(consumer.next().await.is_none());
}

#[tokio::test]
async fn reading_begins_where_it_was_told() {
    let cluster = filled(1, 100).await;
    let client = cluster.client();
    for (start, expected) in [
        (StartAt::Earliest, 0..100),
        (StartAt::Offset(Offset::new(37)), 37..100),
        (StartAt::Time(TimestampMs::new(1042)), 42..100),
        (StartAt::Time(TimestampMs::new(9_999_999_999_999)), 100..100),
        (StartAt::Ago(100_000 * Duration::from_hours(24)), 0..100),
        (StartAt::Ago(Duration::ZERO), 100..100),
        (StartAt::Latest, 100..100),
    ] {
        let mut consumer = from(&client, start).await;
        assert_eq!(offsets(&mut consumer, 1).await, range(expected), "{start:?}");
    }
}

#[tokio::test]
async fn without_an_end_the_consumer_waits_for_what_comes() {
    let cluster = filled(1, 3).await;
    let builder = cluster.client().consumer().topic("events", StartAt::Latest);
    let mut consumer = builder.build().await.unwrap();
    let producer = cluster.client().producer().build().await.unwrap();
    let waiting = tokio::spawn(async move { consumer.next().await });
    let receipt = producer.send(Record::to("events").value("new")).await.unwrap();
    assert_eq!(receipt.await.unwrap().offset.get(), 3);
    assert_eq!(waiting.await.unwrap().unwrap().unwrap().offset.get(), 3);
}

#[tokio::test]
async fn a_seek_throws_away_what_was_read_ahead() {
    let cluster = filled(1, 300).await;
    let mut consumer = from(&cluster.client(), StartAt::Earliest).await;
    for _ in 0..5 {
        consumer.next().await.unwrap().unwrap();
    }
    eventually("reading ahead", || consumer.prefetched_bytes() > 0).await;
    consumer.seek("events", 0, StartAt::Offset(Offset::new(200))).await.unwrap();
    assert_eq!(consumer.prefetched_bytes(), 0);
    assert_eq!(consumer.position("events", 0), Some(Offset::new(200)));
    for offset in 200..210 {
        assert_eq!(consumer.next().await.unwrap().unwrap().offset.get(), offset);
    }
    consumer.seek("events", 0, StartAt::Time(TimestampMs::new(1010))).await.unwrap();
    assert_eq!(offsets(&mut consumer, 1).await, range(10..300));
    consumer.seek("events", 0, StartAt::Offset(Offset::new(299))).await.unwrap();
    assert_eq!(offsets(&mut consumer, 1).await, range(299..300), "also after the end");
    let error = consumer.seek("events", 7, StartAt::Earliest).await.unwrap_err();
    assert!(matches!(error, ConsumeError::NotAssigned { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_that_was_under_way_during_a_seek_is_thrown_away() {
    let cluster = filled(1, 300).await;
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    cluster.state().fetch_gate = Some(gate.clone());
    let mut consumer = from(&cluster.client(), StartAt::Offset(Offset::new(200))).await;
    eventually("the first fetch", || cluster.state().fetch_bytes_max.len() == 1).await;
    consumer.seek("events", 0, StartAt::Offset(Offset::new(10))).await.unwrap();
    gate.add_permits(1000);
    assert_eq!(offsets(&mut consumer, 1).await, range(10..300));
}

#[tokio::test]
async fn a_paused_partition_hands_out_nothing_until_it_is_resumed() {
    let cluster = filled(2, 50).await;
    let builder = cluster.client().consumer().topic("events", StartAt::Earliest);
    let mut consumer = builder.build().await.unwrap();
    let first = consumer.next().await.unwrap().unwrap();
    let paused = first.partition;
    consumer.pause("events", paused).unwrap();
    for offset in 0..50 {
        let record = consumer.next().await.unwrap().unwrap();
        assert_ne!(record.partition, paused);
        assert_eq!(record.offset.get(), offset);
    }
    assert_eq!(consumer.position("events", paused), Some(Offset::new(1)));
    consumer.resume("events", paused).unwrap();
    for offset in 1..50 {
        let record = consumer.next().await.unwrap().unwrap();
        assert_eq!((record.partition, record.offset.get()), (paused, offset));
    }
}

#[tokio::test]
async fn what_is_read_ahead_is_bounded() {
    let cluster = filled(1, 20_000).await;
    let builder = cluster.client().consumer().topic("events", StartAt::Earliest);
    let builder = builder.prefetch_bytes_max(128 * 1024).stop_at_end();
    let mut consumer = builder.build().await.unwrap();
    let bound = 128 * 1024 + 64 * 1024;
    eventually("reading ahead", || consumer.prefetched_bytes() > 100 * 1024).await;
    for offset in 0..20_000 {
        assert!(consumer.prefetched_bytes() <= bound, "{}", consumer.prefetched_bytes());
        assert_eq!(consumer.next().await.unwrap().unwrap().offset.get(), offset);
        if offset % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let asked = cluster.state().fetch_bytes_max.clone();
    assert!(asked.iter().all(|bytes| *bytes <= 128 * 1024), "{asked:?}");
}

#[tokio::test]
async fn batches_hold_what_records_would_also_from_the_middle_of_one() {
    let cluster = filled(1, 200).await;
    let mut consumer = from(&cluster.client(), StartAt::Offset(Offset::new(13))).await;
    let mut seen = vec![consumer.next().await.unwrap().unwrap().offset.get()];
    while let Some(batch) = consumer.next_batch().await {
        let records = batch.unwrap().records().unwrap();
        seen.extend(records.iter().map(|record| record.unwrap().offset.get()));
    }
    assert_eq!(vec![seen], range(13..200));
}

#[tokio::test]
async fn a_damaged_batch_is_told_with_the_next_good_offset_and_skipped_only_on_demand() {
    let cluster = filled(1, 100).await;
    let (bad, good) = {
        let mut state = cluster.state();
        let log = &mut state.topics.get_mut("events").unwrap().partitions[0];
        log.flip(1);
        let header = thalweg_protocol::batch::BatchHeader::decode(&log.batches[1]).unwrap();
        (header.base_offset, header.next_offset())
    };
    let client = cluster.client();
    let mut consumer = from(&client, StartAt::Earliest).await;
    for offset in 0..bad.get() {
        assert_eq!(consumer.next().await.unwrap().unwrap().offset.get(), offset);
    }
    let error = consumer.next().await.unwrap().unwrap_err();
    let ConsumeError::Corrupt { offset, next_good, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((offset, next_good), (bad, good));
    assert!(consumer.next().await.is_none(), "the only partition has stopped");
    consumer.seek("events", 0, StartAt::Offset(next_good)).await.unwrap();
    assert_eq!(offsets(&mut consumer, 1).await, range(good.get()..100));
    let builder = client.consumer().topic("events", StartAt::Earliest).stop_at_end();
    let mut skipping = builder.on_corrupt(OnCorrupt::Skip).build().await.unwrap();
    let expected: Vec<i64> = (0..bad.get()).chain(good.get()..100).collect();
    assert_eq!(offsets(&mut skipping, 1).await, vec![expected]);
}

#[tokio::test]
async fn a_range_that_the_broker_calls_damaged_is_told_or_skipped() {
    let cluster = filled(1, 100).await;
    cluster.state().topics.get_mut("events").unwrap().partitions[0].damaged = Some((0, 60));
    let client = cluster.client();
    let mut consumer = from(&client, StartAt::Earliest).await;
    let error = consumer.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Corrupt));
    let builder = client.consumer().topic("events", StartAt::Earliest).stop_at_end();
    let mut skipping = builder.on_corrupt(OnCorrupt::Skip).build().await.unwrap();
    assert_eq!(offsets(&mut skipping, 1).await, range(60..100));
}

#[tokio::test]
async fn an_offset_out_of_range_is_told_with_the_range_or_handled_as_asked() {
    let cluster = filled(1, 100).await;
    let client = cluster.client();
    client.admin().delete_records("events", 0, Offset::new(40)).await.unwrap();
    for wanted in [7, 500] {
        let start = StartAt::Offset(Offset::new(wanted));
        let assigned = || client.consumer().assign([("events", 0, start)]);
        let mut consumer = assigned().build().await.unwrap();
        let error = consumer.next().await.unwrap().unwrap_err();
        let ConsumeError::OffsetOutOfRange { offset, log_start, log_end, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((offset.get(), log_start.get(), log_end.get()), (wanted, 40, 100));
        let builder = assigned().on_out_of_range(OnOutOfRange::Earliest);
        let mut consumer = builder.build().await.unwrap();
        assert_eq!(consumer.next().await.unwrap().unwrap().offset.get(), 40);
        let builder = assigned().on_out_of_range(OnOutOfRange::Latest);
        let mut consumer = builder.build().await.unwrap();
        let producer = client.producer().build().await.unwrap();
        let waiting = tokio::spawn(async move { consumer.next().await });
        let offset = loop {
            producer.send(Record::to("events").value("new")).await.unwrap().await.unwrap();
            if waiting.is_finished() {
                break waiting.await.unwrap().unwrap().unwrap().offset.get();
            }
        };
        assert!(offset >= 100, "{offset}");
        let mut state = cluster.state();
        let log = &mut state.topics.get_mut("events").unwrap().partitions[0];
        log.batches.retain(|batch| {
            let header = thalweg_protocol::batch::BatchHeader::decode(batch).unwrap();
            header.base_offset.get() < 100
        });
        log.log_end = 100;
    }
}

#[tokio::test]
async fn a_log_that_was_cut_is_told_with_the_safe_offset() {
    let cluster = filled(1, 100).await;
    cluster.state().topics.get_mut("events").unwrap().partitions[0].diverging = Some((3, 60));
    let mut consumer = from(&cluster.client(), StartAt::Offset(Offset::new(80))).await;
    let error = consumer.next().await.unwrap().unwrap_err();
    let ConsumeError::LogTruncated { offset, safe, epoch, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((offset.get(), safe.get(), epoch.get()), (80, 60, 3));
}

#[tokio::test]
async fn a_broker_that_was_killed_and_started_again_costs_no_record() {
    let cluster = filled(2, 3000).await;
    let builder = cluster.client().consumer().topic("events", StartAt::Earliest);
    let builder = builder.prefetch_bytes_max(16 * 1024).fetch_bytes_max(4096);
    let mut consumer = builder.stop_at_end().build().await.unwrap();
    let chaos = tokio::spawn({
        let cluster = cluster.clone();
        async move {
            for asked in [10, 20, 30, 40, 50] {
                let fetches = || cluster.state().fetches.len();
                eventually("reading, to be disturbed", || fetches() >= asked).await;
                cluster.kill(0);
                cluster.restart(0).await;
            }
        }
    });
    let expected: Vec<i64> = (0..3000).collect();
    assert_eq!(offsets(&mut consumer, 2).await, vec![expected; 2]);
    chaos.await.unwrap();
}

#[tokio::test]
async fn partitions_that_move_are_followed() {
    let cluster = Cluster::start(2).await;
    cluster.create("events", 1);
    fill(&cluster, 0, 100, Compression::None).await;
    let mut consumer = from(&cluster.client(), StartAt::Earliest).await;
    {
        let mut state = cluster.state();
        let log = &mut state.topics.get_mut("events").unwrap().partitions[0];
        log.leader = 1;
        log.epoch += 1;
    }
    assert_eq!(offsets(&mut consumer, 1).await, range(0..100));
}

#[tokio::test]
async fn partitions_that_are_added_are_read_from_their_first_record() {
    let cluster = filled(1, 10).await;
    let client =
        Client::builder().bootstrap(cluster.address(0)).metadata_age_max(20 * MS).build().unwrap();
    let builder = client.consumer().topic("events", StartAt::Latest);
    let mut consumer = builder.build().await.unwrap();
    let change = thalweg_client::AlterTopic::new("events").partitions(2);
    client.admin().alter_topic(change).await.unwrap();
    fill(&cluster, 1, 5, Compression::None).await;
    for offset in 0..5 {
        let record = consumer.next().await.unwrap().unwrap();
        assert_eq!((record.partition.get(), record.offset.get()), (1, offset));
    }
}

#[tokio::test]
async fn a_topic_that_was_deleted_and_created_again_is_not_taken_for_the_same() {
    let cluster = filled(1, 10).await;
    let builder = cluster.client().consumer().topic("events", StartAt::Latest);
    let mut consumer = builder.build().await.unwrap();
    cluster.create("events", 1);
    let error = consumer.next().await.unwrap().unwrap_err();
    assert!(matches!(error, ConsumeError::TopicDeleted { .. }), "{error}");
    assert!(consumer.next().await.is_none());
}

#[tokio::test]
async fn a_wait_for_brokers_that_are_gone_ends_with_an_error_and_may_go_on() {
    let cluster = filled(1, 10).await;
    let ms = Duration::from_millis;
    let client = Client::builder()
        .bootstrap(cluster.address(0))
        .retry_backoff(ms(1), ms(10))
        .api_timeout(ms(1000))
        .build()
        .unwrap();
    let builder = client.consumer().topic("events", StartAt::Latest);
    let mut consumer = builder.build().await.unwrap();
    cluster.kill(0);
    let error = consumer.next().await.unwrap().unwrap_err();
    assert!(matches!(error, ConsumeError::Unreachable { .. }), "{error}");
    cluster.restart(0).await;
    let producer = cluster.client().producer().build().await.unwrap();
    producer.send(Record::to("events").value("new")).await.unwrap().await.unwrap();
    let record = loop {
        match consumer.next().await.unwrap() {
            Ok(record) => break record,
            Err(ConsumeError::Unreachable { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(record.offset.get(), 10);
}

#[tokio::test]
async fn topics_and_partitions_that_are_not_there_are_named_in_the_error() {
    let cluster = filled(1, 1).await;
    let client = cluster.client();
    let missing = client.consumer().topic("nothing", StartAt::Earliest).build().await;
    assert!(matches!(missing.unwrap_err(), ConsumeError::UnknownTopic { .. }));
    let missing = client.consumer().assign([("events", 4, StartAt::Earliest)]).build().await;
    let error = missing.unwrap_err();
    assert!(matches!(error, ConsumeError::UnknownPartition { partitions: 1, .. }), "{error}");
}

#[tokio::test]
async fn lag_and_ends_are_told() {
    let cluster = filled(1, 100).await;
    let mut consumer = from(&cluster.client(), StartAt::Earliest).await;
    for _ in 0..10 {
        consumer.next().await.unwrap().unwrap();
    }
    let lag = consumer.lag().remove(0);
    assert_eq!((lag.position.get(), lag.records), (10, Some(90)));
    let (topic, partition, end) = consumer.end_offsets().await.unwrap().remove(0);
    assert_eq!((topic.as_str(), partition.get(), end.get()), ("events", 0, 100));
}

#[tokio::test]
async fn a_dropped_consumer_takes_its_task_and_connections_with_it() {
    let cluster = filled(1, 10).await;
    eventually("the producer's connections end", || cluster.connections() == 0).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let mut consumer =
        cluster.client().consumer().topic("events", StartAt::Earliest).build().await.unwrap();
    consumer.next().await.unwrap().unwrap();
    assert!(cluster.connections() > 0);
    drop(consumer);
    eventually("all connections end", || cluster.connections() == 0).await;
    eventually("all tasks end", || tasks() <= before).await;
}
