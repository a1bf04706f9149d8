//! The planted defects of the pure core: each is seen by a rule or by the simulation, which pass without it.

use std::panic::{self, AssertUnwindSafe};

use thalweg_storage::defects::{Defect, plant};

use crate::rules;
use crate::sim::{self, Totals};

fn fails(test: impl FnOnce()) -> bool {
    panic::catch_unwind(AssertUnwindSafe(test)).is_err()
}

/// The rule passes (its own test says so) and fails with the defect.
fn caught_by_rule(defect: Defect, rule: fn()) {
    rule();
    let _planted = plant(defect);
    assert!(fails(rule), "{defect} was not caught");
}

/// One of some histories goes wrong with the defect; none does without.
fn caught_by_simulation(defect: Defect) {
    const SEEDS: std::ops::Range<u64> = 0..150;
    let _planted = plant(defect);
    let wrong = SEEDS.into_iter().find_map(|seed| {
        let run = || sim::run(seed, &mut Totals::default());
        match panic::catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => None,
            Ok(Err(wrong)) => Some((seed, wrong)),
            Err(_) => Some((seed, "an assertion".to_owned())),
        }
    });
    let (seed, wrong) = wrong.unwrap_or_else(|| panic!("{defect} was not caught in {SEEDS:?}"));
    let wrong: String = wrong.chars().take(150).collect();
    eprintln!("{defect}: caught with seed {seed}: {wrong}");
}

#[test]
fn commits_of_an_old_epoch_are_seen() {
    caught_by_rule(
        Defect::IgnoreMemberEpoch,
        rules::a_commit_of_an_older_epoch_is_told_to_come_again,
    );
}

#[test]
fn commits_of_a_stranger_are_seen() {
    caught_by_rule(Defect::CommitNotOwned, rules::a_member_commits_only_what_it_owns);
}

#[test]
fn offsets_that_expire_under_a_live_group_are_seen() {
    caught_by_rule(
        Defect::ExpireLiveGroup,
        rules::offsets_expire_counted_from_when_the_group_became_empty,
    );
}

#[test]
fn a_second_life_of_a_living_instance_is_seen() {
    caught_by_rule(Defect::TakeOverLiveInstance, rules::a_living_instance_keeps_its_place);
}

#[test]
fn waiting_for_a_drain_for_ever_is_seen() {
    caught_by_rule(Defect::WaitForDrainForEver, rules::who_does_not_let_go_in_time_is_taken_out);
}

#[test]
fn two_owners_at_a_time_are_seen() {
    caught_by_simulation(Defect::AssignBeforeRelease);
}

#[test]
fn old_reports_that_pass_for_new_ones_are_seen() {
    let rule = rules::what_was_said_before_the_order_does_not_answer_it;
    caught_by_rule(Defect::BelieveOldReports, rule);
}

#[test]
fn stopping_the_world_is_seen() {
    caught_by_simulation(Defect::RevokeWhatStays);
}

#[test]
fn members_that_stay_for_ever_are_seen() {
    caught_by_simulation(Defect::NeverFence);
}

#[test]
fn topics_that_grow_unnoticed_are_seen() {
    caught_by_simulation(Defect::IgnoreTopicGrowth);
}

#[test]
fn a_replay_that_differs_is_seen() {
    caught_by_simulation(Defect::ReplaySkipsTombstones);
}
