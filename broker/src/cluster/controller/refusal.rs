//! Why the controller says no, in words and as a code.

use thalweg_protocol::{
    BrokerEpoch, BrokerId, ClusterId, DirectoryId, ErrorCode, LeaderEpoch, TopicName,
    TopicNameError, TopicPartition,
};

use crate::cluster::image::PartitionEpoch;
use crate::config::TopicConfigError;

/// What became of each part of a request, in its order.
pub type Each<T> = Vec<Result<T, Refusal>>;

/// A request that the image does not allow; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The name breaks the rule.
    #[error(transparent)]
    Name(#[from] TopicNameError),
    /// A topic of this name exists.
    #[error("topic {name} exists already")]
    TopicExists {
        /// The name.
        name: TopicName,
    },
    /// No topic of this name.
    #[error("there is no topic {name:?}")]
    UnknownTopic {
        /// The name as asked.
        name: String,
    },
    /// The topic is the brokers' own.
    #[error("topic {name} is internal: it cannot be {action}")]
    Internal {
        /// The name.
        name: TopicName,
        /// What was asked for.
        action: &'static str,
    },
    /// The number of partitions is out of range.
    #[error("topic {name}: {asked} partitions asked for, possible are 1 to {max}")]
    Partitions {
        /// The topic.
        name: TopicName,
        /// The number asked for.
        asked: i32,
        /// The most that are possible.
        max: i32,
    },
    /// Partitions cannot be taken away.
    #[error("topic {name} has {has} partitions: they can only grow, {asked} asked for")]
    Shrink {
        /// The topic.
        name: TopicName,
        /// How many it has.
        has: usize,
        /// The number asked for.
        asked: i32,
    },
    /// The cluster holds as many topics as it may.
    #[error("topic {name}: there are {has} topics, and limits.topics_max allows {max}")]
    TooManyTopics {
        /// The topic.
        name: TopicName,
        /// How many there are.
        has: usize,
        /// The limit.
        max: usize,
    },
    /// The cluster would hold too many partitions.
    #[error(
        "topic {name}: {asked} more partitions on top of {has} pass the cluster's limit of {max}"
    )]
    TooManyPartitions {
        /// The topic.
        name: TopicName,
        /// How many more.
        asked: usize,
        /// How many there are in all topics.
        has: usize,
        /// The limit.
        max: usize,
    },
    /// The replication factor is out of range.
    #[error(
        "topic {name}: replication factor {asked}, possible are 1 to {brokers}, the number of live brokers"
    )]
    ReplicationFactor {
        /// The topic.
        name: TopicName,
        /// The factor asked for.
        asked: i16,
        /// How many live brokers there are.
        brokers: usize,
    },
    /// A setting is unknown, out of range, named twice or in contradiction to another one.
    #[error("topic {name}: {reason}")]
    Config {
        /// The topic.
        name: TopicName,
        /// Which setting, its value, and what is possible.
        reason: TopicConfigError,
    },
    /// The broker belongs to another cluster.
    #[error("broker {broker} belongs to cluster {found}, this is cluster {expected}")]
    ForeignCluster {
        /// The broker.
        broker: BrokerId,
        /// The cluster of the metadata.
        expected: ClusterId,
        /// The broker's.
        found: ClusterId,
    },
    /// The broker's number is negative.
    #[error("broker id {broker} is not possible: ids count from 0")]
    BrokerId {
        /// The number.
        broker: BrokerId,
    },
    /// The broker has not registered.
    #[error("broker {broker} is not registered")]
    UnknownBroker {
        /// The broker.
        broker: BrokerId,
    },
    /// The request comes from an earlier life of the broker.
    #[error("broker {broker}: epoch {found} is not the current one, {current}")]
    BrokerEpoch {
        /// The broker.
        broker: BrokerId,
        /// Its current life.
        current: BrokerEpoch,
        /// The life in the request.
        found: BrokerEpoch,
    },
    /// The directory is not one of the broker's.
    #[error("log directory {directory} is not registered for broker {broker}")]
    UnknownDirectory {
        /// The broker.
        broker: BrokerId,
        /// The directory.
        directory: DirectoryId,
    },
    /// The broker holds no replica of it, or it is gone.
    #[error("broker {broker} holds no replica of partition {partition}")]
    NotReplica {
        /// The broker.
        broker: BrokerId,
        /// The partition.
        partition: TopicPartition,
    },
    /// The replica is in another directory already.
    #[error(
        "partition {partition}: its replica on broker {broker} is in directory {current}, not {found}"
    )]
    DirectoryTaken {
        /// The partition.
        partition: TopicPartition,
        /// The broker.
        broker: BrokerId,
        /// Where it is.
        current: DirectoryId,
        /// Where the request has it.
        found: DirectoryId,
    },
    /// The partition is gone.
    #[error("there is no partition {partition}")]
    UnknownPartition {
        /// The partition.
        partition: TopicPartition,
    },
    /// The proposal comes from a broker that does not lead the partition, or not in this epoch.
    #[error(
        "partition {partition}: broker {broker} proposes for leader epoch {found}; broker {leader} leads in epoch {current}"
    )]
    StaleLeader {
        /// The partition.
        partition: TopicPartition,
        /// Who proposes.
        broker: BrokerId,
        /// The epoch that it knows.
        found: LeaderEpoch,
        /// Who leads.
        leader: BrokerId,
        /// The current epoch.
        current: LeaderEpoch,
    },
    /// The proposal speaks of an older state of the partition.
    #[error(
        "partition {partition}: proposal for partition epoch {found}, the current one is {current}"
    )]
    StalePartition {
        /// The partition.
        partition: TopicPartition,
        /// The epoch that the proposer knows.
        found: PartitionEpoch,
        /// The current one.
        current: PartitionEpoch,
    },
    /// The proposed in-sync set is not possible.
    #[error("partition {partition}: in-sync set {isr:?} is not possible: {reason}")]
    Isr {
        /// The partition.
        partition: TopicPartition,
        /// The set.
        isr: Vec<BrokerId>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// All producer ids are given out.
    #[error("all producer ids are given out")]
    NoProducerIds,
}

impl Refusal {
    /// What a client acts on.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Name(_) => ErrorCode::InvalidTopicName,
            Self::TopicExists { .. } => ErrorCode::TopicExists,
            Self::UnknownTopic { .. } => ErrorCode::UnknownTopic,
            Self::Partitions { .. } | Self::Shrink { .. } => ErrorCode::InvalidPartitions,
            // A topic too many is its partitions too many: clients act on both in the same way.
            Self::TooManyTopics { .. } | Self::TooManyPartitions { .. } => {
                ErrorCode::TooManyPartitions
            }
            Self::ReplicationFactor { .. } => ErrorCode::InvalidReplicationFactor,
            Self::Config { .. } => ErrorCode::InvalidConfig,
            Self::Internal { .. }
            | Self::ForeignCluster { .. }
            | Self::BrokerId { .. }
            | Self::UnknownBroker { .. }
            | Self::BrokerEpoch { .. }
            | Self::UnknownDirectory { .. }
            | Self::NotReplica { .. }
            | Self::DirectoryTaken { .. }
            | Self::Isr { .. } => ErrorCode::InvalidRequest,
            Self::UnknownPartition { .. } => ErrorCode::UnknownPartition,
            Self::StaleLeader { .. } => ErrorCode::FencedLeaderEpoch,
            // The leader takes the newer image and proposes again.
            Self::StalePartition { .. } => ErrorCode::UnknownLeaderEpoch,
            Self::NoProducerIds => ErrorCode::Internal,
        }
    }
}
