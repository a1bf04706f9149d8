//! What a run measured, before it becomes a report.

use std::time::Duration;

use super::errors::Errors;
use super::latency::Latencies;

/// What writers or readers did within the measured time.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// Records delivered, or read.
    pub(super) records: u64,
    /// Bytes of their values.
    pub(super) bytes: u64,
    /// Records that were sent and not delivered; some may be stored all the same.
    pub(super) undelivered: u64,
    /// From the first record to the last acknowledgement.
    pub(super) time: Duration,
    pub(super) latencies: Latencies,
    pub(super) errors: Errors,
}

impl Outcome {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            records: 0,
            bytes: 0,
            undelivered: 0,
            time: Duration::ZERO,
            latencies: Latencies::new(),
            errors: Errors::default(),
        }
    }

    /// Adds what another task did at the same time.
    pub(super) fn add(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.undelivered += other.undelivered;
        self.time = self.time.max(other.time);
        self.latencies.add(&other.latencies);
        self.errors.add(other.errors);
    }
}
