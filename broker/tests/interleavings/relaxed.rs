//! The same files over loom, with a planted fault: no ordering at all.

pub(crate) mod primitives {
    pub(crate) use loom::sync::atomic::{AtomicI64, AtomicU8, AtomicU64};
    pub(crate) use loom::sync::{Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;

    /// Whatever is asked for is `Relaxed`.
    pub(crate) struct Ordering;

    #[allow(non_upper_case_globals, reason = "named as the standard library's")]
    impl Ordering {
        pub(crate) const Acquire: std::sync::atomic::Ordering =
            std::sync::atomic::Ordering::Relaxed;
        pub(crate) const Release: std::sync::atomic::Ordering =
            std::sync::atomic::Ordering::Relaxed;
        pub(crate) const AcqRel: std::sync::atomic::Ordering = std::sync::atomic::Ordering::Relaxed;
    }
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
