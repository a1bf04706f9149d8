//! Where a leader epoch ended: how a reader finds out how far its log and the leader's agree.

use super::wire::message;
use super::{Api, ApiError, EpochEnd, Request};
use crate::{LeaderEpoch, PartitionIndex, TopicId};

message! {
    /// Asks where epochs ended.
    pub struct LeaderEpochRequest {
        /// The topics.
        pub topics: Vec<LeaderEpochTopic>,
    }

    /// What to find in one topic.
    pub struct LeaderEpochTopic {
        /// The topic.
        pub topic: TopicId,
        /// Its partitions.
        pub partitions: Vec<LeaderEpochPartition>,
    }

    /// What to find in one partition.
    pub struct LeaderEpochPartition {
        /// The partition.
        pub partition: PartitionIndex,
        /// The leader's epoch as the client knows it, or -1.
        pub leader_epoch: LeaderEpoch,
        /// The epoch in question.
        pub wanted: LeaderEpoch,
    }

    /// What was found, in the order of the request.
    pub struct LeaderEpochResponse {
        /// The topics.
        pub topics: Vec<TopicEpochEnds>,
    }

    /// What was found in one topic.
    pub struct TopicEpochEnds {
        /// The topic.
        pub topic: TopicId,
        /// Its partitions.
        pub partitions: Vec<PartitionEpochEnd>,
    }

    /// What was found in one partition.
    pub struct PartitionEpochEnd {
        /// The partition.
        pub partition: PartitionIndex,
        /// Why nothing was found out.
        pub error: Option<ApiError>,
        /// The largest epoch in the log that is not above the wanted one, and its end; none when all are.
        pub found: Option<EpochEnd>,
    }
}

impl Request for LeaderEpochRequest {
    const API: Api = Api::LeaderEpoch;
    type Response = LeaderEpochResponse;
}
