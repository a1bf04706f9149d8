//! Proves that `thalweg bench` measures what it says: each workload for a moment, its report as JSON, what a verified run
//! notices, what is refused. Counts, fields and faults are checked, never how fast anything was.
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

mod faults;
mod reports;
#[path = "../support/mod.rs"]
mod support;
mod usage;

use tempfile::TempDir;

use crate::support::{Ran, run, thalweg};

/// Runs a workload with a broker of its own; its folder is looked at afterwards.
pub fn embedded(workload: &str, options: &[&str]) -> (TempDir, Ran) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = thalweg();
    command
        .args(["bench", workload, "--embedded", "--output", "json", "--warm-up", "50ms"])
        .arg("--data-dir")
        .arg(folder.path())
        .args(options);
    let ran = run(&mut command, b"");
    (folder, ran)
}
