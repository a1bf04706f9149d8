//! Attacks the port of a real broker process: it stays up, serves others, keeps its memory, and answers each offender
//! with a typed error or a closed connection whose reason is counted.
//!
//! `storm` sends hostile frames of every kind, 100,000 in `make test`, times `N`, or for `FUZZ_SECONDS`, from the seed
//! `SEED` on. `crowds` holds thousands of connections, silent, slow and idle, and counts what they cost. `readers`
//! never take their answers. `measure` shows what all this costs a good client; it asks for a quiet machine and runs
//! with `MEASURE=1` only, which it says.
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

mod arsenal;
mod attacker;
mod backfill;
mod crowds;
#[path = "../fuzz/decoders/golden.rs"]
mod golden;
mod good;
mod http;
mod kinds;
mod measure;
#[path = "../fuzz/mutate.rs"]
mod mutate;
mod raw;
mod readers;
mod storm;
#[path = "../support/mod.rs"]
mod support;

/// What the broker's own memory may grow by under attack.
const GROWTH_KIB_MAX: u64 = 64 * 1024;
