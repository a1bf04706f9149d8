//! What is counted of topics and partitions, each in bounded number.
//!
//! A series stays until the broker ends, so the bounds hold for all topics and partitions there ever were; one
//! that comes again under its old name goes on with its old series. What ended shows zeros where a number
//! would else stand still, so that sums over partitions stay right.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Gauge};
use thalweg_protocol::{Offset, PartitionIndex, TopicName};

use super::names;
use super::registry::{Registry, amount};

/// The label of all topics beyond the bound; no topic can be named so.
const OTHER: &str = "(other)";

/// What goes in and out of one topic.
#[derive(Debug)]
pub struct TopicMetrics {
    /// Bytes of batches appended, as stored.
    pub produced_bytes: Counter,
    /// Records appended.
    pub produced_records: Counter,
    /// Batches appended.
    pub produced_batches: Counter,
    /// Batches whose producer was told that they are safe as it asked.
    pub acknowledged_batches: Counter,
    /// Batches that were there already.
    pub duplicate_batches: Counter,
    /// Bytes of batches sent to readers.
    pub fetched_bytes: Counter,
    /// Those of them that came from the disk.
    pub cold_fetched_bytes: Counter,
}

impl TopicMetrics {
    fn new(registry: &Registry, topic: &str) -> Self {
        let counter = |metric| registry.counter(metric, &[topic]);
        Self {
            produced_bytes: counter(names::PRODUCED_BYTES),
            produced_records: counter(names::PRODUCED_RECORDS),
            produced_batches: counter(names::PRODUCED_BATCHES),
            acknowledged_batches: counter(names::ACKNOWLEDGED_BATCHES),
            duplicate_batches: counter(names::DUPLICATE_BATCHES),
            fetched_bytes: counter(names::FETCHED_BYTES),
            cold_fetched_bytes: counter(names::COLD_FETCHED_BYTES),
        }
    }

    /// A batch was appended.
    pub fn produced(&self, bytes: u64, records: u64) {
        self.produced_batches.increment(1);
        self.produced_bytes.increment(bytes);
        self.produced_records.increment(records);
    }
}

/// The topics that have series of their own, and the one for all others.
#[derive(Debug)]
pub(super) struct Topics {
    registry: Registry,
    series_max: usize,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// At most `series_max`.
    topics: HashMap<TopicName, Arc<TopicMetrics>>,
    /// Made with the first topic beyond the bound.
    other: Option<Arc<TopicMetrics>>,
}

impl Topics {
    pub(super) fn new(registry: Registry, series_max: u32) -> Self {
        let series_max = usize::try_from(series_max).unwrap_or(usize::MAX);
        Self { registry, series_max, known: Mutex::default() }
    }

    pub(super) fn get(&self, name: &TopicName) -> Arc<TopicMetrics> {
        // Every change to the map is one call, so it is whole whoever panicked.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = known.topics.get(name) {
            return Arc::clone(topic);
        }
        if known.topics.len() >= self.series_max {
            let other = || Arc::new(TopicMetrics::new(&self.registry, OTHER));
            return Arc::clone(known.other.get_or_insert_with(other));
        }
        let topic = Arc::new(TopicMetrics::new(&self.registry, name.as_str()));
        known.topics.insert(name.clone(), Arc::clone(&topic));
        topic
    }
}

/// The partitions that have series of their own.
#[derive(Debug)]
pub(super) struct Partitions {
    registry: Registry,
    series_max: usize,
    /// At most `series_max`.
    known: Mutex<HashSet<(TopicName, PartitionIndex)>>,
}

impl Partitions {
    pub(super) fn new(registry: Registry, series_max: u32) -> Self {
        let series_max = usize::try_from(series_max).unwrap_or(usize::MAX);
        Self { registry, series_max, known: Mutex::default() }
    }

    pub(super) fn get(&self, topic: &TopicName, partition: PartitionIndex) -> PartitionMetrics {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (topic.clone(), partition);
        if !known.contains(&key) && known.len() >= self.series_max {
            return PartitionMetrics::for_nobody();
        }
        known.insert(key);
        let partition = partition.to_string();
        let gauge = |metric| self.registry.gauge(metric, &[topic.as_str(), &partition]);
        PartitionMetrics {
            log_start: gauge(names::LOG_START),
            high_watermark: gauge(names::HIGH_WATERMARK),
            log_end: gauge(names::LOG_END),
            log_bytes: gauge(names::LOG_BYTES),
        }
    }
}

/// Where one partition stands; zeros once it is dropped.
#[derive(Debug)]
pub struct PartitionMetrics {
    log_start: Gauge,
    high_watermark: Gauge,
    log_end: Gauge,
    log_bytes: Gauge,
}

/// Where one partition stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionFigures {
    /// The first offset that can be read.
    pub log_start: Offset,
    /// Readers see what is below.
    pub high_watermark: Offset,
    /// The offset of the next record.
    pub log_end: Offset,
    /// What the log takes.
    pub log_bytes: u64,
}

impl PartitionMetrics {
    const fn for_nobody() -> Self {
        Self {
            log_start: Gauge::noop(),
            high_watermark: Gauge::noop(),
            log_end: Gauge::noop(),
            log_bytes: Gauge::noop(),
        }
    }

    /// Shows where the partition stands now.
    pub fn show(&self, figures: &PartitionFigures) {
        let offset = |offset: Offset| amount(u64::try_from(offset.get()).unwrap_or_default());
        self.log_start.set(offset(figures.log_start));
        self.high_watermark.set(offset(figures.high_watermark));
        self.log_end.set(offset(figures.log_end));
        self.log_bytes.set(amount(figures.log_bytes));
    }
}

/// One made again under the same name shows its own numbers before the next rendering.
impl Drop for PartitionMetrics {
    fn drop(&mut self) {
        for gauge in [&self.log_start, &self.high_watermark, &self.log_end, &self.log_bytes] {
            gauge.set(0);
        }
    }
}
