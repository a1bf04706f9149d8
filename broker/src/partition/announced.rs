//! Whether the flusher was told of bytes that it has not yet taken up: one flag for each partition, so that most appends
//! do not take the flusher's lock.
//!
//! ```text
//!     append:   log end raised .... flag raised; told, unless it was up
//!     flusher:  flag taken down .... log end taken .... synced
//! ```
//!
//! Invariant: an append that finds the flag up, and tells nobody, is covered by the sync that takes it down.

use super::primitives::{AtomicU8, Ordering};

/// How urgent what was announced is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Level {
    /// Nothing.
    Clean = 0,
    /// Bytes that may wait.
    Later = 1,
    /// Bytes that somebody may wait for.
    Now = 2,
}

/// What a partition has told its flusher since its last sync began.
#[derive(Debug)]
pub(super) struct Announced {
    level: AtomicU8,
}

impl Announced {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { level: AtomicU8::new(Level::Clean as u8) }
    }

    /// Bytes were appended, and the log end says so. True when the flusher has to be told: what was announced as less
    /// urgent is announced again, for its topic may have become a synced one.
    pub(super) fn raise(&self, level: Level) -> bool {
        self.level.fetch_max(level as u8, Ordering::AcqRel) < level as u8
    }

    /// A sync begins; the log end is looked at after this. An exchange and not a store, so that the end of an append
    /// which still found the flag up is seen then.
    pub(super) fn take(&self) {
        self.level.swap(Level::Clean as u8, Ordering::AcqRel);
    }
}
