//! Proves that no record costs an allocation: on its way into a batch, and out of one. Memory is asked for by the batch.
//!
//! How: a counting allocator, and ten times as many records as a batch needs allocations, within one batch. Then all that
//! the client does, its tasks included: it has this thread for itself, the fake broker has others, and batches of many
//! records are compared with as large ones of few.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod support;

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use support::{Cluster, eventually};
use thalweg_client::{Consumer, Producer, Receipt, Record, StartAt};
use thalweg_counting::{Heap, measure};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

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

/// Batches of the same size, and of how many records.
const FEW: usize = 10;
const MANY: usize = RECORDS;
const BATCH_VALUES_BYTES: usize = 500_000;
const BATCHES: usize = 10;

/// What a batch may ask for in all: its request or answer, the tasks that it wakes, and what growing takes.
const BATCH_MAX: usize = 100;

/// A client that has the test's thread for itself; the broker has another.
struct Apart {
    server: Runtime,
    own: Runtime,
    cluster: Cluster,
}

impl Apart {
    fn start() -> Self {
        let server = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let own = Builder::new_current_thread().enable_all().build().unwrap();
        let cluster = server.block_on(Cluster::start(1));
        Self { server, own, cluster }
    }

    /// Publishes batches of so many records, and hears of each of them.
    fn publish(&self, producer: &Producer, records: usize) -> Heap {
        let value = vec![7; BATCH_VALUES_BYTES / records];
        let mut receipts: Vec<Receipt> = Vec::with_capacity(records);
        let work = async {
            for _ in 0..BATCHES {
                for _ in 0..records {
                    let record = Record::to("events").value(&value);
                    receipts.push(producer.send(record).await.unwrap());
                }
                all_wait(&mut receipts).await;
                producer.flush().await.unwrap();
                for receipt in receipts.drain(..) {
                    receipt.await.unwrap();
                }
            }
        };
        measure(|| self.own.block_on(work)).1
    }
}

/// Somebody waits for each of them.
async fn all_wait(receipts: &mut [Receipt]) {
    std::future::poll_fn(|context| {
        let mut known = receipts.iter_mut().map(|it| Pin::new(it).poll(context).is_ready());
        assert!(!known.any(|is_known| is_known), "vacuous: nothing is waited for");
        Poll::Ready(())
    })
    .await;
}

#[test]
fn no_record_costs_the_producer_an_allocation_from_the_handle_to_its_answer() {
    let apart = Apart::start();
    let producer = apart.own.block_on(producer(&apart.cluster));
    // Buffers are there afterwards.
    apart.publish(&producer, MANY);
    let (few, many) = (apart.publish(&producer, FEW), apart.publish(&producer, MANY));
    let told = format!("{BATCHES} batches of {FEW} records {few:?}, of {MANY} {many:?}");
    assert!(few.allocations.max(many.allocations) <= BATCHES * BATCH_MAX, "{told}");
    let sent = apart.cluster.state().produce_requests.iter().flatten().count();
    assert!(sent <= 1 + 3 * BATCHES, "vacuous: {sent} batches");
}

/// What the consumer asks for while it reads all batches, each in an answer of its own. The first one stops before its end
/// until the consumer has asked for what follows.
fn reading(records: usize, read: impl AsyncFnOnce(Consumer) -> usize) -> Heap {
    let apart = Apart::start();
    let producer = apart.own.block_on(producer(&apart.cluster));
    apart.publish(&producer, records);
    let gate = Arc::new(Semaphore::new(0));
    apart.cluster.state().tail_gate = Some(Arc::clone(&gate));
    let cluster = apart.cluster.clone();
    let letting_go = apart.server.spawn(async move {
        let asked = || cluster.state().fetches.len() > 1;
        eventually("asking for what follows the first answer", asked).await;
        gate.add_permits(BATCHES);
    });
    let (count, heap) = measure(|| {
        apart.own.block_on(async {
            let builder = apart.cluster.client().consumer().topic("events", StartAt::Earliest);
            let builder = builder.stop_at_end().partition_bytes_max(BATCH_VALUES_BYTES * 3 / 2);
            read(builder.build().await.unwrap()).await
        })
    });
    apart.server.block_on(letting_go).unwrap();
    assert_eq!(count, BATCHES * records + 1);
    heap
}

async fn one_by_one(mut consumer: Consumer) -> usize {
    let mut count = 0;
    while let Some(record) = consumer.next().await {
        record.unwrap();
        count += 1;
    }
    count
}

async fn in_batches(mut consumer: Consumer) -> usize {
    let mut count = 0;
    while let Some(batch) = consumer.next_batch().await {
        count += batch.unwrap().records().unwrap().iter().map(Result::unwrap).count();
    }
    count
}

#[test]
fn no_record_costs_the_consumer_an_allocation_from_its_answer_to_the_handle() {
    let heaps = [
        [reading(FEW, one_by_one), reading(MANY, one_by_one)],
        [reading(FEW, in_batches), reading(MANY, in_batches)],
    ];
    let told = format!("{BATCHES} batches of {FEW} and of {MANY} records: {heaps:?}");
    assert!(heaps.iter().flatten().all(|it| it.allocations <= BATCHES * BATCH_MAX), "{told}");
}
