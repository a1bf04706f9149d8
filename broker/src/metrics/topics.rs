//! What is counted of topics and partitions; their series end with them, and their number is bounded.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use thalweg_protocol::{Offset, PartitionIndex, TopicName};

use super::names;
use super::registry::{Registry, Scope};
use super::series::{Counter, Gauge};

/// The label of all topics beyond the bound; no topic can be named so.
const OTHER: &str = "(other)";

/// What goes in and out of one topic.
#[derive(Debug)]
pub struct TopicMetrics {
    _scope: Scope,
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
        let mut scope = registry.scope();
        let mut counter = |metric| scope.counter(metric, &[topic]);
        Self {
            produced_bytes: counter(names::PRODUCED_BYTES),
            produced_records: counter(names::PRODUCED_RECORDS),
            produced_batches: counter(names::PRODUCED_BATCHES),
            acknowledged_batches: counter(names::ACKNOWLEDGED_BATCHES),
            duplicate_batches: counter(names::DUPLICATE_BATCHES),
            fetched_bytes: counter(names::FETCHED_BYTES),
            cold_fetched_bytes: counter(names::COLD_FETCHED_BYTES),
            _scope: scope,
        }
    }

    /// A batch was appended.
    pub fn produced(&self, bytes: u64, records: u64) {
        self.produced_batches.increment();
        self.produced_bytes.add(bytes);
        self.produced_records.add(records);
    }
}

/// The topics that somebody counts for now.
#[derive(Debug)]
pub(super) struct Topics {
    registry: Registry,
    series_max: usize,
    live: Mutex<Live>,
}

#[derive(Debug, Default)]
struct Live {
    topics: HashMap<TopicName, Weak<TopicMetrics>>,
    /// Made with the first topic beyond the bound, then kept.
    other: Option<Arc<TopicMetrics>>,
}

impl Topics {
    pub(super) fn new(registry: Registry, series_max: u32) -> Self {
        let series_max = usize::try_from(series_max).unwrap_or(usize::MAX);
        Self { registry, series_max, live: Mutex::new(Live::default()) }
    }

    pub(super) fn get(&self, name: &TopicName) -> Arc<TopicMetrics> {
        // Every change to the map is one call, so it is whole whoever panicked.
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = live.topics.get(name).and_then(Weak::upgrade) {
            return topic;
        }
        live.topics.retain(|_, topic| topic.strong_count() > 0);
        if live.topics.len() >= self.series_max {
            let other = || Arc::new(TopicMetrics::new(&self.registry, OTHER));
            return Arc::clone(live.other.get_or_insert_with(other));
        }
        let topic = Arc::new(TopicMetrics::new(&self.registry, name.as_str()));
        live.topics.insert(name.clone(), Arc::downgrade(&topic));
        topic
    }
}

/// Where one partition stands.
#[derive(Debug, Default)]
pub struct PartitionMetrics {
    scope: Option<(Scope, Arc<AtomicU32>)>,
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
    pub(super) fn new(
        registry: &Registry,
        shown: &Arc<AtomicU32>,
        series_max: u32,
        topic: &TopicName,
        partition: PartitionIndex,
    ) -> Self {
        let take = |count| (count < series_max).then_some(count + 1);
        if shown.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            return Self::default();
        }
        let partition = partition.to_string();
        let mut scope = registry.scope();
        let mut gauge = |metric| scope.gauge(metric, &[topic.as_str(), &partition]);
        Self {
            log_start: gauge(names::LOG_START),
            high_watermark: gauge(names::HIGH_WATERMARK),
            log_end: gauge(names::LOG_END),
            log_bytes: gauge(names::LOG_BYTES),
            scope: Some((scope, Arc::clone(shown))),
        }
    }

    /// Shows where the partition stands now.
    pub fn show(&self, figures: &PartitionFigures) {
        self.log_start.set(figures.log_start.get());
        self.high_watermark.set(figures.high_watermark.get());
        self.log_end.set(figures.log_end.get());
        self.log_bytes.set_size(figures.log_bytes);
    }
}

impl Drop for PartitionMetrics {
    fn drop(&mut self) {
        if let Some((_, shown)) = &self.scope {
            shown.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
