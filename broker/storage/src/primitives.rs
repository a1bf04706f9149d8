//! The atomics and locks of what several threads hand to each other: the standard library's.
//!
//! `extent.rs`, `ends.rs` and `names.rs` take them from here, so that the test `interleavings` of the broker can compile the
//! same files over loom's and try every order of their steps.

pub(crate) use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
