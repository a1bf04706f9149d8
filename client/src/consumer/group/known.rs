//! Which partitions there were when a consumer subscribed.
//!
//! *Only what comes from now on* means from the subscription on. A partition that is added later may hold records before
//! its first owner hears of it, and all of them came after: it is read from its beginning.

use std::collections::BTreeMap;

use thalweg_protocol::native::MetadataRequest;
use thalweg_protocol::{TopicId, TopicPartition};

use super::options::Subscription;
use crate::consumer::start::consume_error;
use crate::error::ConsumeError;
use crate::router::{Router, Target};

/// The number of partitions of each topic. A topic that was made again is another one.
#[derive(Debug)]
pub(crate) struct Known(BTreeMap<TopicId, usize>);

impl Known {
    /// Asks what there is of a subscription; of all topics, where the broker matches a pattern.
    pub(crate) async fn ask(router: &Router, wanted: &Subscription) -> Result<Self, ConsumeError> {
        let names = wanted.names.iter().map(ToString::to_string).collect();
        let names = wanted.pattern.is_none().then_some(names);
        let request = MetadataRequest { names, ids: Vec::new() };
        let operation = "find what there is to subscribe to";
        let asked =
            router.administer(operation, Target::Any, &request, |answer, _| Ok(answer.topics));
        let topics = asked.await.map_err(consume_error)?;
        let there = topics.iter().filter(|topic| topic.error.is_none());
        Ok(Self(there.map(|topic| (topic.id, topic.partitions.len())).collect()))
    }

    /// Whether the partition was there.
    pub(crate) fn holds(&self, at: TopicPartition) -> bool {
        let index = usize::try_from(at.partition.get()).ok();
        self.0.get(&at.topic).zip(index).is_some_and(|(count, index)| index < *count)
    }
}

#[cfg(test)]
mod tests {
    use thalweg_protocol::PartitionIndex;

    use super::*;

    #[test]
    fn what_was_added_or_made_again_was_not_there() {
        let (topic, again) = (TopicId::random(), TopicId::random());
        let known = Known(BTreeMap::from([(topic, 3)]));
        let at = |topic, partition| TopicPartition::new(topic, PartitionIndex::new(partition));
        assert!(known.holds(at(topic, 0)) && known.holds(at(topic, 2)));
        assert!(!known.holds(at(topic, 3)) && !known.holds(at(again, 0)));
    }
}
