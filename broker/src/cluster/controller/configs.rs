//! Topic settings: what a request makes of them, each checked by itself and all of them together.

use std::collections::BTreeMap;

use thalweg_protocol::TopicName;

use super::{Refusal, Rules};
use crate::cluster::image::{Configs, Topic};
use crate::config::{TopicConfig, TopicConfigError, TopicFacts, TopicOverrides};

/// What the settings of a topic are checked against, beside themselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    /// How many replicas each of its partitions has.
    pub(super) replicas: usize,
}

/// The settings of a new topic.
pub(super) fn of_new_topic(
    name: &TopicName,
    owner: Owner,
    given: &[(String, String)],
    rules: &Rules,
) -> Result<Configs, Refusal> {
    let given = given.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let settings =
        TopicOverrides::from_entries(given).and_then(|settings| owner.check(&settings, rules));
    settings.map_err(|reason| Refusal::Config { name: name.clone(), reason })
}

/// The changes that a request makes to a topic's settings, without those that change nothing.
pub(super) fn changes(
    topic: &Topic,
    given: &[(String, Option<String>)],
    rules: &Rules,
) -> Result<BTreeMap<String, Option<String>>, Refusal> {
    if given.is_empty() {
        return Ok(BTreeMap::new());
    }
    let replicas = topic.partitions.first().map_or(1, |partition| partition.replicas.len());
    let owner = Owner { replicas };
    let given = given.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
    let after = TopicOverrides::stored(&topic.configs)
        .with_changes(given)
        .and_then(|settings| owner.check(&settings, rules))
        .map_err(|reason| Refusal::Config { name: topic.name.clone(), reason })?;
    Ok(difference(&topic.configs, after))
}

/// What leads from `before` to `after`.
fn difference(before: &Configs, after: Configs) -> BTreeMap<String, Option<String>> {
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let mut changes: BTreeMap<_, _> = gone.map(|key| (key.clone(), None)).collect();
    let set = after.into_iter().filter(|(key, value)| before.get(key) != Some(value));
    changes.extend(set.map(|(key, value)| (key, Some(value))));
    changes
}

impl Owner {
    /// The settings, once they were found to go together.
    fn check(self, settings: &TopicOverrides, rules: &Rules) -> Result<Configs, TopicConfigError> {
        let facts = TopicFacts {
            replication_factor: i32::try_from(self.replicas).ok(),
            frame_bytes_max: rules.frame_bytes_max,
        };
        TopicConfig::resolve(&rules.topic_defaults, settings).check(&facts)?;
        Ok(Configs::clone(settings))
    }
}
