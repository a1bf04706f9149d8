//! What is counted of the coordinator as a whole.

use std::time::Duration;

use metrics::{Counter, Gauge};

use super::names;
use super::registry::Registry;

/// The coordinator's figures.
#[derive(Debug)]
pub struct CoordinatorMetrics {
    loads: Counter,
    load_records: Counter,
    load_seconds: Gauge,
    /// Attempts to read a shard that failed.
    pub load_failures: Counter,
    /// Shards that were read anew because something could not be written.
    pub reloads: Counter,
    /// Members that were taken out.
    pub fenced: Counter,
}

impl CoordinatorMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let counter = |metric| registry.counter(metric, &[]);
        Self {
            loads: counter(names::SHARD_LOADS),
            load_records: counter(names::SHARD_LOAD_RECORDS),
            load_seconds: registry.gauge(names::SHARD_LOAD_SECONDS, &[]),
            load_failures: counter(names::SHARD_LOAD_FAILURES),
            reloads: counter(names::SHARD_RELOADS),
            fenced: counter(names::FENCED_MEMBERS),
        }
    }

    /// A shard was read to its end.
    pub fn loaded(&self, records: u64, took: Duration) {
        self.loads.increment(1);
        self.load_records.increment(records);
        self.load_seconds.set(took);
    }
}
