//! The topics that a producer knows, with a queue for each of their partitions, and where a record goes.

use std::collections::HashMap;
use std::sync::Arc;

use thalweg_protocol::{TopicId, TopicName};

use super::partitioner::{Sticky, index, of_key};
use super::queue::PartitionQueue;
use crate::record::Record;

/// All topics, by name.
#[derive(Debug, Default)]
pub(super) struct Topics {
    pub(super) list: Vec<TopicQueues>,
    /// Where each is in the list.
    by_name: HashMap<TopicName, usize>,
}

/// Up to so many topics, comparing names is quicker than hashing one.
const SCANNED_MAX: usize = 8;

impl Topics {
    pub(super) fn get(&self, name: &str) -> Option<&TopicQueues> {
        if self.list.len() <= SCANNED_MAX {
            return self.list.iter().find(|topic| topic.name.as_str() == name);
        }
        let name = TopicName::new(name).ok()?;
        self.list.get(*self.by_name.get(&name)?)
    }

    pub(super) fn get_or_add(&mut self, name: &TopicName, id: TopicId) -> Option<&mut TopicQueues> {
        let next = self.list.len();
        let index = *self.by_name.entry(name.clone()).or_insert(next);
        if index == next {
            self.list.push(TopicQueues {
                name: name.clone(),
                id,
                partitions: Vec::new(),
                sticky: Sticky::default(),
            });
        }
        self.list.get_mut(index)
    }

    /// Removes the topic that `is_gone` fits. Answers with its partitions.
    pub(super) fn remove(
        &mut self,
        name: &TopicName,
        is_gone: impl Fn(TopicId) -> bool,
    ) -> Vec<Arc<PartitionQueue>> {
        let found = self.by_name.get(name).copied();
        let found = found.filter(|at| self.list.get(*at).is_some_and(|topic| is_gone(topic.id)));
        let Some(found) = found else {
            return Vec::new();
        };
        let removed = self.list.remove(found);
        let places = self.list.iter().zip(0..);
        self.by_name = places.map(|(topic, at)| (topic.name.clone(), at)).collect();
        removed.partitions
    }
}

/// One topic's partitions.
#[derive(Debug)]
pub(super) struct TopicQueues {
    pub(super) name: TopicName,
    pub(super) id: TopicId,
    pub(super) partitions: Vec<Arc<PartitionQueue>>,
    pub(super) sticky: Sticky,
}

/// Where a record goes, as far as it says so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// To the partition at this place: it names it, or its key does.
    Partition(usize),
    /// To whichever partition gathers now.
    Sticky,
}

impl Target {
    /// Whether another partition may gather once this one's batch is full.
    pub(super) const fn moves_on(self, queues: &TopicQueues) -> bool {
        matches!(self, Self::Sticky) && queues.partitions.len() > 1
    }
}

impl TopicQueues {
    pub(super) fn target(&self, record: &Record<'_>) -> Target {
        let count = self.partitions.len();
        match (record.partition, record.key) {
            (Some(partition), _) => Target::Partition(index(partition, count).unwrap_or(count)),
            (None, Some(key)) => Target::Partition(of_key(key, count)),
            (None, None) => Target::Sticky,
        }
    }
}
