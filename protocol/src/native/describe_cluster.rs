//! Brokers, their log directories, and what is wrong with them.

use super::wire::message;
use super::{Api, Request};
use crate::{BrokerEpoch, BrokerId, ClusterId, DirectoryId};

message! {
    /// Asks about the cluster as a whole.
    pub struct DescribeClusterRequest {}

    /// The cluster as the answering broker sees it.
    pub struct DescribeClusterResponse {
        /// The cluster.
        pub cluster: ClusterId,
        /// The active controller.
        pub controller: BrokerId,
        /// The brokers, alive or not.
        pub brokers: Vec<DescribedBroker>,
        /// How many topics there are.
        pub topics: u32,
        /// How many partitions there are.
        pub partitions: u32,
        /// How many of them have no leader.
        pub partitions_leaderless: u32,
        /// How many of them have a replica that is not in sync.
        pub partitions_under_replicated: u32,
    }

    /// One broker.
    pub struct DescribedBroker {
        /// The broker.
        pub id: BrokerId,
        /// Its life.
        pub epoch: BrokerEpoch,
        /// Where it listens.
        pub host: String,
        /// Where it listens.
        pub port: u16,
        /// The rack that it stands in.
        pub rack: Option<String>,
        /// Its release.
        pub version: String,
        /// How many partitions it leads.
        pub leaders: u32,
        /// How many replicas it holds.
        pub replicas: u32,
        /// Its log directories; known for the answering broker only.
        pub directories: Vec<DescribedDirectory>,
    }

    /// One log directory.
    pub struct DescribedDirectory {
        /// Its id.
        pub id: DirectoryId,
        /// Where it is on the broker's machine.
        pub path: String,
        /// `online`, `read-only` or `offline`.
        pub state: String,
        /// Why it is not online; empty when it is.
        pub reason: String,
        /// The file system's size in bytes.
        pub total_bytes: u64,
        /// What is free of it, in bytes.
        pub free_bytes: u64,
        /// How many replicas it holds.
        pub replicas: u32,
    }
}

impl Request for DescribeClusterRequest {
    const API: Api = Api::DescribeCluster;
    type Response = DescribeClusterResponse;
}
