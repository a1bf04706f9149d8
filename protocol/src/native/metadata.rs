//! Who leads what, and where to find them.

use super::wire::message;
use super::{Api, ApiError, Request};
use crate::{BrokerEpoch, BrokerId, ClusterId, LeaderEpoch, PartitionIndex, TopicId};

message! {
    /// Asks about topics.
    pub struct MetadataRequest {
        /// Topics by name; none asks for all of them.
        pub names: Option<Vec<String>>,
        /// Topics by id, on top.
        pub ids: Vec<TopicId>,
    }

    /// The cluster as the answering broker sees it.
    pub struct MetadataResponse {
        /// The cluster.
        pub cluster: ClusterId,
        /// The active controller.
        pub controller: BrokerId,
        /// The brokers that are alive, with addresses for this listener.
        pub brokers: Vec<BrokerEndpoint>,
        /// The topics that were asked for.
        pub topics: Vec<TopicMetadata>,
    }

    /// Where a broker listens.
    pub struct BrokerEndpoint {
        /// The broker.
        pub id: BrokerId,
        /// Its life.
        pub epoch: BrokerEpoch,
        /// The host name or address to connect to.
        pub host: String,
        /// The port to connect to.
        pub port: u16,
        /// The rack that it stands in.
        pub rack: Option<String>,
    }

    /// One topic.
    pub struct TopicMetadata {
        /// Why nothing is known about it.
        pub error: Option<ApiError>,
        /// Its name; as asked when there is no such topic.
        pub name: String,
        /// Its id; zero when there is no such topic.
        pub id: TopicId,
        /// Whether it is the broker's own.
        pub internal: bool,
        /// Its partitions, in order.
        pub partitions: Vec<PartitionMetadata>,
    }

    /// One partition.
    pub struct PartitionMetadata {
        /// Which one.
        pub partition: PartitionIndex,
        /// Its leader, or -1.
        pub leader: BrokerId,
        /// The leader's epoch.
        pub leader_epoch: LeaderEpoch,
        /// All replicas, the preferred one first.
        pub replicas: Vec<BrokerId>,
        /// Those in sync.
        pub isr: Vec<BrokerId>,
        /// Those whose disk or broker is gone.
        pub offline: Vec<BrokerId>,
    }

    /// Beside *not leader* errors: who leads as far as the answering broker knows.
    #[derive(Copy)]
    pub struct LeaderHint {
        /// The leader, or -1.
        pub leader: BrokerId,
        /// Its epoch.
        pub leader_epoch: LeaderEpoch,
    }
}

impl Request for MetadataRequest {
    const API: Api = Api::Metadata;
    type Response = MetadataResponse;
}
