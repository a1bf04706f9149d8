//! How far the handle has come in one partition, for whoever commits it: a few atomics, no lock for a record.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, Ordering};

use thalweg_protocol::{LeaderEpoch, Offset};

/// One partition's progress, from when it was assigned until it is taken away.
///
/// The handle writes `done`, the group's task reads it; neither orders anything else by it, so all is relaxed but
/// the end.
#[derive(Debug)]
pub(crate) struct Progress {
    /// All below was handed out and followed by the next call.
    done: AtomicI64,
    /// The leader epoch of the last of these records, or a later one.
    epoch: AtomicI32,
    /// The last offset that was committed, or -1.
    committed: AtomicI64,
    /// The partition is taken away: nothing more of it may be handed out.
    over: AtomicBool,
}

impl Progress {
    pub(crate) const fn new(begin: Offset) -> Self {
        Self {
            done: AtomicI64::new(begin.get()),
            epoch: AtomicI32::new(LeaderEpoch::UNCHECKED.get()),
            committed: AtomicI64::new(Offset::NONE.get()),
            over: AtomicBool::new(false),
        }
    }

    /// The application is done with all below `next`.
    pub(crate) fn settle(&self, next: Offset) {
        self.done.store(next.get(), Ordering::Relaxed);
    }

    /// Records of this epoch are being handed out.
    pub(crate) fn enter(&self, epoch: LeaderEpoch) {
        self.epoch.store(epoch.get(), Ordering::Relaxed);
    }

    pub(crate) fn done(&self) -> Offset {
        Offset::new(self.done.load(Ordering::Relaxed))
    }

    pub(crate) fn epoch(&self) -> LeaderEpoch {
        LeaderEpoch::new(self.epoch.load(Ordering::Relaxed))
    }

    pub(crate) fn committed(&self) -> Offset {
        Offset::new(self.committed.load(Ordering::Relaxed))
    }

    pub(crate) fn commit(&self, offset: Offset) {
        self.committed.store(offset.get(), Ordering::Relaxed);
    }

    /// Nothing more of it is handed out from now on.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}
