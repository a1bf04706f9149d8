//! What changed from one image to a later one, as a broker that holds replicas wants to know it.

use std::sync::Arc;

use thalweg_protocol::{BrokerId, TopicPartition};

use super::image::{Image, Partition, Topic};

/// The difference between two images; each list is in the order of topic ids and partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Topics that are new.
    pub topics_created: Vec<Arc<Topic>>,
    /// Topics that are gone, as they were.
    pub topics_deleted: Vec<Arc<Topic>>,
    /// Topics whose settings have changed, as they are now.
    pub configs_changed: Vec<Arc<Topic>>,
    /// Partitions that are new or have another leader, epoch, in-sync set or directory, as they are now.
    pub partitions_changed: Vec<(TopicPartition, Arc<Partition>)>,
    /// Partitions that are gone with their topics, as they were.
    pub partitions_deleted: Vec<(TopicPartition, Arc<Partition>)>,
    /// Whether a broker has come, or has changed.
    pub brokers_changed: bool,
}

impl Delta {
    /// What changed from `old` to `new`. What both share is skipped by address, so that the cost is that of
    /// walking the topics, not their partitions.
    pub fn between(old: &Image, new: &Image) -> Self {
        let mut delta = Self { brokers_changed: old.brokers != new.brokers, ..Self::default() };
        if Arc::ptr_eq(&old.topics, &new.topics) {
            return delta;
        }
        for (id, topic) in old.topics.iter() {
            if !new.topics.contains_key(id) {
                delta.topic_deleted(topic);
            }
        }
        for (id, topic) in new.topics.iter() {
            match old.topics.get(id) {
                None => delta.topic_created(topic),
                Some(before) if Arc::ptr_eq(before, topic) => {}
                Some(before) => delta.topic_changed(before, topic),
            }
        }
        delta
    }

    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The changed partitions that `broker` leads now.
    pub fn to_lead(
        &self,
        broker: BrokerId,
    ) -> impl Iterator<Item = &(TopicPartition, Arc<Partition>)> {
        self.partitions_changed.iter().filter(move |(_, partition)| partition.leader == broker)
    }

    /// The changed partitions that `broker` holds and does not lead.
    pub fn to_follow(
        &self,
        broker: BrokerId,
    ) -> impl Iterator<Item = &(TopicPartition, Arc<Partition>)> {
        self.partitions_changed.iter().filter(move |(_, partition)| {
            partition.leader != broker && partition.replica(broker).is_some()
        })
    }

    /// The partitions whose replica on `broker` is to be deleted.
    pub fn to_delete(
        &self,
        broker: BrokerId,
    ) -> impl Iterator<Item = &(TopicPartition, Arc<Partition>)> {
        self.partitions_deleted
            .iter()
            .filter(move |(_, partition)| partition.replica(broker).is_some())
    }

    fn topic_created(&mut self, topic: &Arc<Topic>) {
        self.topics_created.push(Arc::clone(topic));
        self.partitions_changed.extend(partitions(topic));
    }

    fn topic_deleted(&mut self, topic: &Arc<Topic>) {
        self.topics_deleted.push(Arc::clone(topic));
        self.partitions_deleted.extend(partitions(topic));
    }

    fn topic_changed(&mut self, before: &Arc<Topic>, topic: &Arc<Topic>) {
        if before.configs != topic.configs {
            self.configs_changed.push(Arc::clone(topic));
        }
        let changed = partitions(topic).filter(|(_, partition)| {
            before
                .partition(partition.index)
                .is_none_or(|one| !Arc::ptr_eq(one, partition) && one != partition)
        });
        self.partitions_changed.extend(changed);
    }
}

fn partitions(topic: &Topic) -> impl Iterator<Item = (TopicPartition, Arc<Partition>)> + '_ {
    topic
        .partitions
        .iter()
        .map(|partition| (TopicPartition::new(topic.id, partition.index), Arc::clone(partition)))
}
