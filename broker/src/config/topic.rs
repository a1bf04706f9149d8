//! Every setting of a topic, each in one place: Kafka's name, its sentence, type, default and range.
//!
//! A value comes from the topic itself, else from the broker's `[topic_defaults]`, else from this table.

use std::collections::BTreeMap;

use super::broker::BrokerConfig;
use super::error::TopicConfigError;
use super::setting::Raw;
use super::topic_entries::TopicOverrides;
use super::topic_values::{
    CleanupPolicy, Durability, Ratio, StoredCompression, TimestampType, TopicValue, Unit,
};

/// Where the value of a topic's setting comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingSource {
    /// Nobody set it.
    Default,
    /// The broker's `[topic_defaults]`.
    Broker,
    /// The topic's own.
    Topic,
}

/// One setting of a topic as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedSetting {
    /// Its name.
    pub key: &'static str,
    /// Its value as Kafka's tools write it.
    pub value: String,
    /// Where the value comes from.
    pub source: SettingSource,
    /// What it is for.
    pub doc: String,
}

/// What a topic's settings are checked against.
#[derive(Clone, Copy, Debug)]
pub struct TopicFacts {
    /// Replicas of each partition; none leaves `min.insync.replicas` unchecked.
    pub replication_factor: Option<i32>,
    /// The largest request that the broker takes, in bytes.
    pub frame_bytes_max: u64,
}

/// One line of the table of topic settings.
pub(super) struct TopicKey {
    /// Its name.
    pub(super) name: &'static str,
    /// What it is for.
    pub(super) doc: &'static [&'static str],
    /// What it can be, in words.
    pub(super) allowed: &'static str,
    /// Reads, checks and writes back a value.
    pub(super) normal: fn(&Raw) -> Option<String>,
    /// The default, as Kafka's tools write it.
    pub(super) default: fn() -> String,
}

/// Declares the topic settings.
macro_rules! topic_settings {
    ($(
        $(#[doc = $doc:literal])+
        $field:ident: $type:ty = $key:literal, $default:expr, $unit:ident $range:expr, $allowed:literal;
    )*) => {
        /// The settings of one topic, as they hold: its own over the broker's over the defaults.
        #[derive(Clone, Debug, PartialEq)]
        pub struct TopicConfig {
            $( $(#[doc = $doc])+ pub $field: $type, )*
        }

        impl Default for TopicConfig {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        /// Every topic setting, in the order of their names.
        pub(super) const TOPIC_KEYS: &[TopicKey] = &[$(
            TopicKey {
                name: $key,
                doc: &[$($doc),+],
                allowed: $allowed,
                normal: |raw| {
                    let value = read::<$type>(raw, Unit::$unit, $range.into())?;
                    Some(value.text())
                },
                default: || TopicValue::text(&TopicConfig::default().$field),
            },
        )*];

        impl TopicConfig {
            /// Sets what `entries` holds; a value that this release does not take stays as it is.
            fn overlay(&mut self, entries: &BTreeMap<String, String>) {
                for (key, value) in entries {
                    let raw = Raw::Loose(value.clone());
                    match key.as_str() {
                        $(
                            $key => if let Some(value) = read(&raw, Unit::$unit, $range.into()) {
                                self.$field = value;
                            },
                        )*
                        _ => {}
                    }
                }
            }

            /// The value of the setting `key` as Kafka's tools write it.
            fn text(&self, key: &str) -> Option<String> {
                match key {
                    $( $key => Some(TopicValue::text(&self.$field)), )*
                    _ => None,
                }
            }
        }
    };
}

/// From the lowest to the highest number allowed.
#[derive(Clone, Copy)]
struct Bounds(i64, i64);

impl From<(i64, i64)> for Bounds {
    fn from((min, max): (i64, i64)) -> Self {
        Self(min, max)
    }
}

const ANY: (i64, i64) = (i64::MIN, i64::MAX);
const I32_MAX: i64 = 2_147_483_647;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

fn read<V: TopicValue>(raw: &Raw, unit: Unit, bounds: Bounds) -> Option<V> {
    let within = |number: i64| (bounds.0..=bounds.1).contains(&number);
    V::read(raw, unit).filter(|value| value.number().is_none_or(within))
}

topic_settings! {
    /// What happens to old records: whole segments are deleted by age and size, or compacted so that the
    /// last record of each key stays.
    cleanup_policy: CleanupPolicy = "cleanup.policy", CleanupPolicy::Delete, Count ANY,
        "\"delete\", \"compact\" or \"compact,delete\"";
    /// Batches are stored and sent on as the producer compressed them.
    compression_type: StoredCompression = "compression.type", StoredCompression::Producer,
        Count ANY, "\"producer\": batches stay as the producer compressed them";
    /// How long a compacted topic keeps the mark that a key was deleted, in ms.
    delete_retention_ms: i64 = "delete.retention.ms", DAY_MS, Ms (0, i64::MAX),
        "a time of 0 ms or more (such as 86400000 or 1d)";
    /// What acks=all waits for on every in-sync replica: stable storage, or memory as in Kafka.
    durability: Durability = "durability", Durability::Synced, Count ANY,
        "\"synced\" or \"replicated\"";
    /// One index entry for so many bytes of log: fewer make reads seek faster and indexes larger.
    index_interval_bytes: u32 = "index.interval.bytes", 4_096, Bytes (0, I32_MAX),
        "a size from 0 to 2147483647 bytes (such as 4096 or 4KiB)";
    /// A record that could be compacted away is so at the latest after this time, however small the share of
    /// the log that has changed, in ms; the default waits for the share.
    max_compaction_lag_ms: i64 = "max.compaction.lag.ms", i64::MAX, Ms (1, i64::MAX),
        "a time of 1 ms or more (such as 86400000 or 1d)";
    /// The largest batch that a producer may send, in bytes, as it is stored.
    max_message_bytes: u32 = "max.message.bytes", 1_048_588, Bytes (128, I32_MAX),
        "a size from 128 to 2147483647 bytes (such as 1048588 or 1MiB)";
    /// Records with timestamps further ahead of the broker's clock are refused, in ms.
    message_timestamp_after_max_ms: i64 = "message.timestamp.after.max.ms", HOUR_MS, Ms (0, i64::MAX),
        "a time of 0 ms or more (such as 3600000 or 1h)";
    /// Records with timestamps further behind the broker's clock are refused, in ms; the default takes any.
    message_timestamp_before_max_ms: i64 = "message.timestamp.before.max.ms", i64::MAX,
        Ms (0, i64::MAX), "a time of 0 ms or more (such as 604800000 or 7d)";
    /// Whose clock a record's timestamp is of: the producer's, or the broker's at the append.
    message_timestamp_type: TimestampType = "message.timestamp.type", TimestampType::CreateTime,
        Count ANY, "\"CreateTime\" or \"LogAppendTime\"";
    /// The share of a log that must have changed before it is compacted.
    min_cleanable_dirty_ratio: Ratio = "min.cleanable.dirty.ratio", Ratio(0.5), Count ANY,
        "a number from 0 to 1";
    /// How long a record stays before it may be compacted away, in ms.
    min_compaction_lag_ms: i64 = "min.compaction.lag.ms", 0, Ms (0, i64::MAX),
        "a time of 0 ms or more (such as 60000 or 1min)";
    /// With fewer replicas in sync, acks=all is refused.
    min_insync_replicas: i32 = "min.insync.replicas", 1, Count (1, 100),
        "a whole number from 1 to 100";
    /// Whether segments take their blocks on the disk ahead, in steps that grow.
    preallocate: bool = "preallocate", true, Count ANY, "true or false";
    /// How long an idle idempotent producer is remembered, in ms.
    producer_id_expiration_ms: i64 = "producer.id.expiration.ms", DAY_MS, Ms (1, i64::MAX),
        "a time of 1 ms or more (such as 86400000 or 1d)";
    /// The oldest segments go when a partition is larger, in bytes; -1 keeps them.
    retention_bytes: i64 = "retention.bytes", -1, Bytes (-1, i64::MAX),
        "a size of 0 bytes or more (such as 10GiB), or -1 for no bound";
    /// Segments go when their last record is older, in ms; -1 keeps them.
    retention_ms: i64 = "retention.ms", 7 * DAY_MS, Ms (-1, i64::MAX),
        "a time of 0 ms or more (such as 604800000 or 7d), or -1 for no bound";
    /// A segment that has reached this size is closed and the next one begun, in bytes.
    segment_bytes: u32 = "segment.bytes", 1_073_741_824, Bytes (1_024, I32_MAX),
        "a size from 1024 to 2147483647 bytes (such as 1073741824 or 1GiB)";
    /// A segment that has reached this age is closed and the next one begun, in ms.
    segment_ms: i64 = "segment.ms", 7 * DAY_MS, Ms (1, i64::MAX),
        "a time of 1 ms or more (such as 604800000 or 7d)";
    /// Whether a replica that may lack acknowledged records may lead when no other can: loses records.
    unclean_leader_election_enable: bool = "unclean.leader.election.enable", false, Count ANY,
        "true or false";
}

impl TopicConfig {
    /// The settings that hold for a topic: its own over the broker's over the defaults. Never fails, so
    /// that a topic made by another release can always be opened.
    pub fn resolve(broker: &TopicOverrides, own: &BTreeMap<String, String>) -> Self {
        let mut config = Self::default();
        config.overlay(broker);
        config.overlay(own);
        config
    }

    /// Checks all that a request gives a topic: names, values, and whether they go together.
    pub fn check_entries(
        broker: &BrokerConfig,
        own: &BTreeMap<String, String>,
        replication_factor: Option<i32>,
    ) -> Result<(), TopicConfigError> {
        let entries = own.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let own = TopicOverrides::from_entries(entries)?;
        let frame_bytes_max = broker.limits.frame_bytes_max.bytes();
        Self::resolve(&broker.topic_defaults, &own)
            .check(&TopicFacts { replication_factor, frame_bytes_max })
    }

    /// Whether the settings go together, and with the broker's; asked before a topic is made or changed.
    pub fn check(&self, facts: &TopicFacts) -> Result<(), TopicConfigError> {
        super::validate::topic(self, facts)
    }

    /// Every setting with its value and source, in the order of their names.
    pub fn describe(
        broker: &TopicOverrides,
        own: &BTreeMap<String, String>,
    ) -> Vec<DescribedSetting> {
        let config = Self::resolve(broker, own);
        let described = TOPIC_KEYS.iter().map(|key| DescribedSetting {
            key: key.name,
            value: config.text(key.name).unwrap_or_default(),
            source: if own.contains_key(key.name) {
                SettingSource::Topic
            } else if broker.contains_key(key.name) {
                SettingSource::Broker
            } else {
                SettingSource::Default
            },
            doc: key.doc.concat().trim().to_owned(),
        });
        described.collect()
    }
}
