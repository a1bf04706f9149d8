//! Proves that a power cut takes no acknowledged record: after `kill -9` the page cache is still there, after a power
//! cut it is not.
//!
//! Each cycle makes an ext4 file system in a file, starts the real `thalweg serve` on it, publishes with every codec
//! and follows as a reader, and in the middle of it shuts the file system down without flushing its journal, as a power
//! cut does. The broker is killed, the file system mounted again, the broker started again, and everything read:
//! each acknowledged record is at its offset, once and in order, and so is each that had been read. A topic that is
//! acknowledged before it is synced must lose records in the same cuts; else the power never went.
//!
//! `N` is the number of cycles (10 without it), `SEED` the first seed. Needs root and says plainly when it did not run;
//! with `POWER_CUT=required` that is a failure.
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

mod cycle;
mod history;
mod image;
mod load;
mod server;
#[path = "../support/mod.rs"]
mod support;

use std::io::Write;

use crate::cycle::Tally;
use crate::image::Image;
use crate::support::number;

fn cycles() -> u64 {
    number("N").unwrap_or(10)
}

/// A new image; none where this machine cannot have one, which is said and, if so asked for, a failure.
fn image() -> Option<Image> {
    match Image::create() {
        Ok(image) => Some(image),
        Err(reason) => {
            did_not_run(&reason);
            None
        }
    }
}

/// Past the capture of test output: what did or did not run is to be seen when all is well, too.
fn say(line: &str) {
    let line = format!("{line}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn did_not_run(reason: &str) {
    say(&format!("POWER CUT DID NOT RUN: {reason}"));
    let required = std::env::var("POWER_CUT").is_ok_and(|value| value == "required");
    assert!(!required, "POWER_CUT=required, but: {reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_takes_no_acknowledged_record_and_nothing_that_was_read() {
    let mut tally = Tally::default();
    let first = number("SEED").unwrap_or(1);
    for seed in first..first + cycles() {
        let Some(image) = image() else { return };
        let one = cycle::run(image, seed, None).await;
        eprintln!("seed {seed}: {one}");
        tally += one;
    }
    say(&format!("POWER CUT: {tally}"));
    assert!(
        tally.cuts_in_load * 2 >= tally.cuts,
        "vacuous: the cuts fell beside the load: {tally}"
    );
    assert!(tally.acknowledged > 0 && tally.seen > 0, "vacuous: {tally}");
    assert!(
        tally.lost_unsynced > 0,
        "vacuous: the cuts took nothing, not even what was not synced: {tally}"
    );
    assert_eq!((tally.lost, tally.unseen), (0, 0));
}

#[cfg(feature = "defects")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledging_before_the_sync_loses_records() {
    let mut tally = Tally::default();
    // A cut catches it about every second time; the first that does is enough.
    for seed in 1..=cycles().max(40) {
        let Some(image) = image() else { return };
        tally += cycle::run(image, seed, Some("ack-before-sync")).await;
        if tally.lost > 0 {
            say(&format!("POWER CUT: ack-before-sync is caught: {tally}"));
            return;
        }
    }
    panic!("vacuous: acknowledging before the sync lost nothing: {tally}");
}

#[cfg(not(feature = "defects"))]
#[test]
fn acknowledging_before_the_sync_loses_records() {
    did_not_run("the planted defect needs --all-features");
}
