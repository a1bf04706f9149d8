//! Proves that the metrics say what happened, to the tool that reads them: a real Prometheus scrapes a real broker
//! under load with our scrape file and rules, and what it answers by PromQL is what the load has counted.
//!
//! Beside it, each needing less: `promtool` tries every alert and reads the metrics' text; every query of the
//! dashboard and of the rules names only metrics and labels that exist; the tables of `docs/operating.md` are
//! complete. `BLESS=1` writes the table of metrics anew.
//!
//! Without Prometheus (`scripts/prometheus.sh` gets it) the tests that need it say plainly that they did not run;
//! with `PROMETHEUS=required` that is a failure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod documents;
mod group;
mod load;
mod promql;
mod queries;
mod rules;
mod scrape;
mod server;
#[path = "../support/mod.rs"]
mod support;

use std::io::Write;
use std::path::{Path, PathBuf};

/// The project's folder.
fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// One of Prometheus' programs: on PATH, or where `scripts/prometheus.sh` unpacks it. None is said, and is a
/// failure if so asked for.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let unpacked = project().join("target/prometheus/usr/bin");
    let found = std::env::split_paths(&path)
        .chain([unpacked])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file());
    if found.is_none() {
        // Past the capture of test output.
        let line =
            format!("PROMETHEUS DID NOT RUN: there is no {name}; scripts/prometheus.sh gets it\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        let required = std::env::var("PROMETHEUS").is_ok_and(|value| value == "required");
        assert!(!required, "PROMETHEUS=required, but there is no {name}");
    }
    found
}

/// Past the capture of test output: what did or did not run is to be seen when all is well, too.
fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}
