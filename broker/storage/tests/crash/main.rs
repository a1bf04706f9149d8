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
#[path = "../lives/mod.rs"]
mod lives;
mod part;
mod schedule;
mod seen;
mod world;

use thalweg_storage::fs::sim::SimStats;

use crate::lives::{Life, Total, Verdict, a_crash_at_every_sync, number, random_lives};
use crate::seen::Seen;
use crate::world::World;

/// What happens in the runs with damage only.
const OF_DAMAGE: [&str; 4] = ["bad_ranges", "spoiled_one", "spoiled_more", "fenced_by_damage"];

/// A run in which a fault never happened proves nothing about it.
fn assert_not_vacuous(total: &Total<Seen>, never: &[&str]) {
    let SimStats {
        pages_kept,
        pages_dropped,
        pages_torn,
        lengths_dropped,
        lengths_between,
        entries_kept,
        entries_dropped,
        ..
    } = total.stats;
    if !total.assert_not_vacuous(&[&OF_DAMAGE, never].concat()) {
        return;
    }
    for (name, times) in [
        ("pages kept", pages_kept),
        ("pages dropped", pages_dropped),
        ("pages torn", pages_torn),
        ("lengths dropped", lengths_dropped),
        ("lengths between", lengths_between),
        ("names kept", entries_kept),
        ("names dropped", entries_dropped),
    ] {
        assert!(times > 0, "vacuous: no {name}");
    }
}

#[test]
fn random_lives_keep_what_was_synced() {
    assert_not_vacuous(&random_lives::<World>(), &[]);
}

#[test]
fn a_crash_at_every_sync_in_turn_keeps_what_was_synced() {
    let never = ["crashed_in_a_write", "offline", "restarts_after_kill", "segments_expired"];
    assert_not_vacuous(&a_crash_at_every_sync::<World>(), &never);
}

/// Runs seeds and fails with the first few that do not pass.
fn every_seed(seeds: u64, run: impl Fn(&mut World) -> Verdict) -> Total<Seen> {
    let mut total = Total::new(None);
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
