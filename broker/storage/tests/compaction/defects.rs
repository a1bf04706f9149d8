//! Each planted defect of compaction is caught by the very runs that a correct one passes.

use thalweg_storage::defects::Defect;

use crate::lives::{assert_caught, lives};
use crate::world::World;

#[test]
fn a_tombstone_that_goes_early_is_caught() {
    assert_caught(Defect::DropTombstoneEarly, lives::<World>);
}

#[test]
fn a_horizon_from_the_times_of_a_file_is_caught() {
    assert_caught(Defect::HorizonFromFileTime, lives::<World>);
}

#[test]
fn a_swap_without_a_sync_is_caught() {
    assert_caught(Defect::SwapWithoutSync, lives::<World>);
}

#[test]
fn old_files_that_go_before_the_new_one_counts_are_caught() {
    assert_caught(Defect::RemoveBeforeSwap, lives::<World>);
}

#[test]
fn producers_lost_with_their_emptied_batches_are_caught() {
    assert_caught(Defect::LoseEmptiedProducers, lives::<World>);
}

#[test]
fn compaction_above_the_stable_end_is_caught() {
    assert_caught(Defect::CompactAboveStableEnd, lives::<World>);
}

#[test]
fn keys_taken_for_one_another_are_caught() {
    assert_caught(Defect::ShortKeyHash, lives::<World>);
}

#[test]
fn a_hole_across_leader_epochs_is_caught() {
    assert_caught(Defect::HoleAcrossEpochs, lives::<World>);
}
