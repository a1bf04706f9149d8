//! What a topic's settings mean for its partitions.

use std::collections::BTreeMap;
use std::time::Duration;

use thalweg_protocol::batch::TimestampType;
use thalweg_storage::{CompactionOptions, LogOptions};

use super::high_watermark::Durability;
use super::leader::Rules;
use crate::config::{self, BrokerConfig, CleanupPolicy, TopicConfig, TopicOverrides};

/// How many times its size a compressed batch may inflate to: far above what real records reach, far below
/// what a bomb does.
const INFLATED_RATIO_MAX: usize = 1_000;

/// The most that one batch may inflate to, in bytes: what its checks hold in memory at a time.
const INFLATED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A follower that has not caught up for so long leaves the in-sync set.
const REPLICA_LAG_MAX: Duration = Duration::from_secs(30);

/// What a topic's settings mean for its partitions; exchanged when the topic is altered.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the log holds itself to.
    pub log: LogOptions,
    /// What replication goes by.
    pub rules: Rules,
    /// The largest batch, in bytes.
    pub batch_bytes_max: usize,
    /// The most that a compressed batch may inflate to, in bytes.
    pub inflated_bytes_max: usize,
    /// How many times its size a compressed batch may inflate to.
    pub inflated_ratio_max: usize,
    /// How far a record's timestamp may lie before the broker's clock, in milliseconds.
    pub timestamp_before_ms_max: i64,
    /// How far a record's timestamp may lie after the broker's clock, in milliseconds.
    pub timestamp_after_ms_max: i64,
    /// Whether each record must have a key: the topic is compacted.
    pub keys_required: bool,
}

impl Settings {
    /// The settings of a topic with these entries of its own, over the broker's.
    pub fn of_topic(broker: &BrokerConfig, own: &BTreeMap<String, String>) -> Self {
        let own = TopicOverrides::stored(own);
        let topic = TopicConfig::resolve(&broker.topic_defaults, &own);
        let durability = match topic.durability {
            config::Durability::Synced => Durability::Synced,
            config::Durability::Replicated => Durability::Replicated,
        };
        Self {
            rules: Rules {
                durability,
                insync_replicas_min: usize::try_from(topic.min_insync_replicas).unwrap_or(1),
                lag_max: REPLICA_LAG_MAX,
            },
            batch_bytes_max: usize::try_from(topic.max_message_bytes).unwrap_or(usize::MAX),
            // What may come uncompressed may come compressed.
            inflated_bytes_max: usize::try_from(topic.max_message_bytes)
                .map_or(usize::MAX, |bytes| bytes.max(INFLATED_BYTES_MAX)),
            inflated_ratio_max: INFLATED_RATIO_MAX,
            timestamp_before_ms_max: topic.message_timestamp_before_max_ms,
            timestamp_after_ms_max: topic.message_timestamp_after_max_ms,
            keys_required: topic.cleanup_policy != CleanupPolicy::Delete,
            log: log_options(broker, &topic),
        }
    }
}

fn log_options(broker: &BrokerConfig, topic: &TopicConfig) -> LogOptions {
    let deletes = topic.cleanup_policy != CleanupPolicy::Compact;
    let compaction = (topic.cleanup_policy != CleanupPolicy::Delete).then(|| CompactionOptions {
        dirty_ppm_min: topic.min_cleanable_dirty_ratio.ppm(),
        lag_ms_min: topic.min_compaction_lag_ms,
        lag_ms_max: topic.max_compaction_lag_ms,
        delete_retention_ms: topic.delete_retention_ms,
    });
    LogOptions {
        segment_bytes: topic.segment_bytes,
        segment_ms: compaction
            .map_or(topic.segment_ms, |it| topic.segment_ms.min(it.lag_ms_half())),
        index_interval_bytes: topic.index_interval_bytes,
        batch_bytes_max: topic.max_message_bytes,
        retention_ms: (deletes && topic.retention_ms >= 0).then_some(topic.retention_ms),
        retention_bytes: u64::try_from(topic.retention_bytes).ok().filter(|_| deletes),
        compaction,
        timestamp_type: match topic.message_timestamp_type {
            config::TimestampType::CreateTime => TimestampType::CreateTime,
            config::TimestampType::LogAppendTime => TimestampType::LogAppendTime,
        },
        preallocate: topic.preallocate,
        producers_max: usize::try_from(broker.limits.producers_per_partition_max)
            .unwrap_or(usize::MAX),
        producer_expiration_ms: topic.producer_id_expiration_ms,
        ..LogOptions::default()
    }
}
