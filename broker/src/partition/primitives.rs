//! The atomics of what an append and the flusher hand to each other: the standard library's, and loom's in the test
//! `interleavings`, which compiles the same file.

pub(super) use std::sync::atomic::{AtomicU8, Ordering};
