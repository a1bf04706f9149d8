//! What is counted of compaction: all runs together, and each compacted log in bounded number.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge};
use thalweg_protocol::{PartitionIndex, TopicName};
use thalweg_storage::Compacted;

use super::histogram::Histogram;
use super::names;
use super::registry::Registry;

/// A log by the names that people know.
type Key = (TopicName, PartitionIndex);

/// Compaction's figures.
#[derive(Debug)]
pub struct CompactionMetrics {
    registry: Registry,
    series_max: usize,
    runs: Counter,
    failures: Counter,
    seconds: Histogram,
    read_bytes: Counter,
    before_bytes: Counter,
    after_bytes: Counter,
    removed_records: Counter,
    /// At most `series_max`.
    logs: Mutex<HashMap<Key, LogGauges>>,
}

#[derive(Debug)]
struct LogGauges {
    dirty_ratio: Gauge,
    failed: Gauge,
}

impl CompactionMetrics {
    pub(super) fn new(registry: &Registry, series_max: u32) -> Self {
        let counter = |metric| registry.counter(metric, &[]);
        Self {
            registry: registry.clone(),
            series_max: usize::try_from(series_max).unwrap_or(usize::MAX),
            runs: counter(names::COMPACTION_RUNS),
            failures: counter(names::COMPACTION_FAILURES),
            seconds: registry.histogram(names::COMPACTION_SECONDS, &[]),
            read_bytes: counter(names::COMPACTION_READ_BYTES),
            before_bytes: counter(names::COMPACTION_BEFORE_BYTES),
            after_bytes: counter(names::COMPACTION_AFTER_BYTES),
            removed_records: counter(names::COMPACTION_REMOVED_RECORDS),
            logs: Mutex::default(),
        }
    }

    /// A run ended well.
    pub fn ran(&self, sum: &Compacted, took: Duration) {
        self.runs.increment(1);
        self.seconds.record_time(took);
        self.read_bytes.increment(sum.read_bytes);
        self.before_bytes.increment(sum.before_bytes);
        self.after_bytes.increment(sum.after_bytes);
        self.removed_records.increment(sum.removed_records);
    }

    /// A run failed.
    pub fn failed(&self) {
        self.failures.increment(1);
    }

    /// Shows how a log stands.
    pub fn show(&self, topic: &TopicName, partition: PartitionIndex, dirty_ppm: u32, failed: bool) {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (topic.clone(), partition);
        if !logs.contains_key(&key) && logs.len() >= self.series_max {
            return;
        }
        let gauges = logs.entry(key).or_insert_with(|| {
            let number = partition.to_string();
            let gauge = |metric| self.registry.gauge(metric, &[topic.as_str(), &number]);
            LogGauges {
                dirty_ratio: gauge(names::DIRTY_RATIO),
                failed: gauge(names::COMPACTION_FAILED),
            }
        });
        gauges.dirty_ratio.set(f64::from(dirty_ppm) / 1_000_000.0);
        gauges.failed.set(if failed { 1.0 } else { 0.0 });
    }

    /// Logs that are not among these show zeros, and make room for others.
    pub fn keep(&self, there: &HashSet<Key>) {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.retain(|key, gauges| {
            let stays = there.contains(key);
            if !stays {
                gauges.dirty_ratio.set(0.0);
                gauges.failed.set(0.0);
            }
            stays
        });
    }
}
