//! What a producer has done so far, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a producer has done so far, all its clones together; see [`Producer::stats`](crate::Producer::stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerStats {
    /// Records that are stored.
    pub records: u64,
    /// Batches that are stored.
    pub batches: u64,
    /// Bytes of the batches that are stored, as they went over the wire.
    pub bytes: u64,
    /// How often a batch was sent again.
    pub retries: u64,
    /// Batches that are sent and not answered.
    pub in_flight: u64,
    /// Bytes of memory that records take until they are delivered.
    pub buffered_bytes: u64,
}

/// Counts for [`ProducerStats`]. Only the sender's task writes, once a batch; whoever reads sees each number as it
/// was a moment ago, not all of one moment.
#[derive(Debug, Default)]
pub(super) struct Counters {
    records: AtomicU64,
    batches: AtomicU64,
    bytes: AtomicU64,
    retries: AtomicU64,
    in_flight: AtomicU64,
}

impl Counters {
    pub(super) fn stored(&self, records: u32, bytes: usize) {
        self.records.fetch_add(u64::from(records), Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(wide(bytes), Ordering::Relaxed);
    }

    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, batches: usize) {
        self.in_flight.fetch_add(wide(batches), Ordering::Relaxed);
    }

    pub(super) fn answered(&self, batches: usize) {
        self.in_flight.fetch_sub(wide(batches), Ordering::Relaxed);
    }

    pub(super) fn read(&self, buffered_bytes: usize) -> ProducerStats {
        ProducerStats {
            records: self.records.load(Ordering::Relaxed),
            batches: self.batches.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            buffered_bytes: wide(buffered_bytes),
        }
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
