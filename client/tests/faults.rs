//! Proves P3 for the client: whatever goes wrong between producer and broker, every record that was
//! acknowledged is in the log once, at the offset that its receipt says, and in the order in which it was sent.
//!
//! How: hundreds of seeded histories against a fake broker whose log checks sequences as the real one does.
//! A run in which a planned fault never happened fails as vacuous.

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
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use support::{Cluster, Fault, Faults};
use thalweg_client::{Compression, Delivered, Record, SendError};

/// All that may go wrong without the producer giving up.
const CHANCES: [(Fault, f64); 9] = [
    (Fault::CutBefore, 0.02),
    (Fault::CutAfter, 0.03),
    (Fault::Overloaded, 0.04),
    (Fault::Moved, 0.04),
    (Fault::UnknownAppended, 0.04),
    (Fault::UnknownLost, 0.03),
    (Fault::NotEnoughAfter, 0.02),
    (Fault::Late, 0.15),
    (Fault::RefusedWhole, 0.02),
];

/// One record's fate.
struct Sent {
    partition: usize,
    value: String,
    outcome: Result<Delivered, SendError>,
}

struct Plan {
    seed: u64,
    records: usize,
    chances: Vec<(Fault, f64)>,
    budget: usize,
    delivery_timeout: Duration,
}

/// Runs one history; answers with the fate of each record and what the partitions hold.
fn run(plan: &Plan) -> (Vec<Sent>, Vec<Vec<String>>, BTreeMap<Fault, usize>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut random = fastrand::Rng::with_seed(plan.seed);
        let partitions = random.usize(1..4);
        let cluster = Cluster::start(random.usize(1..3)).await;
        cluster.create("events", partitions);
        cluster.state().faults = Faults::random(plan.seed, &plan.chances, plan.budget);
        let codec = Compression::ALL[random.usize(0..Compression::ALL.len())];
        let mut builder = cluster
            .client()
            .producer()
            .compression(codec)
            .batch_bytes(1024)
            .memory_bytes_max(random.usize(8..64) * 1024)
            .delivery_timeout(plan.delivery_timeout);
        if random.bool() {
            builder = builder.linger(Duration::from_millis(random.u64(0..3)));
        }
        let producer = builder.build().await.unwrap();
        let mut receipts = Vec::new();
        for number in 0..plan.records {
            let partition = random.usize(0..partitions);
            let value = format!("{number}:{}", "x".repeat(random.usize(0..300)));
            let record =
                Record::to("events").partition(i32::try_from(partition).unwrap()).value(&value);
            let receipt = producer.send(record).await.unwrap();
            receipts.push((partition, value, receipt));
            if random.u8(0..8) == 0 {
                tokio::task::yield_now().await;
            }
        }
        let flushed = producer.flush().await;
        let mut sent = Vec::new();
        for (partition, value, receipt) in receipts {
            let outcome = receipt.try_get().expect("a flush waits for every receipt");
            sent.push(Sent { partition, value, outcome });
        }
        let failed = sent.iter().filter(|sent| sent.outcome.is_err()).count();
        let told = flushed.err().map_or(0, |error| error.records_failed);
        assert_eq!(told, failed as u64, "seed {}: the flush tells of every failure", plan.seed);
        // Given up in flight, a batch keeps its memory until its request is over.
        support::eventually("memory is given back", || producer.memory_bytes() == 0).await;
        let text = |value: Vec<u8>| String::from_utf8(value).unwrap();
        let stored = (0..partitions)
            .map(|index| cluster.values("events", index).into_iter().map(text).collect())
            .collect();
        let happened = cluster.state().faults.happened.clone();
        (sent, stored, happened)
    })
}

/// Order and exactly once, as far as the receipts promise it.
fn check(seed: u64, sent: &[Sent], stored: &[Vec<String>]) {
    for (partition, stored) in stored.iter().enumerate() {
        let number = |value: &String| value.split(':').next().unwrap().parse::<usize>().unwrap();
        let numbers: Vec<_> = stored.iter().map(number).collect();
        assert!(
            numbers.is_sorted_by(|one, next| one < next),
            "seed {seed}: partition {partition} is out of order or doubled: {numbers:?}"
        );
        for record in sent.iter().filter(|record| record.partition == partition) {
            match &record.outcome {
                Ok(delivered) => {
                    let offset = usize::try_from(delivered.offset.get()).unwrap();
                    assert_eq!(
                        stored.get(offset),
                        Some(&record.value),
                        "seed {seed}: wrong offset"
                    );
                }
                Err(error) if !error.maybe_stored() => {
                    let found = stored.contains(&record.value);
                    assert!(!found, "seed {seed}: stored, but the receipt says {error}");
                }
                Err(_) => {}
            }
        }
    }
}

/// Runs `count` histories on a few threads.
fn run_all(count: u64, history: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        return;
                    }
                    history(seed);
                }
            });
        }
    });
}

fn scale() -> u64 {
    let scale = std::env::var("N").ok().and_then(|n| n.parse().ok());
    scale.unwrap_or(1)
}

#[test]
fn every_record_is_stored_once_and_in_order_under_random_faults() {
    let happened = Mutex::new(BTreeMap::<Fault, usize>::new());
    run_all(300 * scale(), |seed| {
        let plan = Plan {
            seed,
            records: 150,
            chances: CHANCES.to_vec(),
            budget: 60,
            delivery_timeout: Duration::from_mins(1),
        };
        let (sent, stored, faults) = run(&plan);
        for record in &sent {
            if let Err(error) = &record.outcome {
                panic!("seed {seed}: {error}");
            }
        }
        assert_eq!(stored.iter().map(Vec::len).sum::<usize>(), sent.len(), "seed {seed}");
        check(seed, &sent, &stored);
        let mut happened = happened.lock().unwrap();
        for (fault, count) in faults {
            *happened.entry(fault).or_default() += count;
        }
    });
    let happened = happened.lock().unwrap();
    for (fault, _) in CHANCES {
        assert!(happened.get(&fault).copied() > Some(20), "vacuous: {fault:?} in {happened:?}");
    }
}

#[test]
fn what_is_given_up_is_told_truly_and_the_rest_stays_in_order() {
    let failed = Mutex::new(BTreeMap::<&str, usize>::new());
    run_all(200 * scale(), |seed| {
        let mut chances = CHANCES.to_vec();
        chances.push((Fault::Invalid, 0.06));
        chances.push((Fault::Overloaded, 0.2));
        let plan = Plan {
            seed: seed + 1_000_000,
            records: 120,
            chances,
            budget: usize::MAX,
            delivery_timeout: Duration::from_millis(25),
        };
        let (sent, stored, _) = run(&plan);
        check(plan.seed, &sent, &stored);
        let mut failed = failed.lock().unwrap();
        for record in &sent {
            let kind = match &record.outcome {
                Ok(_) => "stored",
                Err(SendError::Refused { .. }) => "refused",
                Err(SendError::DeadlinePassed { maybe_stored: true, .. }) => "late, maybe stored",
                Err(SendError::DeadlinePassed { .. }) => "late, not stored",
                Err(SendError::OutcomeUnknown { .. }) => "unknown",
                Err(error) => panic!("{error}"),
            };
            *failed.entry(kind).or_default() += 1;
        }
    });
    let failed = failed.lock().unwrap();
    for kind in ["stored", "refused", "late, maybe stored", "late, not stored", "unknown"] {
        assert!(failed.get(kind).copied() > Some(20), "vacuous: {kind} in {failed:?}");
    }
}
