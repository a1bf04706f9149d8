//! Proves that a topic created again under the same name is another topic to a producer: nothing acknowledged
//! is lost, no sequence goes on, and the partitions are those that the new topic has.
//!
//! How: a fake broker whose topics vanish and come back, and a clock that is stepped by the test, so that the
//! seconds of grace cost no time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use support::{Cluster, Topic, eventually};
use thalweg_client::{Delivered, ErrorCode, Producer, Record, SendError};
use thalweg_protocol::batch::BatchHeader;

const MS: Duration = Duration::from_millis(1);

/// Time stands still but for this: a millisecond, then the sockets have their turn. As the task is always
/// ready, the runtime never jumps ahead of what is on its way.
fn step_time() {
    tokio::time::pause();
    tokio::spawn(async {
        loop {
            tokio::time::advance(MS).await;
            for _ in 0..64 {
                tokio::task::yield_now().await;
            }
        }
    });
}

fn delete(cluster: &Cluster) -> Topic {
    cluster.state().topics.remove("events").unwrap()
}

fn to(partition: i32, value: &str) -> Record<'_> {
    Record::to("events").partition(partition).value(value)
}

async fn deliver(producer: &Producer, record: Record<'_>) -> Result<Delivered, SendError> {
    producer.send(record).await?.await
}

/// Sends as an application does that tries again what certainly was not stored.
async fn deliver_in_the_end(producer: &Producer, record: &Record<'_>) -> Delivered {
    for _ in 0..3 {
        match deliver(producer, record.clone()).await {
            Ok(delivered) => return delivered,
            Err(SendError::TopicReplaced { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the topic is there, and its partitions are not learned");
}

/// Every receipt names its own offset, and the record is there.
fn check(cluster: &Cluster, receipts: &[(&str, Result<Delivered, SendError>)]) {
    let mut places = BTreeSet::new();
    for (value, outcome) in receipts {
        let Ok(delivered) = outcome else {
            continue;
        };
        let partition = usize::try_from(delivered.partition.get()).unwrap();
        let offset = usize::try_from(delivered.offset.get()).unwrap();
        assert!(places.insert((partition, offset)), "two receipts for {partition}/{offset}");
        let stored = cluster.values("events", partition);
        assert_eq!(stored.get(offset).map(Vec::as_slice), Some(value.as_bytes()), "{stored:?}");
    }
}

/// One partition waits longer than the other for a topic that is missing; then it is there again.
async fn comes_back_while_partitions_wait(same: bool) {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 2);
    let producer = cluster.client().producer().build().await.unwrap();
    deliver(&producer, to(0, "before")).await.unwrap();
    step_time();
    let deleted = delete(&cluster);
    let early = producer.send(to(0, "early")).await.unwrap();
    tokio::time::sleep(3000 * MS).await;
    let late = producer.send(to(1, "late")).await.unwrap();
    assert!(early.try_get().is_none(), "within the grace nothing is given up");
    eventually("the end of the grace", || early.try_get().is_some()).await;
    let error = early.try_get().unwrap().unwrap_err();
    assert!(matches!(error, SendError::UnknownTopic { .. }), "{error}");
    if same {
        cluster.state().topics.insert("events".to_owned(), deleted);
    } else {
        cluster.create("events", 2);
    }
    let mut receipts = Vec::new();
    for value in ["one", "two", "three"] {
        receipts.push((value, Ok(deliver(&producer, to(1, value)).await.unwrap())));
    }
    receipts.push(("late", late.await));
    receipts.push(("zero", Ok(deliver(&producer, to(0, "zero")).await.unwrap())));
    check(&cluster, &receipts);
    // What was given up is told as such, and its memory is free again.
    let failed = producer.flush().await.unwrap_err();
    assert_eq!((failed.records_failed, failed.batches_failed), (2, 2));
    assert_eq!(producer.memory_bytes(), 0);
}

#[tokio::test]
async fn partitions_that_waited_for_a_deleted_topic_end_together_and_no_receipt_is_false() {
    comes_back_while_partitions_wait(false).await;
}

#[tokio::test]
async fn a_topic_that_brokers_denied_for_a_while_gets_new_sequences_in_every_partition() {
    comes_back_while_partitions_wait(true).await;
}

#[tokio::test]
async fn a_topic_created_again_with_fewer_partitions_gets_no_records_for_those_it_lacks() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 3);
    let producer = cluster.client().producer().build().await.unwrap();
    let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut partitions = BTreeSet::new();
    for key in keys {
        let record = Record::to("events").key(key).value(key);
        partitions.insert(deliver(&producer, record).await.unwrap().partition.get());
    }
    assert_eq!(partitions.len(), 3, "the keys reach every partition");
    step_time();
    delete(&cluster);
    cluster.create("events", 1);
    let begun = tokio::time::Instant::now();
    let mut receipts = Vec::new();
    for key in keys {
        let record = Record::to("events").key(key).value(key);
        receipts.push((key, Ok(deliver_in_the_end(&producer, &record).await)));
    }
    check(&cluster, &receipts);
    assert_eq!(cluster.values("events", 0).len(), keys.len());
    let waited = begun.elapsed();
    assert!(waited < Duration::from_mins(1), "{waited:?}: not by the delivery deadline");
    let error = deliver(&producer, to(2, "v")).await.unwrap_err();
    assert!(matches!(error, SendError::UnknownPartition { partitions: 1, .. }), "{error}");
}

#[tokio::test]
async fn sequences_of_a_topic_never_go_on_in_another_of_the_same_name() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let producer = cluster.client().producer().build().await.unwrap();
    for value in ["a", "b", "c"] {
        deliver(&producer, to(0, value)).await.unwrap();
    }
    step_time();
    delete(&cluster);
    cluster.create("events", 1);
    let error = deliver(&producer, to(0, "for the old one")).await.unwrap_err();
    assert!(matches!(error, SendError::TopicReplaced { .. }), "{error}");
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopic));
    assert!(!error.maybe_stored());
    let mut receipts = Vec::new();
    for value in ["d", "e"] {
        receipts.push((value, Ok(deliver(&producer, to(0, value)).await.unwrap())));
    }
    check(&cluster, &receipts);
    let state = cluster.state();
    let log = &state.topics["events"].partitions[0];
    assert_eq!((log.unknown_producers, log.out_of_order, log.duplicates), (0, 0, 0));
    let first = BatchHeader::decode(&log.batches[0]).unwrap();
    assert_eq!(first.base_sequence.get(), 0);
}

#[tokio::test]
async fn a_producer_sends_nothing_to_a_new_topic_that_others_of_its_client_learned_of() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    cluster.create("others", 1);
    let client = cluster.client();
    let producer = client.producer().build().await.unwrap();
    deliver(&producer, to(0, "a")).await.unwrap();
    step_time();
    delete(&cluster);
    cluster.create("events", 2);
    // Its metadata is asked for together with that of all topics the client knows.
    let other = client.producer().build().await.unwrap();
    deliver(&other, Record::to("others").value("v")).await.unwrap();
    let requests = cluster.state().produce_requests.len();
    let error = deliver(&producer, to(0, "b")).await.unwrap_err();
    assert!(matches!(error, SendError::TopicReplaced { .. }), "{error}");
    assert_eq!(cluster.state().produce_requests.len(), requests, "nothing was sent");
    let delivered = deliver(&producer, to(0, "c")).await.unwrap();
    check(&cluster, &[("c", Ok(delivered))]);
}

#[tokio::test]
async fn asking_for_a_partition_that_only_the_new_topic_has_replaces_the_old_one_as_a_whole() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let producer = cluster.client().producer().build().await.unwrap();
    for value in ["a", "b"] {
        deliver(&producer, to(0, value)).await.unwrap();
    }
    step_time();
    delete(&cluster);
    let waiting = producer.send(to(0, "for the old one")).await.unwrap();
    cluster.create("events", 2);
    let mut receipts = vec![("new", Ok(deliver(&producer, to(1, "new")).await.unwrap()))];
    let error = waiting.await.unwrap_err();
    assert!(matches!(error, SendError::TopicReplaced { .. }), "{error}");
    for value in ["c", "d"] {
        receipts.push((value, Ok(deliver(&producer, to(0, value)).await.unwrap())));
    }
    check(&cluster, &receipts);
    assert_eq!(cluster.state().topics["events"].partitions[0].unknown_producers, 0);
    assert_eq!(producer.memory_bytes(), 0);
}
