//! Who leads what, as far as the client knows: an image that is replaced as a whole.
//!
//! Owns the image and the rule that knowledge never goes back: an answer with an older leader epoch does
//! not replace a newer one. Sends nothing; `router` asks the brokers.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use thalweg_protocol::native::{BrokerEndpoint, LeaderHint, MetadataResponse, TopicMetadata};
use thalweg_protocol::{BrokerId, ErrorCode, LeaderEpoch, PartitionIndex, TopicId, TopicName};
use tokio::sync::watch;

use crate::clock::Instant;

/// Who leads one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leadership {
    pub(crate) leader: BrokerId,
    pub(crate) epoch: LeaderEpoch,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) name: TopicName,
    pub(crate) id: TopicId,
    /// By partition.
    pub(crate) partitions: Vec<Leadership>,
}

impl Topic {
    pub(crate) fn leadership(&self, partition: PartitionIndex) -> Option<Leadership> {
        let index = usize::try_from(partition.get()).ok()?;
        self.partitions.get(index).copied()
    }
}

/// What was known at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    /// Rises with every answer; tells whether somebody refreshed meanwhile.
    pub(crate) version: u64,
    pub(crate) refreshed: Option<Instant>,
    pub(crate) controller: Option<BrokerId>,
    pub(crate) brokers: HashMap<BrokerId, Arc<str>>,
    pub(crate) topics: HashMap<TopicName, Arc<Topic>>,
    /// Topics that the last answer about them called unknown.
    pub(crate) missing: BTreeSet<TopicName>,
}

impl Image {
    pub(crate) fn address(&self, broker: BrokerId) -> Option<&Arc<str>> {
        self.brokers.get(&broker)
    }
}

/// The image, and which topics somebody cares for.
#[derive(Debug)]
pub(crate) struct Metadata {
    image: watch::Sender<Arc<Image>>,
    wanted: Mutex<BTreeSet<TopicName>>,
}

impl Metadata {
    pub(crate) fn new() -> Self {
        Self { image: watch::Sender::new(Arc::default()), wanted: Mutex::default() }
    }

    pub(crate) fn image(&self) -> Arc<Image> {
        self.image.borrow().clone()
    }

    /// Asks about `topic` from now on.
    pub(crate) fn want(&self, topic: &TopicName) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if !wanted.contains(topic) {
            wanted.insert(topic.clone());
        }
    }

    pub(crate) fn wanted(&self) -> Vec<String> {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.iter().map(ToString::to_string).collect()
    }

    /// Takes over what a broker answered.
    pub(crate) fn update(&self, answer: &MetadataResponse, now: Instant) {
        self.image.send_modify(|image| {
            let mut next = Image::clone(image);
            next.version += 1;
            next.refreshed = Some(now);
            next.controller = Some(answer.controller).filter(|id| *id != BrokerId::NONE);
            next.brokers = answer.brokers.iter().map(endpoint).collect();
            for topic in &answer.topics {
                next.take(topic);
            }
            *image = Arc::new(next);
        });
    }

    /// Takes over what a broker says beside *not leader*, if it is newer. Answers whether it was.
    pub(crate) fn hint(
        &self,
        topic: &TopicName,
        partition: PartitionIndex,
        hint: LeaderHint,
    ) -> bool {
        self.image.send_if_modified(|image| {
            let Some(known) = image.topics.get(topic) else {
                return false;
            };
            let newer = known
                .leadership(partition)
                .is_some_and(|old| hint.leader_epoch > old.epoch && hint.leader != BrokerId::NONE);
            if !newer || !image.brokers.contains_key(&hint.leader) {
                return false;
            }
            let mut next = Image::clone(image);
            let mut changed = Topic::clone(known);
            let index = usize::try_from(partition.get()).unwrap_or(usize::MAX);
            if let Some(leadership) = changed.partitions.get_mut(index) {
                *leadership = Leadership { leader: hint.leader, epoch: hint.leader_epoch };
            }
            next.topics.insert(topic.clone(), Arc::new(changed));
            *image = Arc::new(next);
            true
        })
    }
}

impl Image {
    fn take(&mut self, answer: &TopicMetadata) {
        let Ok(name) = TopicName::new(&answer.name) else {
            return;
        };
        if let Some(error) = &answer.error {
            if error.code == ErrorCode::UnknownTopic {
                self.topics.remove(&name);
                self.missing.insert(name);
            }
            return;
        }
        self.missing.remove(&name);
        let old = self.topics.get(&name).filter(|old| old.id == answer.id);
        let mut partitions = Vec::with_capacity(answer.partitions.len());
        for (index, partition) in answer.partitions.iter().enumerate() {
            let said = Leadership { leader: partition.leader, epoch: partition.leader_epoch };
            let known = old.and_then(|old| old.partitions.get(index)).copied();
            partitions.push(known.filter(|known| known.epoch > said.epoch).unwrap_or(said));
        }
        let topic = Topic { name: name.clone(), id: answer.id, partitions };
        self.topics.insert(name, Arc::new(topic));
    }
}

fn endpoint(broker: &BrokerEndpoint) -> (BrokerId, Arc<str>) {
    (broker.id, address(&broker.host, broker.port))
}

/// What to connect to.
pub(crate) fn address(host: &str, port: u16) -> Arc<str> {
    if host.contains(':') {
        format!("[{host}]:{port}").into()
    } else {
        format!("{host}:{port}").into()
    }
}

#[cfg(test)]
mod tests {
    use thalweg_protocol::native::{ApiError, PartitionMetadata};
    use thalweg_protocol::{BrokerEpoch, ClusterId};

    use super::*;
    use crate::clock::now;

    fn answer(id: TopicId, leader: i32, epoch: i32) -> MetadataResponse {
        let broker = |id: i32| BrokerEndpoint {
            id: BrokerId::new(id),
            epoch: BrokerEpoch::new(1),
            host: "::1".to_owned(),
            port: 9000,
            rack: None,
        };
        MetadataResponse {
            cluster: ClusterId::NONE,
            controller: BrokerId::new(1),
            brokers: vec![broker(1), broker(2)],
            topics: vec![TopicMetadata {
                error: None,
                name: "events".to_owned(),
                id,
                internal: false,
                partitions: vec![PartitionMetadata {
                    partition: PartitionIndex::new(0),
                    leader: BrokerId::new(leader),
                    leader_epoch: LeaderEpoch::new(epoch),
                    replicas: Vec::new(),
                    isr: Vec::new(),
                    offline: Vec::new(),
                }],
            }],
        }
    }

    fn leader(metadata: &Metadata) -> Option<i32> {
        let name = TopicName::new("events").unwrap();
        let image = metadata.image();
        let leadership = image.topics.get(&name)?.leadership(PartitionIndex::new(0))?;
        Some(leadership.leader.get())
    }

    #[test]
    fn an_older_leader_epoch_never_replaces_a_newer_one_of_the_same_topic() {
        let metadata = Metadata::new();
        let id = TopicId::random();
        metadata.update(&answer(id, 2, 5), now());
        metadata.update(&answer(id, 1, 4), now());
        assert_eq!(leader(&metadata), Some(2));
        metadata.update(&answer(TopicId::random(), 1, 0), now());
        assert_eq!(leader(&metadata), Some(1), "created again: counted anew");
        let address = metadata.image().address(BrokerId::new(1)).cloned();
        assert_eq!(address.as_deref(), Some("[::1]:9000"));
    }

    #[test]
    fn a_hint_counts_only_when_it_is_newer_and_names_a_known_broker() {
        let metadata = Metadata::new();
        let name = TopicName::new("events").unwrap();
        metadata.update(&answer(TopicId::random(), 1, 3), now());
        let hint = |leader, epoch| LeaderHint {
            leader: BrokerId::new(leader),
            leader_epoch: LeaderEpoch::new(epoch),
        };
        let partition = PartitionIndex::new(0);
        assert!(!metadata.hint(&name, partition, hint(2, 3)));
        assert!(!metadata.hint(&name, partition, hint(9, 4)));
        assert!(metadata.hint(&name, partition, hint(2, 4)));
        assert_eq!(leader(&metadata), Some(2));
    }

    #[test]
    fn a_deleted_topic_is_remembered_as_missing_and_found_again() {
        let metadata = Metadata::new();
        let name = TopicName::new("events").unwrap();
        let mut gone = answer(TopicId::NONE, -1, -1);
        metadata.update(&answer(TopicId::random(), 1, 0), now());
        gone.topics[0].error = Some(ApiError::new(ErrorCode::UnknownTopic, "gone"));
        metadata.update(&gone, now());
        assert_eq!(leader(&metadata), None);
        assert!(metadata.image().missing.contains(&name));
        metadata.update(&answer(TopicId::random(), 2, 0), now());
        assert!(!metadata.image().missing.contains(&name));
    }
}
