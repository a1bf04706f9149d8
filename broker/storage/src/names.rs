//! Whether the names in a log's folder are on stable storage.
//!
//! A count instead of a flag: whoever syncs takes the count first, so that a change during the sync stays
//! unsynced, and nobody sees "clean" before a sync that began after the change has succeeded.

use std::io;

use super::primitives::{AtomicU64, Ordering};

/// Changes to the names in one folder, and how many of them are on stable storage.
#[derive(Debug, Default)]
pub(crate) struct Names {
    changed: AtomicU64,
    synced: AtomicU64,
}

impl Names {
    /// A name was made, changed or removed. Called after it was, and before anything relies on it.
    pub(crate) fn changed(&self) {
        self.changed.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether a change may not be on stable storage yet.
    pub(crate) fn are_dirty(&self) -> bool {
        self.synced.load(Ordering::Acquire) < self.changed.load(Ordering::Acquire)
    }

    /// Has `sync` bring the folder to stable storage, unless it is.
    pub(crate) fn sync(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let seen = self.changed.load(Ordering::Acquire);
        if self.synced.load(Ordering::Acquire) < seen {
            sync()?;
            self.synced.fetch_max(seen, Ordering::AcqRel);
        }
        Ok(())
    }
}
