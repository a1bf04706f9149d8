//! Why a record does not fit the image before it.

use thalweg_protocol::{
    BrokerEpoch, BrokerId, ClusterId, DirectoryId, LeaderEpoch, PartitionIndex, ProducerId,
    TopicId, TopicName, TopicPartition,
};

use super::image::PartitionEpoch;
use super::record::METADATA_VERSION;

/// Why a record does not fit the image before it: the log or the controller is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The cluster was created before.
    #[error("cluster {new} cannot be created: the metadata is cluster {old}'s")]
    ClusterExists {
        /// The cluster of the image.
        old: ClusterId,
        /// The cluster of the record.
        new: ClusterId,
    },
    /// The cluster's records are of a later version.
    #[error(
        "the metadata has version {found}, this release knows 1 to {METADATA_VERSION}: start the later release"
    )]
    Version {
        /// The version.
        found: u16,
    },
    /// There is no such broker.
    #[error("{record}: broker {broker} never registered")]
    UnknownBroker {
        /// The kind of record.
        record: &'static str,
        /// The broker.
        broker: BrokerId,
    },
    /// The broker's epoch would fall or stay.
    #[error("broker {broker}: epoch {new} does not follow {old}")]
    BrokerEpoch {
        /// The broker.
        broker: BrokerId,
        /// The largest epoch so far.
        old: BrokerEpoch,
        /// The record's.
        new: BrokerEpoch,
    },
    /// There is no such topic.
    #[error("{record}: there is no topic {topic}")]
    UnknownTopic {
        /// The kind of record.
        record: &'static str,
        /// The topic.
        topic: TopicId,
    },
    /// There is a topic of this id or name.
    #[error("topic {name} ({topic}) exists")]
    TopicExists {
        /// The id.
        topic: TopicId,
        /// The name.
        name: TopicName,
    },
    /// There is no such partition.
    #[error("{record}: there is no partition {partition}")]
    UnknownPartition {
        /// The kind of record.
        record: &'static str,
        /// The partition.
        partition: TopicPartition,
    },
    /// The partitions are not numbered one after the other.
    #[error("topic {topic}: partition {found} where {expected} should follow")]
    Gap {
        /// The topic.
        topic: TopicId,
        /// The index that should come.
        expected: usize,
        /// The index that came.
        found: PartitionIndex,
    },
    /// Leader, in-sync set and replicas contradict each other.
    #[error(
        "partition {partition}: leader {leader}, in-sync set {isr:?} and replicas {replicas:?} contradict each other"
    )]
    Replicas {
        /// The partition.
        partition: TopicPartition,
        /// The leader.
        leader: BrokerId,
        /// The in-sync set.
        isr: Vec<BrokerId>,
        /// The replicas' brokers.
        replicas: Vec<BrokerId>,
    },
    /// A partition's epochs would fall.
    #[error(
        "partition {partition}: epochs {new_leader}/{new} (leader/partition) do not follow {old_leader}/{old}"
    )]
    PartitionEpochs {
        /// The partition.
        partition: TopicPartition,
        /// The leader epoch so far.
        old_leader: LeaderEpoch,
        /// The partition epoch so far.
        old: PartitionEpoch,
        /// The record's leader epoch.
        new_leader: LeaderEpoch,
        /// The record's partition epoch.
        new: PartitionEpoch,
    },
    /// The broker holds no replica of the partition.
    #[error("partition {partition}: broker {broker} holds no replica of it")]
    NotReplica {
        /// The partition.
        partition: TopicPartition,
        /// The broker.
        broker: BrokerId,
    },
    /// The replica's directory is another one already.
    #[error(
        "partition {partition}: its replica on broker {broker} is in directory {old}, not {new}"
    )]
    DirectoryTaken {
        /// The partition.
        partition: TopicPartition,
        /// The broker.
        broker: BrokerId,
        /// The directory so far.
        old: DirectoryId,
        /// The record's.
        new: DirectoryId,
    },
    /// Producer ids would be reserved twice.
    #[error("producer ids up to {new} cannot be reserved: those up to {old} are")]
    ProducerIds {
        /// The first free id so far.
        old: ProducerId,
        /// The record's.
        new: ProducerId,
    },
}
