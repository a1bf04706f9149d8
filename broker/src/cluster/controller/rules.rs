//! Limits and defaults that the controller goes by; they come from the broker's configuration.

use crate::config::{BrokerConfig, TopicOverrides};

/// The most partitions of one topic.
const PARTITIONS_PER_TOPIC_MAX: i32 = 10_000;

/// Limits and defaults for topics.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Partitions of a topic when the request leaves them open; at least 1.
    pub partitions_default: i32,
    /// Replicas of a partition when the request leaves them open; at least 1.
    pub replication_factor_default: i16,
    /// The most topics, the brokers' own among them.
    pub topics_max: usize,
    /// The most partitions of one topic.
    pub partitions_per_topic_max: i32,
    /// The most partitions of all topics together.
    pub partitions_max: usize,
    /// The largest request that a broker takes, in bytes: a topic's batches must fit.
    pub frame_bytes_max: u64,
    /// Topic settings that hold where a topic has none of its own.
    pub topic_defaults: TopicOverrides,
}

impl Rules {
    /// What the configuration says.
    pub fn of(config: &BrokerConfig) -> Self {
        let limits = &config.limits;
        Self {
            partitions_default: i32::try_from(config.default_partitions).unwrap_or(i32::MAX),
            replication_factor_default: i16::try_from(config.default_replication_factor)
                .unwrap_or(i16::MAX),
            topics_max: usize::try_from(limits.topics_max).unwrap_or(usize::MAX),
            partitions_per_topic_max: PARTITIONS_PER_TOPIC_MAX,
            partitions_max: usize::try_from(limits.partitions_max).unwrap_or(usize::MAX),
            frame_bytes_max: limits.frame_bytes_max.bytes(),
            topic_defaults: config.topic_defaults.clone(),
        }
    }
}

impl Default for Rules {
    /// What the configuration says when nobody set anything.
    fn default() -> Self {
        Self::of(&BrokerConfig::default())
    }
}
