//! All metrics of one broker, and the figures of the broker as a whole.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge};
use thalweg_protocol::{PartitionIndex, TimestampMs, TopicName};

use super::compaction::CompactionMetrics;
use super::connections::ConnectionMetrics;
use super::coordinator::CoordinatorMetrics;
use super::directories::DirectoryMetrics;
use super::groups::GroupSeries;
use super::names;
use super::process;
use super::registry::Registry;
use super::requests::RequestMetrics;
use super::topics::{PartitionMetrics, Partitions, TopicSeries, Topics};
use crate::base::{Clock, SystemClock};
use crate::config::{BrokerConfig, MetricsConfig};

/// All metrics of one broker; shared behind an [`Arc`].
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    topics: Topics,
    partitions: Partitions,
    /// The broker as a whole.
    pub broker: BrokerMetrics,
    /// Sockets.
    pub connections: Arc<ConnectionMetrics>,
    /// Compaction.
    pub compaction: Arc<CompactionMetrics>,
    /// Groups.
    pub coordinator: Arc<CoordinatorMetrics>,
    /// Single groups, and how far they are behind.
    pub groups: Arc<GroupSeries>,
}

/// Figures of the broker as a whole.
#[derive(Debug)]
pub struct BrokerMetrics {
    /// 1 when ready.
    pub ready: Gauge,
    /// Tasks that ended by a panic.
    pub task_panics: Counter,
    /// Topics in the cluster.
    pub topics: Gauge,
    /// Replicas that lead.
    pub partitions_leading: Gauge,
    /// Replicas that follow.
    pub partitions_following: Gauge,
    /// Replicas that take no writes because their disk is full.
    pub partitions_read_only: Gauge,
    /// Replicas that cannot be used.
    pub partitions_offline: Gauge,
    /// Log files held open, in all log directories.
    pub open_files: Gauge,
    /// Changes of the metadata that wait.
    pub metadata_queue: Gauge,
    /// Reads from the disk that are under way or wait.
    pub cold_reads: Gauge,
    /// When the scrub last came to its end, in seconds since 1970.
    pub scrub_last_pass: Gauge,
    /// Sole replicas that lead again after an unclean start.
    pub unclean_starts: Counter,
}

impl Metrics {
    /// The metrics of a broker that starts now.
    pub fn new(config: &BrokerConfig) -> Arc<Self> {
        let started = SystemClock::new().wall();
        Self::of(&config.metrics, env!("CARGO_PKG_VERSION"), started)
    }

    fn of(config: &MetricsConfig, version: &str, started: TimestampMs) -> Arc<Self> {
        let registry = Registry::new();
        registry.gauge(names::BUILD_INFO, &[version]).set(1);
        let since_1970 = Duration::from_millis(u64::try_from(started.get()).unwrap_or_default());
        registry.gauge(names::PROCESS_START, &[]).set(since_1970);
        process::watch(&registry);
        Arc::new(Self {
            topics: Topics::new(registry.clone(), config.topic_series_max),
            partitions: Partitions::new(registry.clone(), config.partition_series_max),
            broker: BrokerMetrics::new(&registry),
            connections: Arc::new(ConnectionMetrics::new(&registry)),
            compaction: Arc::new(CompactionMetrics::new(&registry, config.partition_series_max)),
            coordinator: Arc::new(CoordinatorMetrics::new(&registry)),
            groups: Arc::new(GroupSeries::new(
                registry.clone(),
                config.group_series_max,
                config.group_partition_series_max,
            )),
            registry,
        })
    }

    /// The text that Prometheus reads, in the order of the metrics' names.
    pub fn render(&self) -> String {
        self.registry.render()
    }

    /// Has `collect` called before each rendering, to set what is not counted as it happens.
    pub fn before_render(&self, collect: impl Fn() + Send + Sync + 'static) {
        self.registry.before_render(collect);
    }

    /// One kind of request through one door: `("native", "Produce")`.
    pub fn request(&self, door: &'static str, request: &'static str) -> Arc<RequestMetrics> {
        Arc::new(RequestMetrics::new(&self.registry, door, request))
    }

    /// A topic's; the same for every caller, and gone when the last one has dropped it. Beyond
    /// `topic_series_max` it counts together with others.
    pub fn topic(&self, name: &TopicName) -> TopicSeries {
        self.topics.get(name)
    }

    /// A partition's, to be dropped with it. Beyond `partition_series_max` it counts for nobody.
    pub fn partition(&self, topic: &TopicName, partition: PartitionIndex) -> PartitionMetrics {
        self.partitions.get(topic, partition)
    }

    /// A log directory's.
    pub fn directory(&self, path: &Path) -> Arc<DirectoryMetrics> {
        Arc::new(DirectoryMetrics::new(&self.registry, path))
    }
}

impl BrokerMetrics {
    fn new(registry: &Registry) -> Self {
        let partitions = |state| registry.gauge(names::PARTITIONS, &[state]);
        Self {
            ready: registry.gauge(names::READY, &[]),
            task_panics: registry.counter(names::TASK_PANICS, &[]),
            topics: registry.gauge(names::TOPICS, &[]),
            partitions_leading: partitions("leading"),
            partitions_following: partitions("following"),
            partitions_read_only: partitions("read_only"),
            partitions_offline: partitions("offline"),
            open_files: registry.gauge(names::OPEN_FILES, &[]),
            metadata_queue: registry.gauge(names::METADATA_QUEUE, &[]),
            cold_reads: registry.gauge(names::COLD_READS, &[]),
            scrub_last_pass: registry.gauge(names::SCRUB_LAST_PASS, &[]),
            unclean_starts: registry.counter(names::UNCLEAN_STARTS, &[]),
        }
    }
}

#[cfg(test)]
mod tests;
