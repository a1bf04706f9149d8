//! Each planted defect of compaction is caught by the very runs that a correct one passes.

use std::panic::{self, AssertUnwindSafe};

use thalweg_storage::defects::{Defect, plant};

use crate::schedule;
use crate::world::World;

/// The seeds of the runs that have to catch a defect; all of them pass without one.
const SEEDS: u64 = 200;

/// Fails unless one of the first seeds notices the defect; says which.
fn assert_caught(defect: Defect) {
    let _planted = plant(defect);
    for seed in 1..=SEEDS {
        let mut world = World::new(seed);
        let run = || schedule::random_lives(&mut world, 25);
        let verdict = panic::catch_unwind(AssertUnwindSafe(run));
        let verdict = verdict.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map_or("an assertion", String::as_str);
            Err(text.to_owned())
        });
        if let Err(why) = verdict {
            let crashes = world.disk.stats().crashes;
            eprintln!("{defect}: caught by seed {seed} after {crashes} crashes: {why}");
            return;
        }
    }
    panic!("{defect} was not caught by {SEEDS} seeds");
}

#[test]
fn a_tombstone_that_goes_early_is_caught() {
    assert_caught(Defect::DropTombstoneEarly);
}

#[test]
fn a_horizon_from_the_times_of_a_file_is_caught() {
    assert_caught(Defect::HorizonFromFileTime);
}

#[test]
fn a_swap_without_a_sync_is_caught() {
    assert_caught(Defect::SwapWithoutSync);
}

#[test]
fn old_files_that_go_before_the_new_one_counts_are_caught() {
    assert_caught(Defect::RemoveBeforeSwap);
}

#[test]
fn producers_lost_with_their_emptied_batches_are_caught() {
    assert_caught(Defect::LoseEmptiedProducers);
}

#[test]
fn compaction_above_the_stable_end_is_caught() {
    assert_caught(Defect::CompactAboveStableEnd);
}

#[test]
fn keys_taken_for_one_another_are_caught() {
    assert_caught(Defect::ShortKeyHash);
}

#[test]
fn a_hole_across_leader_epochs_is_caught() {
    assert_caught(Defect::HoleAcrossEpochs);
}
