//! One real broker in this process, the real client, real sockets and files: what wiring, codecs, waits and
//! restarts get wrong when each part alone is right.
//!
//! Each test has a broker of its own, on free ports, in a temporary folder.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod amplified;
mod bad_input;
mod cold;
mod compaction;
mod groups;
mod large_batches;
mod limits;
mod log_dirs;
mod metrics;
mod produce;
mod read;
mod restart;
mod scrub;
mod support;
mod topics;
mod upkeep;
