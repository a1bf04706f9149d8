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

mod actions;
mod damage;
mod defects;
mod history;
mod part;
mod schedule;
mod seen;
mod world;

use std::env;

use thalweg_storage::fs::sim::SimStats;

use crate::seen::Seen;
use crate::world::World;

/// What happens in the runs with damage only.
const OF_DAMAGE: [&str; 4] = ["bad_ranges", "spoiled_one", "spoiled_more", "fenced_by_damage"];

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
        eprintln!("{self:#?}");
        assert!(self.stats.crashes >= crashes, "only {} crashes", self.stats.crashes);
        let missing: Vec<_> = self
            .seen
            .missing()
            .into_iter()
            .filter(|name| !never.contains(name) && !OF_DAMAGE.contains(name))
            .collect();
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
        total.assert_not_vacuous(crashes, &[]);
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
        let never = ["crashed_in_a_write", "offline", "restarts_after_kill", "segments_expired"];
        total.assert_not_vacuous(crashes, &never);
    }
}

/// Runs seeds and fails with the first few that do not pass.
fn every_seed(seeds: u64, run: impl Fn(&mut World) -> history::Verdict) -> Total {
    let mut total = Total::default();
    let mut failures = Vec::new();
    for seed in number("SEED").map_or(1..=seeds, |seed| seed..=seed) {
        let mut world = World::new(seed);
        if let Err(error) = run(&mut world) {
            failures.push(format!("SEED={seed}: {error}"));
        }
        total.add(&world);
    }
    let first = &failures[..failures.len().min(5)];
    assert!(failures.is_empty(), "{} of {seeds} seeds fail: {first:#?}", failures.len());
    total
}

#[test]
fn a_flipped_bit_below_the_recovery_point_is_reported_and_never_cut_off() {
    let seeds = number("N").unwrap_or(10_000).div_ceil(50);
    let total = every_seed(seeds, damage::flip_below_the_recovery_point);
    let (flipped, reported) = (total.stats.bits_flipped, total.seen.bad_ranges);
    assert!(flipped > 0 && reported > 0, "vacuous: {flipped} bits, {reported} reported");
    let (one, more) = (total.seen.spoiled_one, total.seen.spoiled_more);
    eprintln!("{flipped} bits flipped, {reported} reported, {one} spoiled one batch, {more} more");
    // A flipped length may hide the batches that it leads past; nothing else may.
    assert!(one > 0 && more * 10 < flipped, "{more} of {flipped} bits spoil several batches");
}

#[test]
fn a_flipped_bit_in_an_index_never_gives_a_wrong_read() {
    let seeds = number("N").unwrap_or(10_000).div_ceil(100);
    for ending in ["index", "timeindex"] {
        let total = every_seed(seeds, |world| damage::flip_an_index(world, ending));
        assert!(total.stats.bits_flipped > 0, "vacuous: no bit of any .{ending} was flipped");
    }
}

#[test]
fn a_missing_folder_is_never_made_again() {
    every_seed(20, damage::lose_a_folder);
}
