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
#[path = "../lives/mod.rs"]
mod lives;
mod model;
mod schedule;
mod seen;
mod stories;
mod world;

use crate::lives::{a_crash_at_every_sync, random_lives};
use crate::world::World;

#[test]
fn random_lives_keep_the_last_record_of_each_key() {
    random_lives::<World>().assert_not_vacuous(&[]);
}

#[test]
fn a_crash_at_every_sync_in_turn_keeps_the_last_record_of_each_key() {
    let never = ["killed", "clean_stops", "offline"];
    a_crash_at_every_sync::<World>().assert_not_vacuous(&never);
}
