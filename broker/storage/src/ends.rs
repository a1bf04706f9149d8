//! Where a log ends for its readers, and how far it is on stable storage.
//!
//! ```text
//!     append:   batch visible .... log end raised
//!     sync:     log end taken ....................... files synced .... synced end raised to what was taken
//!     cut:                      generation raised, synced end lowered .... log end lowered .... done; till then no sync publishes
//! ```
//!
//! Owns the hand-over between the writer, which raises the log end after a batch is visible, the flusher, which
//! publishes as synced what it took before it synced, and a cut, which makes a sync that is under way at any moment of
//! it publish nothing: else one that begins when the synced end is lowered, and the log end not yet, would put it back.
//! Invariant: below the synced end everything is on stable storage.

use thalweg_protocol::Offset;

use super::primitives::{AtomicI64, Mutex, MutexGuard, Ordering, PoisonError};

/// The two ends of one log.
#[derive(Debug)]
pub(crate) struct Ends {
    log_end: AtomicI64,
    synced_end: AtomicI64,
    cuts: Mutex<Cuts>,
}

/// The cuts so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cuts {
    /// Raised when one begins and when it ends.
    steps: u64,
    /// One is under way.
    is_cutting: bool,
}

/// What a sync may publish once it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    end: Offset,
    cuts: Cuts,
}

impl Ends {
    /// A log that ends at `end`, all of it synced.
    pub(crate) fn of_synced(end: Offset) -> Self {
        Self {
            log_end: AtomicI64::new(end.get()),
            synced_end: AtomicI64::new(end.get()),
            cuts: Mutex::new(Cuts { steps: 0, is_cutting: false }),
        }
    }

    /// The offset after the last record.
    pub(crate) fn log_end(&self) -> Offset {
        Offset::new(self.log_end.load(Ordering::Acquire))
    }

    /// The offset after the last record that is on stable storage.
    pub(crate) fn synced_end(&self) -> Offset {
        Offset::new(self.synced_end.load(Ordering::Acquire))
    }

    /// The log ends at `end` from now on. Last step of an append or a cut: who sees this end finds what is below it.
    pub(crate) fn publish(&self, end: Offset) {
        self.log_end.store(end.get(), Ordering::Release);
    }

    /// First step of a sync: it covers what is below the end as it is now.
    pub(crate) fn begin_sync(&self) -> Taken {
        let cuts = *self.cuts();
        Taken { end: self.log_end(), cuts }
    }

    /// Last step of a sync: everything that it took is on stable storage. The answer is the end that was taken, or
    /// what a cut meanwhile has left of it.
    pub(crate) fn finish_sync(&self, taken: Taken) -> Offset {
        let unchanged = self.cuts();
        // A cut in between has lowered the synced end, and other batches may follow at the same offsets.
        if *unchanged == taken.cuts && !taken.cuts.is_cutting {
            self.synced_end.fetch_max(taken.end.get(), Ordering::AcqRel);
        }
        drop(unchanged);
        taken.end.min(self.synced_end())
    }

    /// Changes whenever a cut begins or ends: who finds it as it was may rely on what it saw below the log end.
    pub(crate) fn cut_steps(&self) -> u64 {
        self.cuts().steps
    }

    /// First step of a cut at `end`: nothing above it counts as synced any more, and a sync that is under way
    /// publishes nothing.
    pub(crate) fn begin_cut(&self, end: Offset) {
        let mut cuts = self.cuts();
        *cuts = Cuts { steps: cuts.steps + 1, is_cutting: true };
        self.synced_end.fetch_min(end.get(), Ordering::AcqRel);
    }

    /// Last step of a cut, also of one that failed: syncs that begin from now on publish again.
    pub(crate) fn end_cut(&self) {
        let mut cuts = self.cuts();
        *cuts = Cuts { steps: cuts.steps + 1, is_cutting: false };
    }

    fn cuts(&self) -> MutexGuard<'_, Cuts> {
        // Exchanged as a whole: a panic elsewhere cannot leave it half changed.
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
