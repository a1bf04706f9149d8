//! Real members of real groups: the client's consumers at one broker in this process, over real sockets and files. What
//! the members' and the coordinator's own tests cannot see: wiring, order on a connection, restarts.
//!
//! Each test has a broker of its own, on free ports, in a temporary folder, with quick heartbeats.
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

mod commits;
mod lives;
mod members;
mod sharing;
mod sight;
#[path = "../one_broker/support.rs"]
mod support;
