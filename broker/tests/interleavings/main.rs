//! Every order of steps in which a log's writer, its flusher and a cut can hand each other the log's ends.
//!
//! The files that do it are compiled here a second time, unchanged, over loom's atomics and locks instead of the standard
//! library's; loom then runs each little scenario in every order that the memory model allows (with a bound on how often a
//! thread is interrupted). Compiled a third time, with every memory ordering weakened to `Relaxed`, the same scenario must
//! fail: so the orderings are needed, and the checker sees when one is missing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    dead_code,
    clippy::duplicate_mod,
    reason = "tests fail by panicking; the files are compiled twice on purpose, and not all of them is used"
)]

mod relaxed;
mod strong;

/// Runs a scenario in every order of its steps in which no thread is interrupted more than three times.
fn in_every_order(scenario: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(scenario);
}

#[test]
fn what_is_appended_is_synced_and_nothing_counts_before() {
    in_every_order(strong::scenarios::appends_while_syncing);
}

#[test]
#[should_panic(expected = "forgotten")]
fn without_its_orderings_an_append_is_forgotten() {
    in_every_order(relaxed::scenarios::appends_while_syncing);
}

#[test]
fn a_sync_that_a_cut_overtakes_publishes_nothing_of_what_was_cut() {
    in_every_order(strong::scenarios::cut_while_syncing);
}

#[test]
fn a_name_counts_as_synced_only_after_a_sync_that_saw_it() {
    in_every_order(strong::scenarios::names_while_syncing);
}

#[test]
fn a_sync_of_names_that_failed_leaves_them_unsynced() {
    in_every_order(strong::scenarios::names_of_a_failed_sync);
}
