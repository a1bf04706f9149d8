//! Faults of the machine under a real broker process: a full disk, a sync that fails, flipped bits, a stopped process, a
//! clock that jumps, no more descriptors, little memory. Nothing acknowledged is lost, what can go on goes on, and the
//! broker says what is wrong.
//!
//! Each test shows that its fault has happened, else it fails as vacuous; one that this machine cannot run says plainly
//! that it did not, and `FAULTS=required` makes that a failure. `N` and `SEED` scale the flipped bits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod clock;
mod descriptors;
mod failed_sync;
mod flipped;
mod full_disk;
#[path = "../power_cut/image.rs"]
mod image;
mod memory;
mod paused;
mod shim;
#[path = "../support/mod.rs"]
mod support;
mod traffic;

/// Says that a fault cannot be made here.
fn did_not_run(what: &str, reason: &str) {
    support::say(&format!("FAULTS DID NOT RUN: {what}: {reason}"));
    let required = std::env::var("FAULTS").is_ok_and(|value| value == "required");
    assert!(!required, "FAULTS=required, but {what}: {reason}");
}
