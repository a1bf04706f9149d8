//! Proves that compaction keeps the last record of each key as it was, and takes nothing else than older ones and
//! tombstones whose time has come, whatever happens meanwhile.
//!
//! The real log runs on the simulated disk beside a model that is a plain list of records (`model.rs`). Random
//! schedules append, sync, roll, cut, delete and compact, with appends, reads, rolls, deletions and stops in the
//! middle of a run; the power goes at every sync in turn, at any write, or anywhere. After each step everything
//! that can be read is held against the model, and so are producers, epochs, searches by time, and every
//! slice that a reader took before.
//!
//! `N` is the number of crashes (10,000 without it), `SEED` runs one seed alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod actions;
mod check;
mod defects;
mod golden;
mod model;
mod schedule;
mod seen;
mod stories;
mod world;

use std::env;

use thalweg_storage::fs::sim::SimStats;

use crate::seen::Seen;
use crate::world::World;

/// Crashes of one random run.
const CRASHES_OF_A_RUN: u64 = 25;

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// What happened in all runs together.
#[derive(Debug, Default)]
struct Total {
    stats: SimStats,
    seen: Seen,
}

impl Total {
    fn add(&mut self, world: &World) {
        self.stats += world.disk.stats();
        self.seen += world.seen;
    }

    /// A run in which something never happened proves nothing about it.
    fn assert_not_vacuous(&self, crashes: u64, never: &[&str]) {
        eprintln!("{self:#?}");
        assert!(self.stats.crashes >= crashes, "only {} crashes", self.stats.crashes);
        let missing = self.seen.missing().into_iter().filter(|name| !never.contains(name));
        let missing: Vec<_> = missing.collect();
        assert!(missing.is_empty(), "vacuous: never happened: {missing:?}");
    }
}

#[test]
fn random_lives_keep_the_last_record_of_each_key() {
    let crashes = number("N").unwrap_or(10_000).div_ceil(2);
    let one = number("SEED");
    let mut total = Total::default();
    let mut seed = one.unwrap_or(1);
    loop {
        let mut world = World::new(seed);
        let verdict = schedule::random_lives(&mut world, CRASHES_OF_A_RUN);
        total.add(&world);
        if let Err(error) = verdict {
            let nth = world.disk.stats().crashes;
            panic!("SEED={seed}, after crash {nth}: {error}");
        }
        if one.is_some() || total.stats.crashes >= crashes {
            break;
        }
        seed += 1;
    }
    // So few crashes do not come by everything.
    if one.is_none() && crashes >= 1000 {
        total.assert_not_vacuous(crashes, &[]);
    }
}

#[test]
fn a_crash_at_every_sync_in_turn_keeps_the_last_record_of_each_key() {
    let crashes = number("N").unwrap_or(10_000).div_ceil(2);
    let one = number("SEED");
    let mut total = Total::default();
    let mut seed = one.unwrap_or(1);
    loop {
        let syncs = schedule::syncs_of(World::new(seed));
        let syncs = syncs.unwrap_or_else(|error| panic!("SEED={seed}, without a crash: {error}"));
        for nth in 1..=syncs {
            let mut world = World::new(seed);
            let verdict = schedule::crash_at_sync(&mut world, nth);
            total.add(&world);
            if let Err(error) = verdict {
                panic!("SEED={seed}, crashed at sync {nth} of {syncs}: {error}");
            }
        }
        if one.is_some() || total.stats.crashes >= crashes {
            break;
        }
        seed += 1;
    }
    if one.is_none() && crashes >= 1000 {
        total.assert_not_vacuous(crashes, &["killed", "clean_stops", "offline"]);
    }
}
