//! The metadata of a broker that is alone, from outside: what was answered is there after every restart.
//!
//! `golden` pins the files byte by byte and opens those of each release. `file_log` reopens, tears, damages
//! and fills the folder on a simulated disk. `crash` cuts the power at every sync and write and keeps any
//! subset of what was not synced. `handle` runs the worker and asks through the handle.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod crash;
mod file_log;
mod golden;
mod handle;
mod sample;
