//! The settings that somebody gave a topic, as checked text: what the metadata log keeps of them.

use std::collections::BTreeMap;
use std::ops::Deref;

use super::error::TopicConfigError;
use super::nearest::nearest;
use super::setting::{Raw, Refused};
use super::topic::{TOPIC_KEYS, TopicKey};

/// Names that Kafka has and we have otherwise.
const INSTEAD: &[(&str, &str)] = &[
    ("flush.messages", "durability"),
    ("flush.ms", "durability"),
    ("message.timestamp.difference.max.ms", "message.timestamp.before.max.ms"),
];

/// The settings that somebody gave a topic, or the broker for all topics. Keys are known and values
/// within their ranges, in the form in which Kafka's tools write them; the defaults are not here.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TopicOverrides {
    entries: BTreeMap<String, String>,
}

impl TopicOverrides {
    /// None.
    pub const fn new() -> Self {
        Self { entries: BTreeMap::new() }
    }

    /// Checks each setting by itself. [`super::TopicConfig::check`] says whether they go together.
    pub fn from_entries<'a>(
        entries: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, TopicConfigError> {
        let mut overrides = Self::new();
        for (name, value) in entries {
            let key = known(name)?;
            if overrides.entries.contains_key(key.name) {
                return Err(TopicConfigError::Twice(key.name));
            }
            overrides.put(key, &Raw::Loose(value.to_owned()))?;
        }
        Ok(overrides)
    }

    /// As the metadata log kept them. What this release does not know or take is kept and has no effect,
    /// so that a later release finds it again.
    pub fn stored(entries: &BTreeMap<String, String>) -> Self {
        Self { entries: entries.clone() }
    }

    /// These settings with `changes` made: a value sets, none goes back to what holds without it. All or
    /// nothing.
    pub fn with_changes<'a>(
        &self,
        changes: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Self, TopicConfigError> {
        let mut changed = self.clone();
        let mut seen = Vec::new();
        for (name, value) in changes {
            let Some(value) = value else {
                // Also rids a topic of a setting that this release does not know.
                if changed.entries.remove(name).is_none() {
                    known(name)?;
                }
                continue;
            };
            let key = known(name)?;
            if seen.contains(&key.name) {
                return Err(TopicConfigError::Twice(key.name));
            }
            seen.push(key.name);
            changed.put(key, &Raw::Loose(value.to_owned()))?;
        }
        Ok(changed)
    }

    /// Sets one of the broker's own defaults for topics.
    pub(super) fn set(&mut self, name: &str, raw: &Raw) -> Result<(), Refused> {
        let key = known(name).map_err(|_| Refused::Unknown)?;
        self.put(key, raw).map_err(|_| Refused::Value(key.allowed.to_owned()))
    }

    fn put(&mut self, key: &TopicKey, raw: &Raw) -> Result<(), TopicConfigError> {
        let Some(value) = (key.normal)(raw) else {
            return Err(TopicConfigError::Value {
                key: key.name,
                found: raw.shown(),
                allowed: key.allowed.to_owned(),
            });
        };
        self.entries.insert(key.name.to_owned(), value);
        Ok(())
    }
}

/// By name, in the order of the names.
impl Deref for TopicOverrides {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.entries
    }
}

fn known(name: &str) -> Result<&'static TopicKey, TopicConfigError> {
    TOPIC_KEYS.iter().find(|key| key.name == name).ok_or_else(|| TopicConfigError::Unknown {
        key: name.to_owned(),
        nearest: INSTEAD
            .iter()
            .find(|(kafkas, _)| *kafkas == name)
            .map(|(_, ours)| *ours)
            .or_else(|| nearest(name, TOPIC_KEYS.iter().map(|key| key.name))),
    })
}
