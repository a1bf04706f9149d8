//! The cluster's topics as groups see them: the metadata image, and the logs that this broker leads.

use std::sync::Arc;

use thalweg_protocol::{Offset, TopicId, TopicPartition};

use super::group::{TopicFacts, Topics};
use crate::cluster::{Image, Topic};
use crate::partition::Table;

/// One image, and the partitions held here.
#[derive(Clone, Debug)]
pub(super) struct ImageTopics {
    pub(super) image: Arc<Image>,
    pub(super) table: Arc<Table>,
}

fn facts(topic: &Topic) -> TopicFacts {
    TopicFacts { id: topic.id, partitions: topic.partitions.len() }
}

impl Topics for ImageTopics {
    fn named(&self, name: &str) -> Option<TopicFacts> {
        self.image.topic_named(name).map(|topic| facts(topic))
    }

    fn with_id(&self, id: TopicId) -> Option<TopicFacts> {
        self.image.topic(id).map(|topic| facts(topic))
    }

    fn name_of(&self, id: TopicId) -> Option<&str> {
        self.image.topic(id).map(|topic| topic.name.as_str())
    }

    fn each(&self, visit: &mut dyn FnMut(&str, TopicFacts)) {
        for topic in self.image.topics().filter(|topic| !topic.internal) {
            visit(topic.name.as_str(), facts(topic));
        }
    }

    fn log_end(&self, at: TopicPartition) -> Option<Offset> {
        let partition = self.table.get(at).ok()?;
        partition
            .leads_in(thalweg_protocol::LeaderEpoch::FIRST)
            .then(|| partition.reader().log_end())
    }
}
