//! Records to images: the only code that changes an image, live and at restart alike.

use std::sync::Arc;

use thalweg_protocol::{BrokerId, DirectoryId, TopicId, TopicPartition};

use super::image::{Broker, Image, MetadataIndex, Partition, Term, Topic};
use super::record::{
    AssignedReplica, BrokerFenceChanged, BrokerRegistered, ClusterCreated, DirectoryAssigned,
    DirectoryRegistered, METADATA_VERSION, PartitionChanged, PartitionsAdded, ProducerIdsReserved,
    Record, TopicConfigChanged, TopicCreated,
};
use super::replay_error::ReplayError;

impl Image {
    /// The image that follows when an entry's records are applied to this one, all or none.
    pub fn with_entry(
        &self,
        index: MetadataIndex,
        term: Term,
        records: &[Record],
    ) -> Result<Self, ReplayError> {
        let mut next = self.clone();
        for record in records {
            next.replay(record)?;
        }
        next.index = index;
        next.term = term;
        Ok(next)
    }

    /// Applies one record. After an error the image is unchanged or useless: throw it away.
    pub(super) fn replay(&mut self, record: &Record) -> Result<(), ReplayError> {
        match record {
            Record::ClusterCreated(record) => self.create_cluster(record),
            Record::BrokerRegistered(record) => self.register_broker(record),
            Record::BrokerFenceChanged(record) => self.change_fence(record),
            Record::DirectoryRegistered(record) => self.register_directory(record),
            Record::LeaderEpochsRaised(record) => {
                self.raise_leader_epochs(record.broker);
                Ok(())
            }
            Record::TopicCreated(record) => self.create_topic(record),
            Record::PartitionsAdded(record) => self.add_partitions(record),
            Record::TopicConfigChanged(record) => self.change_config(record),
            Record::TopicDeleted(record) => self.delete_topic(record.topic),
            Record::PartitionChanged(record) => self.change_partition(record),
            Record::DirectoryAssigned(record) => self.assign_directories(record),
            Record::ProducerIdsReserved(record) => self.reserve_producer_ids(record),
        }
    }

    fn create_cluster(&mut self, record: &ClusterCreated) -> Result<(), ReplayError> {
        if !self.is_empty() {
            return Err(ReplayError::ClusterExists { old: self.cluster, new: record.cluster });
        }
        if !(1..=METADATA_VERSION).contains(&record.metadata_version) {
            return Err(ReplayError::Version { found: record.metadata_version });
        }
        self.cluster = record.cluster;
        self.metadata_version = record.metadata_version;
        Ok(())
    }

    fn register_broker(&mut self, record: &BrokerRegistered) -> Result<(), ReplayError> {
        let (broker, epoch) = (record.broker, record.epoch);
        let old = self.broker_epoch_last;
        if epoch <= old {
            return Err(ReplayError::BrokerEpoch { broker, old, new: epoch });
        }
        self.broker_epoch_last = epoch;
        let registered = Broker {
            id: broker,
            epoch,
            endpoints: record.endpoints.clone(),
            rack: record.rack.clone(),
            release: record.release.clone(),
            directories: record.directories.clone(),
            fenced: record.fenced,
        };
        Arc::make_mut(&mut self.brokers).insert(broker, Arc::new(registered));
        Ok(())
    }

    fn change_fence(&mut self, record: &BrokerFenceChanged) -> Result<(), ReplayError> {
        let known = self.broker_mut("BrokerFenceChanged", record.broker)?;
        if known.epoch != record.epoch {
            return Err(ReplayError::BrokerEpoch {
                broker: record.broker,
                old: known.epoch,
                new: record.epoch,
            });
        }
        known.fenced = record.fenced;
        Ok(())
    }

    fn register_directory(&mut self, record: &DirectoryRegistered) -> Result<(), ReplayError> {
        let known = self.broker_mut("DirectoryRegistered", record.broker)?;
        if !known.directories.contains(&record.directory) {
            known.directories.push(record.directory);
        }
        Ok(())
    }

    fn raise_leader_epochs(&mut self, broker: BrokerId) {
        let leads = |topic: &Topic| topic.partitions.iter().any(|one| one.leader == broker);
        for topic in Arc::make_mut(&mut self.topics).values_mut() {
            if !leads(topic) {
                continue;
            }
            let led = Arc::make_mut(topic).partitions.iter_mut();
            for partition in led.filter(|partition| partition.leader == broker) {
                let partition = Arc::make_mut(partition);
                partition.leader_epoch = partition.leader_epoch.next();
                partition.partition_epoch = partition.partition_epoch.next();
            }
        }
    }

    fn create_topic(&mut self, record: &TopicCreated) -> Result<(), ReplayError> {
        let (id, name) = (record.topic, &record.name);
        if self.topics.contains_key(&id) || self.names.contains_key(name) {
            return Err(ReplayError::TopicExists { topic: id, name: name.clone() });
        }
        let mut topic = Topic {
            id,
            name: name.clone(),
            internal: record.internal,
            configs: Arc::new(record.configs.clone()),
            partitions: Vec::with_capacity(record.partitions.len()),
        };
        append_partitions(&mut topic, &record.partitions)?;
        self.partition_count += topic.partitions.len();
        Arc::make_mut(&mut self.topics).insert(id, Arc::new(topic));
        Arc::make_mut(&mut self.names).insert(name.clone(), id);
        Ok(())
    }

    fn add_partitions(&mut self, record: &PartitionsAdded) -> Result<(), ReplayError> {
        append_partitions(self.topic_mut("PartitionsAdded", record.topic)?, &record.partitions)?;
        self.partition_count += record.partitions.len();
        Ok(())
    }

    fn change_config(&mut self, record: &TopicConfigChanged) -> Result<(), ReplayError> {
        let topic = self.topic_mut("TopicConfigChanged", record.topic)?;
        let configs = Arc::make_mut(&mut topic.configs);
        for (key, value) in &record.changes {
            match value {
                Some(value) => configs.insert(key.clone(), value.clone()),
                None => configs.remove(key),
            };
        }
        Ok(())
    }

    fn delete_topic(&mut self, id: TopicId) -> Result<(), ReplayError> {
        let record = "TopicDeleted";
        let Some(topic) = Arc::make_mut(&mut self.topics).remove(&id) else {
            return Err(ReplayError::UnknownTopic { record, topic: id });
        };
        self.partition_count -= topic.partitions.len();
        Arc::make_mut(&mut self.names).remove(&topic.name);
        Ok(())
    }

    fn change_partition(&mut self, record: &PartitionChanged) -> Result<(), ReplayError> {
        let at = TopicPartition::new(record.topic, record.partition);
        let partition = self.partition_mut("PartitionChanged", at)?;
        let leader_epoch_min = if record.leader == partition.leader {
            partition.leader_epoch
        } else {
            partition.leader_epoch.next()
        };
        if record.leader_epoch < leader_epoch_min
            || record.partition_epoch <= partition.partition_epoch
        {
            return Err(ReplayError::PartitionEpochs {
                partition: at,
                old_leader: partition.leader_epoch,
                old: partition.partition_epoch,
                new_leader: record.leader_epoch,
                new: record.partition_epoch,
            });
        }
        partition.leader = record.leader;
        partition.leader_epoch = record.leader_epoch;
        partition.isr.clone_from(&record.isr);
        partition.partition_epoch = record.partition_epoch;
        check_replicas(record.topic, partition)
    }

    fn assign_directories(&mut self, record: &DirectoryAssigned) -> Result<(), ReplayError> {
        for assigned in &record.replicas {
            self.assign_directory(record.broker, assigned)?;
        }
        Ok(())
    }

    fn assign_directory(
        &mut self,
        broker: BrokerId,
        assigned: &AssignedReplica,
    ) -> Result<(), ReplayError> {
        let at = TopicPartition::new(assigned.topic, assigned.partition);
        let new = assigned.directory;
        let partition = self.partition_mut("DirectoryAssigned", at)?;
        let replica = partition.replicas.iter_mut().find(|replica| replica.broker == broker);
        let Some(replica) = replica else {
            return Err(ReplayError::NotReplica { partition: at, broker });
        };
        let old = replica.directory;
        if old != DirectoryId::NONE && old != new {
            return Err(ReplayError::DirectoryTaken { partition: at, broker, old, new });
        }
        replica.directory = new;
        Ok(())
    }

    fn reserve_producer_ids(&mut self, record: &ProducerIdsReserved) -> Result<(), ReplayError> {
        if record.next <= self.producer_next {
            let (old, new) = (self.producer_next, record.next);
            return Err(ReplayError::ProducerIds { old, new });
        }
        self.producer_next = record.next;
        Ok(())
    }

    fn broker_mut(
        &mut self,
        record: &'static str,
        broker: BrokerId,
    ) -> Result<&mut Broker, ReplayError> {
        match Arc::make_mut(&mut self.brokers).get_mut(&broker) {
            Some(known) => Ok(Arc::make_mut(known)),
            None => Err(ReplayError::UnknownBroker { record, broker }),
        }
    }

    fn topic_mut(
        &mut self,
        record: &'static str,
        topic: TopicId,
    ) -> Result<&mut Topic, ReplayError> {
        match Arc::make_mut(&mut self.topics).get_mut(&topic) {
            Some(known) => Ok(Arc::make_mut(known)),
            None => Err(ReplayError::UnknownTopic { record, topic }),
        }
    }

    fn partition_mut(
        &mut self,
        record: &'static str,
        at: TopicPartition,
    ) -> Result<&mut Partition, ReplayError> {
        let partitions = &mut self.topic_mut(record, at.topic)?.partitions;
        let place = usize::try_from(at.partition.get()).ok();
        match place.and_then(|place| partitions.get_mut(place)) {
            Some(partition) => Ok(Arc::make_mut(partition)),
            None => Err(ReplayError::UnknownPartition { record, partition: at }),
        }
    }
}

/// Adds partitions, whose indexes must go on where the topic's end.
fn append_partitions(topic: &mut Topic, added: &[Arc<Partition>]) -> Result<(), ReplayError> {
    for partition in added {
        let expected = topic.partitions.len();
        if usize::try_from(partition.index.get()) != Ok(expected) {
            return Err(ReplayError::Gap { topic: topic.id, expected, found: partition.index });
        }
        check_replicas(topic.id, partition)?;
        topic.partitions.push(Arc::clone(partition));
    }
    Ok(())
}

/// The invariants of [`Partition`] that hold at every index.
fn check_replicas(topic: TopicId, partition: &Partition) -> Result<(), ReplayError> {
    let once = |brokers: &[BrokerId]| {
        brokers
            .iter()
            .enumerate()
            .all(|(place, one)| !brokers.iter().skip(place + 1).any(|other| other == one))
    };
    let replicas: Vec<BrokerId> = partition.brokers().collect();
    let (leader, isr) = (partition.leader, &partition.isr);
    let holds = once(&replicas)
        && once(isr)
        && !isr.is_empty()
        && isr.iter().all(|member| replicas.contains(member))
        && (leader == BrokerId::NONE || isr.contains(&leader));
    if holds {
        return Ok(());
    }
    Err(ReplayError::Replicas {
        partition: TopicPartition::new(topic, partition.index),
        leader,
        isr: isr.clone(),
        replicas,
    })
}
