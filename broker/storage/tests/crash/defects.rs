//! Each planted defect of the storage is caught by the very runs that a correct storage passes.

use thalweg_storage::defects::Defect;

use crate::damage;
use crate::lives::{assert_caught, lives};
use crate::world::World;

#[test]
fn a_skipped_sync_is_caught() {
    assert_caught(Defect::SkipSync, lives::<World>);
}

#[test]
fn an_end_taken_after_the_sync_is_caught() {
    assert_caught(Defect::PublishEndAfterSync, lives::<World>);
}

#[test]
fn a_trusted_cached_tail_is_caught() {
    assert_caught(Defect::TrustCachedTail, lives::<World>);
}

#[test]
fn a_recovery_without_checksums_is_caught() {
    assert_caught(Defect::IgnoreCrcOnRecovery, lives::<World>);
}

#[test]
fn a_retried_sync_is_caught() {
    assert_caught(Defect::RetryFailedSync, lives::<World>);
}

#[test]
fn a_skipped_sync_of_a_folder_is_caught() {
    assert_caught(Defect::SkipFolderSync, lives::<World>);
}

#[test]
fn a_synced_end_that_passes_a_roll_early_is_caught() {
    assert_caught(Defect::RollPassesSyncedEndEarly, lives::<World>);
}

#[test]
fn a_checkpoint_before_its_sync_is_caught() {
    assert_caught(Defect::CheckpointBeforeSync, lives::<World>);
}

#[test]
fn a_clean_mark_that_stays_is_caught() {
    assert_caught(Defect::KeepCleanMark, lives::<World>);
}

#[test]
fn forgotten_producers_are_caught() {
    assert_caught(Defect::ForgetProducerState, lives::<World>);
}

#[test]
fn an_ignored_gap_of_sequences_is_caught() {
    assert_caught(Defect::IgnoreSequenceGap, lives::<World>);
}

#[test]
fn a_cut_below_the_recovery_point_is_caught() {
    assert_caught(Defect::CutBelowRecoveryPoint, damage::flip_below_the_recovery_point);
}

#[test]
fn a_folder_made_a_second_time_is_caught() {
    assert_caught(Defect::RecreateMissingFolder, damage::lose_a_folder);
}
