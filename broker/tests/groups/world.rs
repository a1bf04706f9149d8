//! The topics of a simulated cluster.

use std::collections::BTreeMap;

use thalweg_broker::coordinator::{TopicFacts, Topics};
use thalweg_protocol::{Offset, PartitionIndex, TopicId, TopicPartition};

#[derive(Clone, Debug)]
pub struct Topic {
    pub id: TopicId,
    pub ends: Vec<i64>,
}

/// Topics by name, with the end of each partition's log.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub topics: BTreeMap<String, Topic>,
    made: u128,
}

impl World {
    /// Topics are named by what they are, with ids that count: a history is the same in every run.
    pub fn create(&mut self, name: &str, partitions: usize) -> TopicId {
        self.made += 1;
        let id = TopicId::from_bytes(self.made.to_be_bytes());
        self.topics.insert(name.to_owned(), Topic { id, ends: vec![0; partitions] });
        id
    }

    pub fn grow(&mut self, name: &str, partitions: usize) {
        let topic = self.topics.get_mut(name).unwrap();
        topic.ends.resize(partitions.max(topic.ends.len()), 0);
    }

    pub fn produce(&mut self, records: impl Fn() -> i64) {
        for topic in self.topics.values_mut() {
            topic.ends.iter_mut().for_each(|end| *end += records());
        }
    }

    pub fn end(&self, at: TopicPartition) -> Option<i64> {
        let topic = self.topics.values().find(|topic| topic.id == at.topic)?;
        topic.ends.get(usize::try_from(at.partition.get()).unwrap()).copied()
    }

    pub fn all(&self) -> Vec<TopicPartition> {
        let partitions = |topic: &Topic| {
            let id = topic.id;
            (0..topic.ends.len()).map(move |number| at(id, number))
        };
        self.topics.values().flat_map(partitions).collect()
    }
}

pub fn at(topic: TopicId, number: usize) -> TopicPartition {
    TopicPartition::new(topic, PartitionIndex::new(i32::try_from(number).unwrap()))
}

impl Topics for World {
    fn named(&self, name: &str) -> Option<TopicFacts> {
        let topic = self.topics.get(name)?;
        Some(TopicFacts { id: topic.id, partitions: topic.ends.len() })
    }

    fn with_id(&self, id: TopicId) -> Option<TopicFacts> {
        let topic = self.topics.values().find(|topic| topic.id == id)?;
        Some(TopicFacts { id, partitions: topic.ends.len() })
    }

    fn name_of(&self, id: TopicId) -> Option<&str> {
        self.topics.iter().find(|(_, topic)| topic.id == id).map(|(name, _)| name.as_str())
    }

    fn each(&self, visit: &mut dyn FnMut(&str, TopicFacts)) {
        for (name, topic) in &self.topics {
            visit(name, TopicFacts { id: topic.id, partitions: topic.ends.len() });
        }
    }

    fn log_end(&self, at: TopicPartition) -> Option<Offset> {
        self.end(at).map(Offset::new)
    }
}
