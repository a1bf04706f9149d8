//! What an operator can set: the broker's settings, the topics' settings, and where each value came from.
//!
//! Owns every name, default, range and sentence about a setting, each in one place, and the overlay of
//! file, environment and command line. Never opens anything but the configuration file, and never reads
//! the process's environment or arguments itself: both are handed in.
//!
//! Invariant: a [`BrokerConfig`] or [`TopicConfig`] that exists holds only values within their ranges.

mod broker;
mod error;
mod file;
mod groups;
mod listener;
mod nearest;
mod overlay;
mod sample;
mod setting;
mod topic;
mod topic_entries;
mod topic_values;
mod validate;

pub use broker::{BrokerConfig, Limits, LogConfig, LogFormat, MetricsConfig, StorageConfig};
pub use error::{ConfigError, ConfigErrors, Origin, TopicConfigError};
pub use groups::{GroupRetention, GroupsConfig};
pub use listener::{Address, AddressError, Listener, Protocol, Voter};
pub use overlay::Sources;
pub use topic::{DescribedSetting, SettingSource, TopicConfig, TopicFacts};
pub use topic_entries::TopicOverrides;
pub use topic_values::{CleanupPolicy, Durability, Ratio, StoredCompression, TimestampType};
