//! Proves what a producer promises beside order: routing, batching, bounds, deadlines, endings.
//!
//! How: one behaviour a test, against a fake broker on loopback that can be held, killed and started again.

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

use support::{Cluster, Fault, Faults, eventually};
use thalweg_client::{
    Acks, AdminError, CallError, Client, ErrorCode, Offset, Record, SendError, TimestampMs,
};
use thalweg_protocol::batch::Batch;
use tokio::sync::Semaphore;
use tokio::time::timeout;

const MS: Duration = Duration::from_millis(1);

/// Nothing here takes so long.
const LIMIT: Duration = Duration::from_secs(20);

/// Answers to produce requests wait until permits are added.
fn hold(cluster: &Cluster) -> Arc<Semaphore> {
    let gate = Arc::new(Semaphore::new(0));
    cluster.state().produce_gate = Some(gate.clone());
    gate
}

fn requests(cluster: &Cluster) -> usize {
    cluster.state().produce_requests.len()
}

#[tokio::test]
async fn a_record_arrives_as_it_was_sent() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let producer = cluster.client().producer().build().await.unwrap();
    let record = Record::to("events")
        .key("k")
        .value(b"v")
        .header("h", b"x")
        .header_null("h")
        .timestamp(TimestampMs::new(1234));
    let delivered = producer.send(record).await.unwrap().await.unwrap();
    assert_eq!((delivered.partition.get(), delivered.offset), (0, Offset::ZERO));
    let stored = cluster.state().topics["events"].partitions[0].batches[0].clone();
    let batch = Batch::decode(&stored).unwrap();
    let records = batch.records().unwrap();
    let record = records.iter().next().unwrap().unwrap();
    assert_eq!(record.timestamp, TimestampMs::new(1234));
    assert_eq!((record.key, record.value), (Some(&b"k"[..]), Some(&b"v"[..])));
    let headers: Vec<_> = record.headers.iter().map(|h| (h.key.to_vec(), h.value)).collect();
    assert_eq!(headers, [(b"h".to_vec(), Some(&b"x"[..])), (b"h".to_vec(), None)]);
}

#[tokio::test]
async fn the_same_key_goes_where_kafkas_java_client_sends_it() {
    let cluster = Cluster::start(2).await;
    cluster.create("events", 7);
    let producer = cluster.client().producer().build().await.unwrap();
    // Murmur2 as Kafka's Java client computes it.
    for (key, hash) in [("21", -973_932_308_i32), ("foobar", -790_332_482), ("abc", 479_470_107)] {
        let record = Record::to("events").key(key).value(key);
        let delivered = producer.send(record).await.unwrap().await.unwrap();
        assert_eq!(delivered.partition.get(), (hash & 0x7fff_ffff) % 7, "{key}");
    }
}

#[tokio::test]
async fn many_records_sent_at_once_are_stored_in_their_order_in_each_partition() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 3);
    let producer = cluster.client().producer().batch_bytes(2048).build().await.unwrap();
    let values: Vec<String> = (0..2000).map(|number| format!("{number:04}")).collect();
    // Runs of one key, single ones, and records without any.
    let keys = [Some("a"), Some("a"), Some("b"), None, Some("c"), None, None];
    let keyed = || values.iter().zip(keys.iter().cycle());
    let receipts = producer
        .send_all(keyed().map(|(value, key)| {
            let record = Record::to("events").value(value);
            match key {
                Some(key) => record.key(*key),
                None => record,
            }
        }))
        .await
        .unwrap();
    assert_eq!(receipts.records(), 2000);
    receipts.await.unwrap();
    let mut stored = 0;
    for partition in &cluster.state().topics["events"].partitions {
        let mut last = None;
        for batch in &partition.batches {
            for record in &Batch::decode(batch).unwrap().records().unwrap() {
                let value = String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap();
                assert!(last.as_ref() < Some(&value), "{value} after {last:?}");
                last = Some(value);
                stored += 1;
            }
        }
    }
    assert_eq!(stored, 2000);
}

#[tokio::test]
async fn an_error_of_many_records_is_about_the_first_that_was_not_taken() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let producer = cluster.client().producer().batch_bytes(2048).build().await.unwrap();
    let large = "x".repeat(4096);
    let values = ["first", large.as_str(), "never"];
    let sent = producer.send_all(values.map(|value| Record::to("events").value(value))).await;
    assert!(matches!(sent, Err(SendError::RecordTooLarge { .. })), "{sent:?}");
    producer.flush().await.unwrap();
    let stored = cluster.state().topics["events"].partitions[0].batches.clone();
    let batch = Batch::decode(&stored[0]).unwrap();
    assert_eq!((stored.len(), batch.records().unwrap().iter().count()), (1, 1));
}

#[tokio::test]
async fn records_without_a_key_fill_a_batch_and_then_go_elsewhere() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 4);
    let producer = cluster.client().producer().batch_bytes(2048).build().await.unwrap();
    for _ in 0..1000 {
        drop(producer.send(Record::to("events").value(&[7; 100])).await.unwrap());
    }
    producer.flush().await.unwrap();
    let counts: Vec<_> = (0..4).map(|index| cluster.values("events", index).len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 1000);
    assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
    assert!(requests(&cluster) < 250, "records went out in batches");
}

#[tokio::test]
async fn a_record_alone_goes_at_once_and_others_gather_behind_it() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let gate = hold(&cluster);
    let producer = cluster.client().producer().build().await.unwrap();
    let first = producer.send(Record::to("events").value("first")).await.unwrap();
    eventually("the first request", || requests(&cluster) == 1).await;
    let begun = tokio::time::Instant::now();
    for _ in 0..50 {
        drop(producer.send(Record::to("events").value("more")).await.unwrap());
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
    }
    // One goes each time the natural linger of 5 ms is over; on a quiet machine none has yet.
    let lingers = usize::try_from(begun.elapsed().as_millis() / 5).unwrap();
    assert!(requests(&cluster) <= 1 + lingers, "{} in {lingers} lingers", requests(&cluster));
    gate.add_permits(100);
    producer.flush().await.unwrap();
    assert_eq!(first.await.unwrap().offset, Offset::ZERO);
    assert_eq!(cluster.state().produce_requests[0], [(0, 1)]);
    assert_eq!(cluster.values("events", 0).len(), 51);
}

#[tokio::test]
async fn a_linger_gathers_records_into_one_batch() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let builder = cluster.client().producer().linger(Duration::from_mins(1));
    let producer = builder.build().await.unwrap();
    let mut last = None;
    for _ in 0..30 {
        last = Some(producer.send(Record::to("events").value("v")).await.unwrap());
        tokio::task::yield_now().await;
    }
    producer.flush().await.unwrap();
    assert_eq!(last.unwrap().await.unwrap().offset.get(), 29);
    assert_eq!(cluster.state().produce_requests, [vec![(0, 30)]]);
}

#[tokio::test]
async fn a_batch_goes_by_itself_when_its_linger_is_over() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let producer = cluster.client().producer().linger(20 * MS).build().await.unwrap();
    let begun = tokio::time::Instant::now();
    let receipt = producer.send(Record::to("events").value("v")).await.unwrap();
    let delivered = timeout(LIMIT, receipt).await.expect("nobody has flushed").unwrap();
    assert_eq!(delivered.offset, Offset::ZERO);
    assert!(begun.elapsed() >= 20 * MS, "and not before");
}

#[tokio::test]
async fn one_request_carries_the_batches_of_several_partitions() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 3);
    let builder = cluster.client().producer().linger(Duration::from_mins(1));
    let producer = builder.build().await.unwrap();
    for partition in 0..3 {
        let record = Record::to("events").partition(partition).value("v");
        drop(producer.send(record).await.unwrap());
    }
    producer.flush().await.unwrap();
    assert_eq!(cluster.state().produce_requests, [vec![(0, 1), (1, 1), (2, 1)]]);
}

#[tokio::test]
async fn at_most_five_batches_of_a_partition_are_in_flight() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let gate = hold(&cluster);
    let builder = cluster.client().producer().batch_bytes(1024).linger(Duration::ZERO);
    let producer = builder.build().await.unwrap();
    for _ in 0..100 {
        drop(producer.send(Record::to("events").value(&[7; 200])).await.unwrap());
        tokio::task::yield_now().await;
    }
    eventually("five requests", || requests(&cluster) == 5).await;
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(requests(&cluster), 5);
    gate.add_permits(1000);
    producer.flush().await.unwrap();
    assert_eq!(cluster.values("events", 0).len(), 100);
}

#[tokio::test]
async fn what_waits_for_the_brokers_is_bounded_and_send_waits_for_room() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let gate = hold(&cluster);
    let builder = cluster.client().producer().batch_bytes(4096);
    let builder = builder.memory_bytes_max(16 * 1024).send_timeout(1000 * MS);
    let producer = builder.build().await.unwrap();
    let mut taken = 0;
    let full = loop {
        match producer.send(Record::to("events").value(&[7; 1000])).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(producer.memory_bytes() <= 16 * 1024);
        assert!(taken < 20, "the memory never fills");
    };
    assert!(matches!(full, SendError::MemoryFull { memory_bytes_max: 16_384, .. }), "{full}");
    assert!(taken > 8, "{taken}");
    let waiting = tokio::spawn(async move {
        let receipt = loop {
            match producer.send(Record::to("events").value("last")).await {
                Ok(receipt) => break receipt,
                Err(SendError::MemoryFull { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        };
        receipt.await
    });
    gate.add_permits(1000);
    assert_eq!(waiting.await.unwrap().unwrap().offset.get(), taken);
}

#[tokio::test]
async fn a_killed_broker_costs_no_record_and_no_order() {
    const RECORDS: usize = 300_000;
    let cluster = Cluster::start(1).await;
    cluster.create("events", 3);
    let producer = cluster.client().producer().build().await.unwrap();
    let chaos = tokio::spawn({
        let cluster = cluster.clone();
        async move {
            for stored in [1, RECORDS / 3, RECORDS / 2] {
                let total = || {
                    (0..3)
                        .map(|p| cluster.state().topics["events"].partitions[p].log_end)
                        .sum::<i64>()
                };
                eventually("progress", || total() >= i64::try_from(stored).unwrap()).await;
                cluster.kill(0);
                tokio::time::sleep(20 * MS).await;
                cluster.restart(0).await;
            }
        }
    });
    for number in 0..RECORDS {
        let key = (number % 50).to_string();
        let value = number.to_string();
        drop(producer.send(Record::to("events").key(&key).value(&value)).await.unwrap());
    }
    producer.close().await.unwrap();
    chaos.await.unwrap();
    let mut seen = vec![false; RECORDS];
    for partition in 0..3 {
        let mut last = None;
        for value in cluster.values("events", partition) {
            let number: usize = String::from_utf8(value).unwrap().parse().unwrap();
            assert!(last < Some(number), "{number} after {last:?}");
            assert!(!std::mem::replace(&mut seen[number], true), "{number} twice");
            last = Some(number);
        }
    }
    assert!(seen.into_iter().all(|seen| seen));
}

#[tokio::test]
async fn without_a_broker_a_receipt_ends_by_the_delivery_deadline() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    // Deadlines are first looked at after a second.
    let delivery_timeout = 1500 * MS;
    let builder = cluster.client().producer().delivery_timeout(delivery_timeout);
    let producer = builder.build().await.unwrap();
    producer.send(Record::to("events").value("a")).await.unwrap().await.unwrap();
    cluster.kill(0);
    let begun = tokio::time::Instant::now();
    let receipt = producer.send(Record::to("events").value("b")).await.unwrap();
    let error = timeout(LIMIT, receipt).await.expect("the deadline").unwrap_err();
    assert!(matches!(error, SendError::DeadlinePassed { .. }), "{error}");
    assert!(begun.elapsed() >= delivery_timeout, "given up early");
    let flushed = producer.flush().await.unwrap_err();
    assert_eq!((flushed.records_failed, flushed.batches_failed), (1, 1));
    assert!(producer.flush().await.is_ok(), "told once");
}

#[tokio::test]
async fn an_answer_that_never_comes_ends_by_the_deadline_and_may_be_stored() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let _gate = hold(&cluster);
    let builder = cluster.client().producer().delivery_timeout(1000 * MS);
    let producer = builder.build().await.unwrap();
    let receipt = producer.send(Record::to("events").value("a")).await.unwrap();
    let error = timeout(LIMIT, receipt).await.expect("the deadline").unwrap_err();
    assert!(error.maybe_stored(), "{error}");
    assert_eq!(cluster.values("events", 0).len(), 1, "as it is");
}

#[tokio::test]
async fn a_closed_producer_takes_nothing_and_has_delivered_everything() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 2);
    let producer = cluster.client().producer().build().await.unwrap();
    let clone = producer.clone();
    for _ in 0..100 {
        drop(producer.send(Record::to("events").value("v")).await.unwrap());
    }
    producer.close().await.unwrap();
    let stored = cluster.values("events", 0).len() + cluster.values("events", 1).len();
    assert_eq!(stored, 100);
    let refused = clone.send(Record::to("events").value("v")).await;
    assert!(matches!(refused, Err(SendError::Closed)));
}

#[tokio::test]
async fn a_dropped_producer_takes_its_task_and_connections_with_it_and_answers_receipts() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let _gate = hold(&cluster);
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let client = cluster.client();
    // One batch at a time: the second one waits for the answer to the first.
    let producer = client.producer().in_flight_max(1).build().await.unwrap();
    let in_flight = producer.send(Record::to("events").value("a")).await.unwrap();
    eventually("the request", || requests(&cluster) == 1).await;
    let waiting = producer.send(Record::to("events").value("b")).await.unwrap();
    drop((producer, client));
    let error = in_flight.await.unwrap_err();
    assert!(matches!(error, SendError::OutcomeUnknown { .. }), "{error}");
    assert!(matches!(waiting.await, Err(SendError::Closed)));
    eventually("all connections end", || cluster.connections() == 0).await;
    // One task of the fake broker holds the answer for good.
    eventually("all tasks end", || tasks() <= before + 1).await;
}

#[tokio::test]
async fn topics_and_partitions_that_are_not_there_are_named_in_the_error() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 2);
    let producer = cluster.client().producer().build().await.unwrap();
    let error = producer.send(Record::to("nothing").value("v")).await.unwrap_err();
    assert!(matches!(&error, SendError::UnknownTopic { topic } if topic == "nothing"), "{error}");
    let record = Record::to("events").partition(2).value("v");
    let error = producer.send(record.clone()).await.unwrap_err();
    assert!(matches!(error, SendError::UnknownPartition { partitions: 2, .. }), "{error}");
    let error = producer.send(Record::to("a/b").value("v")).await.unwrap_err();
    assert!(matches!(error, SendError::Config(_)), "{error}");
    let admin = cluster.client().admin();
    admin.alter_topic(thalweg_client::AlterTopic::new("events").partitions(3)).await.unwrap();
    let delivered = producer.send(record).await.unwrap().await.unwrap();
    assert_eq!(delivered.partition.get(), 2, "partitions that were added are found");
}

#[tokio::test]
async fn a_record_larger_than_a_batch_is_refused_before_it_is_sent() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let builder = cluster.client().producer().batch_bytes(1024);
    let producer = builder.build().await.unwrap();
    drop(producer.send(Record::to("events").value(&[7; 800])).await.unwrap());
    let error = producer.send(Record::to("events").value(&[7; 1000])).await.unwrap_err();
    assert!(matches!(error, SendError::RecordTooLarge { bytes_max: 1024, .. }), "{error}");
    producer.flush().await.unwrap();
}

#[tokio::test]
async fn a_refused_batch_fails_alone_and_those_behind_it_are_stored() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let builder = cluster.client().producer().batch_bytes(1024).linger(Duration::ZERO);
    let producer = builder.build().await.unwrap();
    producer.send(Record::to("events").value("first")).await.unwrap().await.unwrap();
    cluster.state().faults = Faults::script([Some(Fault::Invalid)]);
    let mut receipts = Vec::new();
    for number in 0..4_u8 {
        let value = [number; 800];
        receipts.push(producer.send(Record::to("events").value(&value)).await.unwrap());
    }
    let flushed = producer.flush().await.unwrap_err();
    assert_eq!(flushed.records_failed, 1);
    assert_eq!(receipts.remove(0).await.unwrap_err().code(), Some(ErrorCode::InvalidRecord));
    for (receipt, offset) in receipts.into_iter().zip(1..) {
        assert_eq!(receipt.await.unwrap().offset.get(), offset);
    }
    let epochs = cluster.state().topics["events"].partitions[0].producer_epochs();
    assert_eq!(epochs, [1], "numbers begin anew under a new epoch");
}

#[tokio::test]
async fn a_broker_that_forgot_the_producer_gets_a_new_epoch_and_every_record() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let producer = cluster.client().producer().build().await.unwrap();
    for number in 0..3 {
        if number == 2 {
            cluster.state().faults = Faults::script([Some(Fault::Forgotten)]);
        }
        let receipt = producer.send(Record::to("events").value("v")).await.unwrap();
        assert_eq!(receipt.await.unwrap().offset.get(), number);
    }
    assert_eq!(cluster.state().init_requests, 2);
}

#[tokio::test]
async fn a_cluster_that_never_gave_out_the_id_gives_a_new_one() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let producer = cluster.client().producer().build().await.unwrap();
    producer.send(Record::to("events").value("v")).await.unwrap().await.unwrap();
    // As if its data were gone: it knows neither the producer nor its id.
    cluster.state().next_producer = 0;
    cluster.state().faults = Faults::script([Some(Fault::Forgotten)]);
    let receipt = producer.send(Record::to("events").value("v")).await.unwrap();
    assert_eq!(receipt.await.unwrap().offset.get(), 1);
    let state = cluster.state();
    assert_eq!((state.init_requests, state.next_producer), (3, 1));
}

#[tokio::test]
async fn the_numbers_tell_what_was_delivered_and_what_was_sent_again() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let producer = cluster.client().producer().build().await.unwrap();
    assert_eq!(producer.stats(), thalweg_client::ProducerStats::default());
    // The first attempt is refused for the moment: that batch is sent twice and stored once.
    cluster.state().faults = Faults::script([Some(Fault::Overloaded)]);
    for _ in 0..3 {
        producer.send(Record::to("events").value("v")).await.unwrap().await.unwrap();
    }
    producer.flush().await.unwrap();
    let stats = producer.stats();
    assert_eq!((stats.records, stats.batches, stats.retries), (3, 3, 1));
    assert_eq!((stats.in_flight, stats.buffered_bytes), (0, 0));
    assert!(stats.bytes > 3 * 61, "{stats:?}");
}

#[tokio::test]
async fn weaker_acknowledgements_send_no_sequences() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    for (acks, offset) in [(Acks::Leader, 0), (Acks::None, -1)] {
        let producer = cluster.client().producer().acks(acks).build().await.unwrap();
        let receipt = producer.send(Record::to("events").value("v")).await.unwrap();
        assert_eq!(receipt.await.unwrap().offset.get(), offset);
        producer.close().await.unwrap();
    }
    eventually("both are stored", || cluster.values("events", 0).len() == 2).await;
    assert_eq!(cluster.state().init_requests, 0);
    let both = cluster.client().producer().acks(Acks::Leader).idempotence(true);
    assert!(matches!(both.build().await, Err(SendError::Config(_))));
}

#[tokio::test]
async fn records_for_a_deleted_topic_fail_with_its_name() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let producer = cluster.client().producer().build().await.unwrap();
    producer.send(Record::to("events").value("v")).await.unwrap().await.unwrap();
    cluster.client().admin().delete_topic("events").await.unwrap();
    let receipt = producer.send(Record::to("events").value("v")).await.unwrap();
    let error = receipt.await.unwrap_err();
    assert!(matches!(error, SendError::UnknownTopic { .. }), "{error}");
    let error = producer.send(Record::to("events").value("v")).await.unwrap_err();
    assert!(matches!(error, SendError::UnknownTopic { .. }), "told at once from now on: {error}");
    cluster.create("events", 1);
    let receipt = producer.send(Record::to("events").value("anew")).await.unwrap();
    assert_eq!(receipt.await.unwrap().offset, Offset::ZERO, "created again, it takes records");
}

#[tokio::test]
async fn a_broker_that_fails_repeatedly_is_left_alone_for_a_while() {
    let cluster = Cluster::start(1).await;
    cluster.kill(0);
    eventually("nobody listens", || std::net::TcpStream::connect(cluster.address(0)).is_err())
        .await;
    let client = Client::builder()
        .bootstrap(cluster.address(0))
        .retry_backoff(MS, 5 * MS)
        .breaker(3, Duration::from_mins(1))
        .api_timeout(1000 * MS)
        .build()
        .unwrap();
    let error = client.admin().list_topics().await.unwrap_err();
    let AdminError::Unreachable { last, attempts, .. } = &error else {
        panic!("{error}");
    };
    assert!(matches!(last, CallError::Resting { failures: 3, .. }), "{error}");
    assert!(*attempts > 3, "{error}");
}
