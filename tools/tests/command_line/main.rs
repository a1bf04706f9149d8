//! Proves that the command line does what it says: every command against a real broker in its own process, exit codes
//! (0 success, 1 a failed operation, 2 bad usage), texts of errors, JSON output, signals, damage found off line.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod demo;
mod logs;
mod records;
mod serve;
#[path = "../support/mod.rs"]
mod support;
mod topics;
mod usage;

use tempfile::TempDir;

use crate::support::Broker;

/// A broker on an empty folder.
pub fn broker() -> (TempDir, Broker) {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(&folder.path().join("data"));
    (folder, broker)
}

/// The project's own earthquakes.
pub const EARTHQUAKES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/earthquakes.jsonl");
