//! How far one segment's file is written, visible and synced.
//!
//! ```text
//!     |batch|batch|batch|batch|
//!             ^ synced        ^ visible
//!                             ^ written, or further while a batch is being written
//! ```
//!
//! Owns these three numbers and the decision when the file's descriptor must stay open: from the first byte that
//! is about to be written until a sync that covers everything written.
//! Invariants: synced <= visible <= written, as far as anybody can tell who asks; the descriptor is pinned once while
//! something is dirty.

use super::primitives::{AtomicU64, Mutex, MutexGuard, Ordering, PoisonError};

/// The ends of one file, shared by its writer, its readers and whoever syncs it.
#[derive(Debug)]
pub(crate) struct Extent {
    visible: AtomicU64,
    synced: AtomicU64,
    dirt: Mutex<Dirt>,
}

/// How far the file is dirty.
#[derive(Debug)]
struct Dirt {
    pinned: bool,
    /// Everything below may have been written.
    written: u64,
}

impl Extent {
    /// A file of which `bytes` are there, all of them synced.
    pub(crate) fn of_synced(bytes: u64) -> Self {
        Self::with(bytes, bytes, Dirt { pinned: false, written: bytes })
    }

    /// A new file whose descriptor is pinned already: it is dirty until its first sync.
    pub(crate) fn of_new() -> Self {
        Self::with(0, 0, Dirt { pinned: true, written: 0 })
    }

    fn with(visible: u64, synced: u64, dirt: Dirt) -> Self {
        Self {
            visible: AtomicU64::new(visible),
            synced: AtomicU64::new(synced),
            dirt: Mutex::new(dirt),
        }
    }

    /// The same file ending at `bytes`. The pin goes over to the new value; a sync of the old one that is under way
    /// finds nothing to unpin.
    pub(crate) fn sealed(&self, bytes: u64) -> Self {
        let mut dirt = self.dirt();
        let synced = bytes.min(self.synced.load(Ordering::Acquire));
        let sealed = Self::with(bytes, synced, Dirt { pinned: dirt.pinned, written: bytes });
        dirt.pinned = false;
        sealed
    }

    /// Bytes that readers may see.
    pub(crate) fn visible(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    /// Lets readers see everything below `bytes`.
    pub(crate) fn publish(&self, bytes: u64) {
        self.visible.store(bytes, Ordering::Release);
    }

    /// Recovery has decided that the file ends at `bytes`, and that all of it is on stable storage.
    pub(crate) fn recovered(&self, bytes: u64) {
        self.visible.store(bytes, Ordering::Release);
        self.synced.store(bytes, Ordering::Release);
        self.dirt().written = bytes;
    }

    /// Bytes below `end` are about to be written: `pin` runs if nothing was dirty before.
    pub(crate) fn soil(&self, end: u64, pin: impl FnOnce()) {
        let mut dirt = self.dirt();
        dirt.written = dirt.written.max(end);
        if !dirt.pinned {
            dirt.pinned = true;
            pin();
        }
    }

    /// What was written behind `bytes` is gone.
    pub(crate) fn gave_back(&self, bytes: u64) {
        self.dirt().written = bytes;
    }

    /// Whether there is something to sync.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirt().pinned
    }

    /// Bytes that a sync would bring to stable storage.
    pub(crate) fn unsynced_bytes(&self) -> u64 {
        self.visible().saturating_sub(self.synced.load(Ordering::Acquire))
    }

    /// Has `sync` bring everything that is visible now to stable storage; `unpin` runs when nothing is dirty any
    /// more.
    pub(crate) fn sync<E>(
        &self,
        sync: impl FnOnce() -> Result<(), E>,
        unpin: impl FnOnce(),
    ) -> Result<(), E> {
        // Before the sync: what becomes visible meanwhile may have missed it.
        let visible = self.visible();
        sync()?;
        self.believe_synced(visible, unpin);
        Ok(())
    }

    /// Takes note that everything below `bytes` is on stable storage.
    pub(crate) fn believe_synced(&self, bytes: u64, unpin: impl FnOnce()) {
        self.synced.fetch_max(bytes, Ordering::AcqRel);
        let mut dirt = self.dirt();
        if dirt.pinned && dirt.written <= bytes {
            dirt.pinned = false;
            unpin();
        }
    }

    fn dirt(&self) -> MutexGuard<'_, Dirt> {
        // Two plain fields: a panic cannot leave them between two states.
        self.dirt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
