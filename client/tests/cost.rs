//! Proves that no record costs an allocation: on its way into a batch, and out of one. Memory is asked for by the batch.
//!
//! How: a counting allocator, and ten times as many records as a batch needs allocations, within one batch.

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

use support::Cluster;
use thalweg_client::{Producer, Record, StartAt};
use thalweg_counting::measure;

#[global_allocator]
static ALLOCATOR: thalweg_counting::Counting = thalweg_counting::Counting;

const RECORDS: usize = 5_000;

/// A batch's buffer, its outcome, its place in the queue, and what growing them takes.
const ALLOCATIONS_MAX: usize = 40;

/// A producer that knows its topic and has sent a batch, so that its buffers are there. Batches wait for the flush.
async fn producer(cluster: &Cluster) -> Producer {
    cluster.create("events", 1);
    let builder = cluster.client().producer().batch_bytes(4 << 20).linger(Duration::from_mins(1));
    let producer = builder.build().await.unwrap();
    drop(producer.send(Record::to("events").value(b"first")).await.unwrap());
    producer.flush().await.unwrap();
    producer
}

#[tokio::test]
async fn records_are_sent_one_by_one_without_an_allocation_for_any() {
    let cluster = Cluster::start(1).await;
    let producer = producer(&cluster).await;
    let value = [7; 100];
    let ((), heap) = measure(|| {
        for _ in 0..RECORDS {
            let record = Record::to("events").key(b"key").value(&value);
            drop(producer.try_send(&record).unwrap().expect("there is room"));
        }
    });
    assert!(heap.allocations <= ALLOCATIONS_MAX, "{heap:?}");
    producer.flush().await.unwrap();
}

#[tokio::test]
async fn a_batch_that_was_read_hands_out_its_records_without_an_allocation_for_any() {
    let cluster = Cluster::start(1).await;
    let producer = producer(&cluster).await;
    for _ in 0..RECORDS {
        drop(producer.send(Record::to("events").value(&[7; 100])).await.unwrap());
    }
    producer.flush().await.unwrap();
    let builder = cluster.client().consumer().topic("events", StartAt::Earliest);
    let mut consumer = builder.stop_at_end().build().await.unwrap();
    let mut read = 0;
    while let Some(batch) = consumer.next_batch().await {
        let batch = batch.unwrap();
        let (bytes, heap) = measure(|| {
            let records = batch.records().unwrap();
            let values = records.iter().map(|record| record.unwrap().value.unwrap().len());
            values.inspect(|_| read += 1).sum::<usize>()
        });
        assert!(bytes > 0 && heap.allocations <= 4, "{heap:?}");
    }
    assert_eq!(read, RECORDS + 1);
}
