//! Settings that are each allowed and yet do not go together.

use super::broker::BrokerConfig;
use super::error::TopicConfigError;
use super::topic::{TopicConfig, TopicFacts};

/// What a produce request needs beside its batch, in bytes: header, topic, partition, room to spare.
const REQUEST_BYTES_BESIDE_BATCH: u64 = 4_096;

/// What is wrong with a broker's settings taken together, in sentences.
pub(super) fn broker(config: &BrokerConfig) -> Vec<String> {
    let mut wrong = Vec::new();
    let limits = &config.limits;
    if limits.request_memory_bytes_max < limits.frame_bytes_max {
        wrong.push(format!(
            "limits.request_memory_bytes_max is {}, less than limits.frame_bytes_max, {}: the largest \
             request would never be let in",
            limits.request_memory_bytes_max, limits.frame_bytes_max,
        ));
    }
    if limits.answer_memory_bytes_max < limits.answer_bytes_max {
        wrong.push(format!(
            "limits.answer_memory_bytes_max is {}, less than limits.answer_bytes_max, {}: the largest \
             answer would never be given",
            limits.answer_memory_bytes_max, limits.answer_bytes_max,
        ));
    }
    if !config.voters.is_empty() {
        voters(config, &mut wrong);
    }
    listeners(config, &mut wrong);
    let defaults = TopicConfig::resolve(&config.topic_defaults, &super::TopicOverrides::new());
    let facts = TopicFacts {
        replication_factor: i32::try_from(config.default_replication_factor).ok(),
        frame_bytes_max: limits.frame_bytes_max.bytes(),
    };
    if let Err(error) = topic(&defaults, &facts) {
        wrong.push(format!("topic_defaults: {error}"));
    }
    wrong
}

fn voters(config: &BrokerConfig, wrong: &mut Vec<String>) {
    for (index, voter) in config.voters.iter().enumerate() {
        let earlier = config.voters.iter().take(index);
        if earlier.clone().any(|other| other.id == voter.id) {
            wrong.push(format!("voters: two of them have the id {}", voter.id));
        }
        if earlier.clone().any(|other| other.address == voter.address) {
            wrong.push(format!("voters: two of them have the address {}", voter.address));
        }
        if voter.address.port == 0 {
            wrong.push(format!("voters: {voter} needs a port that others can know, not 0"));
        }
    }
}

fn listeners(config: &BrokerConfig, wrong: &mut Vec<String>) {
    for (index, listener) in config.listeners.iter().enumerate() {
        let same = |other: &&super::Listener| {
            other.address == listener.address && listener.address.port != 0
        };
        if config.listeners.iter().take(index).any(|other| same(&other)) {
            wrong.push(format!("listeners: two of them listen on {}", listener.address));
        }
        let everywhere = matches!(listener.address.host.as_str(), "0.0.0.0" | "::");
        if everywhere && listener.advertised.is_none() {
            wrong.push(format!(
                "listeners: {} takes connections from everywhere and cannot be connected to by that \
                 name; add what clients shall connect to: \"{listener}?advertised=HOST:PORT\"",
                listener.address,
            ));
        }
    }
    if let Some(http) = &config.http_address
        && http.port != 0
        && config.listeners.iter().any(|listener| listener.address == *http)
    {
        wrong.push(format!("http_address: {http} is one of the listeners' already"));
    }
}

/// Whether a topic's settings go together, and with the broker's.
pub(super) fn topic(config: &TopicConfig, facts: &TopicFacts) -> Result<(), TopicConfigError> {
    let batch_bytes_max = u64::from(config.max_message_bytes);
    let wrong = if config.segment_bytes < config.max_message_bytes {
        format!(
            "segment.bytes is {}, less than max.message.bytes, {}: the largest batch would fit no segment",
            config.segment_bytes, config.max_message_bytes,
        )
    } else if batch_bytes_max + REQUEST_BYTES_BESIDE_BATCH > facts.frame_bytes_max {
        format!(
            "max.message.bytes is {batch_bytes_max}, but the broker takes requests of at most {} bytes \
             (limits.frame_bytes_max), of which {REQUEST_BYTES_BESIDE_BATCH} are kept for what stands beside \
             the batch",
            facts.frame_bytes_max,
        )
    } else if let Some(replicas) = facts.replication_factor
        && config.min_insync_replicas > replicas
    {
        format!(
            "min.insync.replicas is {}, more than the {replicas} replicas of each partition: acks=all would \
             always be refused",
            config.min_insync_replicas,
        )
    } else if config.min_compaction_lag_ms > config.max_compaction_lag_ms {
        format!(
            "min.compaction.lag.ms is {}, more than max.compaction.lag.ms, {}: a record would have to go \
             before it may",
            config.min_compaction_lag_ms, config.max_compaction_lag_ms,
        )
    } else {
        return Ok(());
    };
    Err(TopicConfigError::Together(wrong))
}
