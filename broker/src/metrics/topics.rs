//! What is counted of topics and partitions, each in bounded number.
//!
//! The series of a topic and of a partition end with the last replica here that counts on them; one that comes
//! again later begins anew.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{Counter, Gauge};
use thalweg_protocol::{Offset, PartitionIndex, TopicName};

use super::names::{self, Metric};
use super::registry::{Registry, amount};

/// The label of all topics beyond the bound; no topic can be named so.
const OTHER: &str = "(other)";

/// The metrics of a topic.
const OF_TOPIC: [&Metric; 8] = [
    names::PRODUCED_BYTES,
    names::PRODUCED_RECORDS,
    names::PRODUCED_BATCHES,
    names::ACKNOWLEDGED_BATCHES,
    names::DUPLICATE_BATCHES,
    names::FETCHED_BYTES,
    names::FETCHED_RECORDS,
    names::COLD_FETCHED_BYTES,
];

/// The metrics of a partition.
const OF_PARTITION: [&Metric; 4] =
    [names::LOG_START, names::HIGH_WATERMARK, names::LOG_END, names::LOG_BYTES];

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
    /// Records in them.
    pub fetched_records: Counter,
    /// Those of the bytes that came from the disk.
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
            fetched_records: counter(names::FETCHED_RECORDS),
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

/// A topic's figures, held by each of its replicas here. The series end with the last one.
#[derive(Debug)]
pub struct TopicSeries {
    figures: Arc<TopicMetrics>,
    /// Where it is to be given back; nowhere for those that count together.
    own: Option<(Topics, TopicName)>,
}

impl TopicSeries {
    /// The figures alone: they keep no series.
    pub const fn figures(&self) -> &Arc<TopicMetrics> {
        &self.figures
    }
}

impl Deref for TopicSeries {
    type Target = TopicMetrics;

    fn deref(&self) -> &TopicMetrics {
        &self.figures
    }
}

impl Drop for TopicSeries {
    fn drop(&mut self) {
        if let Some((topics, name)) = &self.own {
            topics.leave(name);
        }
    }
}

/// The topics that have series of their own, and the one for all others. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Topics {
    registry: Registry,
    series_max: usize,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// Each with the number of its holders; at most `series_max`.
    topics: HashMap<TopicName, (Arc<TopicMetrics>, usize)>,
    /// Made with the first topic beyond the bound.
    other: Option<Arc<TopicMetrics>>,
}

impl Topics {
    pub(super) fn new(registry: Registry, series_max: u32) -> Self {
        let series_max = usize::try_from(series_max).unwrap_or(usize::MAX);
        Self { registry, series_max, known: Arc::default() }
    }

    pub(super) fn get(&self, name: &TopicName) -> TopicSeries {
        let mut known = self.lock();
        if !known.topics.contains_key(name) && known.topics.len() >= self.series_max {
            let other = || Arc::new(TopicMetrics::new(&self.registry, OTHER));
            let figures = Arc::clone(known.other.get_or_insert_with(other));
            return TopicSeries { figures, own: None };
        }
        let new = || (Arc::new(TopicMetrics::new(&self.registry, name.as_str())), 0);
        let (figures, holders) = known.topics.entry(name.clone()).or_insert_with(new);
        *holders += 1;
        TopicSeries { figures: Arc::clone(figures), own: Some((self.clone(), name.clone())) }
    }

    fn leave(&self, name: &TopicName) {
        let mut known = self.lock();
        let Some((_, holders)) = known.topics.get_mut(name) else { return };
        *holders -= 1;
        if *holders == 0 {
            known.topics.remove(name);
            // Under the lock: a topic that comes again makes its series after these are gone.
            for metric in OF_TOPIC {
                self.registry.remove(metric, &[name.as_str()]);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // What a panic can leave behind is a number of holders that is too high: a series stays.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The partitions that have series of their own. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Partitions {
    registry: Registry,
    series_max: usize,
    /// Each with the number of its holders: a deleted one may still be read while one of the same name is
    /// made. At most `series_max`.
    known: Arc<Mutex<HashMap<(TopicName, PartitionIndex), usize>>>,
    without_series: Gauge,
}

impl Partitions {
    pub(super) fn new(registry: Registry, series_max: u32) -> Self {
        let series_max = usize::try_from(series_max).unwrap_or(usize::MAX);
        let without_series = registry.gauge(names::PARTITIONS_WITHOUT_SERIES, &[]);
        Self { registry, series_max, known: Arc::default(), without_series }
    }

    pub(super) fn get(&self, topic: &TopicName, partition: PartitionIndex) -> PartitionMetrics {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (topic.clone(), partition);
        if !known.contains_key(&key) && known.len() >= self.series_max {
            self.without_series.increment(1);
            return PartitionMetrics { gauges: None, partitions: self.clone(), key };
        }
        *known.entry(key.clone()).or_default() += 1;
        let labels = [topic.as_str(), &partition.to_string()];
        let gauges = Some(OF_PARTITION.map(|metric| self.registry.gauge(metric, &labels)));
        PartitionMetrics { gauges, partitions: self.clone(), key }
    }

    fn leave(&self, key: &(TopicName, PartitionIndex)) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(holders) = known.get_mut(key) else { return };
        *holders -= 1;
        if *holders == 0 {
            known.remove(key);
            let labels = [key.0.as_str(), &key.1.to_string()];
            for metric in OF_PARTITION {
                self.registry.remove(metric, &labels);
            }
        }
    }
}

/// Where one partition stands. Its series end when it is dropped.
#[derive(Debug)]
pub struct PartitionMetrics {
    /// Those of [`OF_PARTITION`]; none beyond the bound.
    gauges: Option<[Gauge; OF_PARTITION.len()]>,
    partitions: Partitions,
    key: (TopicName, PartitionIndex),
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
    /// Shows where the partition stands now.
    pub fn show(&self, figures: &PartitionFigures) {
        let Some([log_start, high_watermark, log_end, log_bytes]) = &self.gauges else { return };
        let offset = |offset: Offset| amount(u64::try_from(offset.get()).unwrap_or_default());
        log_start.set(offset(figures.log_start));
        high_watermark.set(offset(figures.high_watermark));
        log_end.set(offset(figures.log_end));
        log_bytes.set(amount(figures.log_bytes));
    }
}

impl Drop for PartitionMetrics {
    fn drop(&mut self) {
        if self.gauges.is_some() {
            self.partitions.leave(&self.key);
        } else {
            self.partitions.without_series.decrement(1);
        }
    }
}
