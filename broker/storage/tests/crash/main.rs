//! Proves that no crash takes a synced batch, brings back a cut one, or changes what could be read.
//!
//! The real log, log directory and group commit run on the simulated disk. Random schedules append, sync, roll,
//! cut, delete, expire, write checkpoints and stop cleanly; the power goes at every sync in turn, at any write,
//! or anywhere, and keeps any subset of the unsynced pages and names. After each restart everything that
//! can be read is compared byte for byte with what the test itself wrote down (`history.rs`).
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

mod damage;
mod defects;
mod history;
mod part;
mod schedule;
mod world;

use std::env;

use thalweg_storage::fs::sim::SimStats;

use crate::world::{Seen, World};

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

    /// A run in which a fault never happened proves nothing about it.
    fn assert_not_vacuous(&self, crashes: u64, never: &[&str]) {
        eprintln!("{:#?}", self);
        assert!(self.stats.crashes >= crashes, "only {} crashes", self.stats.crashes);
        let missing: Vec<_> =
            self.seen.missing().into_iter().filter(|name| !never.contains(name)).collect();
        assert!(missing.is_empty(), "vacuous: never happened: {missing:?}");
        let stats = self.stats;
        for (name, times) in [
            ("pages kept", stats.pages_kept),
            ("pages dropped", stats.pages_dropped),
            ("pages torn", stats.pages_torn),
            ("lengths dropped", stats.lengths_dropped),
            ("lengths between", stats.lengths_between),
            ("names kept", stats.entries_kept),
            ("names dropped", stats.entries_dropped),
        ] {
            assert!(times > 0, "vacuous: no {name}");
        }
    }
}

#[test]
fn random_lives_keep_what_was_synced() {
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
    if one.is_none() {
        total.assert_not_vacuous(crashes, &["bad_ranges"]);
    }
}

#[test]
fn a_crash_at_every_sync_in_turn_keeps_what_was_synced() {
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
    if one.is_none() {
        let never = [
            "bad_ranges",
            "crashed_in_a_write",
            "offline",
            "restarts_after_kill",
            "segments_expired",
        ];
        total.assert_not_vacuous(crashes, &never);
    }
}

#[test]
fn a_flipped_bit_below_the_recovery_point_is_reported_and_never_cut_off() {
    let mut total = Total::default();
    for seed in 1..=number("N").unwrap_or(10_000).div_ceil(50) {
        let mut world = World::new(seed);
        let verdict = damage::flip_below_the_recovery_point(&mut world);
        total.add(&world);
        verdict.unwrap_or_else(|error| panic!("SEED={seed}: {error}"));
    }
    assert!(total.stats.bits_flipped > 0 && total.seen.bad_ranges > 0, "vacuous: {total:?}");
}

#[test]
fn a_flipped_bit_in_an_index_never_gives_a_wrong_read() {
    let mut total = Total::default();
    for seed in 1..=number("N").unwrap_or(10_000).div_ceil(50) {
        let mut world = World::new(seed);
        let ending = if seed % 2 == 0 { "index" } else { "timeindex" };
        let verdict = damage::flip_an_index(&mut world, ending);
        total.add(&world);
        verdict.unwrap_or_else(|error| panic!("SEED={seed}: {error}"));
    }
    assert!(total.stats.bits_flipped > 50, "vacuous: {total:?}");
}

#[test]
fn a_missing_folder_is_never_made_again() {
    for seed in 1..=20 {
        let verdict = damage::lose_a_folder(&mut World::new(seed));
        verdict.unwrap_or_else(|error| panic!("SEED={seed}: {error}"));
    }
}
