//! Proves that no record costs the whole broker an allocation, from the socket to the log and back: a batch of many records
//! asks for as much memory as one of few, when it is produced and when it is fetched, and both ask for little.
//!
//! How: a real broker in this process, a connection that is spoken by hand on the test's own thread, a counting allocator, and
//! what all threads but this one asked for. Other tests would be counted, too: there is only one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod raw;
#[path = "../one_broker/support.rs"]
mod support;

use raw::Raw;
use support::{Fixture, create};
use thalweg_counting::measure_others;
use thalweg_protocol::TopicId;

#[global_allocator]
static ALLOCATOR: thalweg_counting::Counting = thalweg_counting::Counting;

/// Requests of each kind that are counted.
const REQUESTS: usize = 200;

/// The records of a batch: a few, and as many as fill several reads of the socket.
const FEW: usize = 10;
const MANY: usize = 5_000;

/// What a produce request may ask for: its parts as they are decoded, what the answer is made of, and with `acks=all` a wait
/// and a place in the group commit.
const PRODUCE_MAX: usize = 24;

/// The same of a fetch, whose answer is a slice of a map.
const FETCH_MAX: usize = 20;

/// What the broker does besides: figures, checkpoints, entries in the indexes, buffers for frames.
const BESIDES_MAX: usize = 6;

/// What one request asked for on average, when it was produced and when it was fetched.
fn allocations(fixture: &Fixture, topic: TopicId, records: usize, acks_all: bool) -> [usize; 2] {
    let mut raw = Raw::open(fixture);
    let produce = Raw::produce(topic, records, acks_all);
    // The first ones find files, buffers and figures to be made.
    let mut base = 0;
    for _ in 0..20 {
        base = raw.produced(&produce);
        raw.fetched(&Raw::fetch(topic, base), records);
    }
    let ((), produced) = measure_others(|| {
        for _ in 0..REQUESTS {
            base = raw.produced(&produce);
        }
    });
    let fetch = Raw::fetch(topic, base);
    let ((), fetched) = measure_others(|| {
        for _ in 0..REQUESTS {
            raw.fetched(&fetch, records);
        }
    });
    [produced / REQUESTS, fetched / REQUESTS]
}

#[test]
fn a_batch_of_many_records_asks_the_broker_for_no_more_memory_than_one_of_few() {
    let fixture = Fixture::start();
    for (name, acks_all) in [("replicated", false), ("synced", true)] {
        let topic = made(&fixture, name);
        let few = allocations(&fixture, topic, FEW, acks_all);
        let many = allocations(&fixture, topic, MANY, acks_all);
        let told = format!("{name}: produce and fetch, {FEW} records {few:?}, {MANY} {many:?}");
        assert!(few[0] <= PRODUCE_MAX && few[1] <= FETCH_MAX, "{told}");
        assert!(many.iter().zip(few).all(|(many, few)| *many <= few + BESIDES_MAX), "{told}");
    }
}

/// A topic of one partition with the durability of this name.
fn made(fixture: &Fixture, durability: &str) -> TopicId {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = fixture.client();
        create(&client, durability, 1, &[("durability", durability)]).await;
        client.admin().describe_topic(durability).await.unwrap().id
    })
}
