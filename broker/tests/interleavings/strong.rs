//! The files as they are, over loom.

pub(crate) mod primitives {
    pub(crate) use loom::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
    pub(crate) use loom::sync::{Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}

#[path = "../../src/partition/announced.rs"]
mod announced;
#[path = "../../storage/src/ends.rs"]
mod ends;
#[path = "../../storage/src/extent.rs"]
mod extent;
#[path = "../../storage/src/names.rs"]
mod names;
#[path = "scenarios.rs"]
pub(crate) mod scenarios;
