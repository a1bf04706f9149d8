//! Proves what stands around the coordinator's pure core: a shard that cannot be written, an earlier writer that is late,
//! a worker that panics, a broker that sleeps.
//!
//! One shard over the simulated disk, with the real metadata, log, flusher and runtimes, and a clock that can be held and
//! can panic: each fault happens where the test says, and is waited for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod clock;
mod defects;
#[path = "../support/gate.rs"]
mod gate;
#[path = "../support/metadata.rs"]
mod metadata;
mod one_shard;
mod shards;
