//! Each planted defect of the storage is caught by the very runs that a correct storage passes.

use std::panic::{self, AssertUnwindSafe};

use thalweg_storage::defects::{Defect, plant};

use crate::damage;
use crate::history::Verdict;
use crate::schedule;
use crate::world::World;

/// The seeds of the runs that have to catch a defect; all of them pass without one.
const SEEDS: u64 = 200;

/// Fails unless one of the first seeds notices the defect; says which.
fn assert_caught(defect: Defect, run: impl Fn(&mut World) -> Verdict) {
    let _planted = plant(defect);
    for seed in 1..=SEEDS {
        let mut world = World::new(seed);
        let verdict = panic::catch_unwind(AssertUnwindSafe(|| run(&mut world)));
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

fn lives(world: &mut World) -> Verdict {
    schedule::random_lives(world, 25)
}

#[test]
fn a_skipped_sync_is_caught() {
    assert_caught(Defect::SkipSync, lives);
}

#[test]
fn an_end_taken_after_the_sync_is_caught() {
    assert_caught(Defect::PublishEndAfterSync, lives);
}

#[test]
fn a_trusted_cached_tail_is_caught() {
    assert_caught(Defect::TrustCachedTail, lives);
}

#[test]
fn a_recovery_without_checksums_is_caught() {
    assert_caught(Defect::IgnoreCrcOnRecovery, lives);
}

#[test]
fn a_retried_sync_is_caught() {
    assert_caught(Defect::RetryFailedSync, lives);
}

#[test]
fn a_skipped_sync_of_a_folder_is_caught() {
    assert_caught(Defect::SkipFolderSync, lives);
}

#[test]
fn a_synced_end_that_passes_a_roll_early_is_caught() {
    assert_caught(Defect::RollPassesSyncedEndEarly, lives);
}

#[test]
fn a_checkpoint_before_its_sync_is_caught() {
    assert_caught(Defect::CheckpointBeforeSync, lives);
}

#[test]
fn a_clean_mark_that_stays_is_caught() {
    assert_caught(Defect::KeepCleanMark, lives);
}

#[test]
fn forgotten_producers_are_caught() {
    assert_caught(Defect::ForgetProducerState, lives);
}

#[test]
fn an_ignored_gap_of_sequences_is_caught() {
    assert_caught(Defect::IgnoreSequenceGap, lives);
}

#[test]
fn a_cut_below_the_recovery_point_is_caught() {
    assert_caught(Defect::CutBelowRecoveryPoint, damage::flip_below_the_recovery_point);
}

#[test]
fn a_folder_made_a_second_time_is_caught() {
    assert_caught(Defect::RecreateMissingFolder, damage::lose_a_folder);
}
