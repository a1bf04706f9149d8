//! Proves that the broker's planted defects are seen, and what a failed sync and a full disk may do to a broker.
//!
//! The real partition, or a whole broker with the real client on loopback, runs over the simulated disk, which loses
//! what was not synced. Each scenario says in words what is wrong, if anything is: the correct build has to pass it,
//! and the same build with the defect has to fail it. A defect of one thread is planted on it; one that lies in the
//! threads of a broker is planted in a child process of this test binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod cold;
mod covered;
mod failed_sync;
mod flushed;
mod full_disk;
#[path = "../support/gate.rs"]
mod gate;
mod groups;
mod lanes;
mod machine;
mod making;
#[path = "../support/metadata.rs"]
mod metadata;
mod one_partition;
mod partition;
mod pinned;
mod threads;
mod verdict;
mod whole;
