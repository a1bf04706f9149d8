//! An image as records: what a new log would have to hold to lead to the same image.

use std::sync::Arc;

use super::image::{Image, Topic};
use super::record::{BrokerRegistered, ClusterCreated, ProducerIdsReserved, Record, TopicCreated};
use thalweg_protocol::{BrokerId, ProducerId};

impl Image {
    /// The records that lead from the empty image to this one; none for the empty image.
    pub(super) fn to_records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        if self.is_empty() {
            return records;
        }
        let (cluster, metadata_version) = (self.cluster, self.metadata_version);
        records.push(ClusterCreated { cluster, metadata_version }.into());
        records.extend(self.broker_records());
        records.extend(self.topics.values().map(topic_record));
        if self.producer_next > ProducerId::new(0) {
            let (broker, next) = (BrokerId::NONE, self.producer_next);
            records.push(ProducerIdsReserved { broker, next }.into());
        }
        records
    }

    /// In the order of their epochs, which is the order in which they registered.
    fn broker_records(&self) -> Vec<Record> {
        let mut brokers: Vec<_> = self.brokers.values().collect();
        brokers.sort_by_key(|broker| broker.epoch);
        let record = |broker: &Arc<super::image::Broker>| {
            Record::from(BrokerRegistered {
                broker: broker.id,
                epoch: broker.epoch,
                endpoints: broker.endpoints.clone(),
                rack: broker.rack.clone(),
                release: broker.release.clone(),
                directories: broker.directories.clone(),
                fenced: broker.fenced,
            })
        };
        brokers.into_iter().map(record).collect()
    }
}

fn topic_record(topic: &Arc<Topic>) -> Record {
    TopicCreated {
        topic: topic.id,
        name: topic.name.clone(),
        internal: topic.internal,
        configs: topic.configs.as_ref().clone(),
        partitions: topic.partitions.clone(),
    }
    .into()
}
