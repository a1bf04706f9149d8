//! Proves that `kill -9` of the real broker under load takes no acknowledged record, doubles none and reorders none.
//!
//! One idempotent producer publishes on through all kills; a second one lives for one round only and is given up
//! with its broker. Every kill must fall between acknowledgements, or the run is vacuous. At the end everything is
//! read back and compared with what was acknowledged, and the files are verified off line.
//!
//! `N` is the number of kills (20 without it), `SEED` varies how much is acknowledged before each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod load;
#[path = "../support/mod.rs"]
mod support;
mod tally;

use std::time::Duration;

use crate::load::Load;
use crate::support::{Broker, number, run, thalweg};
use crate::tally::{Source, Tally};

/// What a run has seen.
#[derive(Debug, Default)]
struct Seen {
    kills: u64,
    /// Kills between two acknowledgements.
    in_load: u64,
    /// What is not as it should be.
    found: Vec<String>,
}

/// Kills a broker so many times under load, then reads everything back and verifies the files.
async fn run_through(kills: u64, defect: Option<&str>) -> Seen {
    let mut random = fastrand::Rng::with_seed(number("SEED").unwrap_or(1));
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut broker = match defect {
        Some(defect) => Broker::start_with_defect(&data, defect),
        None => Broker::start(&data),
    };
    // Tiny segments: kills fall into rolls, and what is sent again lies below a snapshot of the producers.
    let settings = ["segment.bytes=4KiB", "max.message.bytes=4KiB"];
    let create = ["topic", "create", "load", "-p", "3", "-c", settings[0], "-c", settings[1]];
    broker.run(&create).good();

    let (mut seen, mut tally) = (Seen::default(), Tally::default());
    let lasting = Load::start(&broker.address, Source::Lasting).await;
    for round in 0..kills {
        let fleeting = Load::start(&broker.address, Source::Round(round)).await;
        let wanted = lasting.acknowledged() + random.u64(20..400);
        if !lasting.wait_for(wanted).await || !fleeting.wait_for(1).await {
            break;
        }
        // An acknowledgement has just woken this task, and the broker has little in hand: any moment of the next
        // milliseconds is as good. Nothing is waited for.
        tokio::time::sleep(Duration::from_micros(random.u64(0..3_000))).await;
        let under_way = lasting.under_way();
        broker.kill();
        seen.kills += 1;
        seen.in_load += u64::from(under_way > 0);
        match fleeting.give_up().await {
            Ok(acknowledged) => tally.take(acknowledged),
            Err(failed) => seen.found.push(failed),
        }
        broker = broker.restart();
    }
    match lasting.finish().await {
        Ok(acknowledged) => tally.take(acknowledged),
        Err(failed) => seen.found.push(failed),
    }
    seen.found.extend(tally.compare(&load::read_all(&broker.address).await));
    eprintln!("{} kills, {} in the load: {tally}", seen.kills, seen.in_load);
    assert_eq!(broker.stop(), 0, "{}", broker.log());
    let verified = run(thalweg().args(["log", "verify"]).arg(&data), b"");
    assert_eq!(verified.code, 0, "{verified:?}");
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_takes_doubles_or_reorders_what_was_acknowledged() {
    let kills = number("N").unwrap_or(20);
    let seen = run_through(kills, None).await;
    assert!(seen.found.is_empty(), "{:#?}", seen.found);
    assert_eq!(seen.kills, kills);
    assert!(seen.in_load * 10 >= kills * 9, "vacuous: kills fell beside the load: {seen:?}");
}

#[cfg(feature = "defects")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_forgets_its_producers_is_caught() {
    // It shows when a kill falls between the append of a batch and its answer: nearly every round has one.
    for round in 1..=10 {
        let seen = run_through(20, Some("forget-producer-state")).await;
        if let Some(found) = seen.found.first() {
            eprintln!("forget-producer-state is caught in round {round} by: {found:?}");
            return;
        }
    }
    panic!("vacuous: 200 kills have doubled nothing");
}
