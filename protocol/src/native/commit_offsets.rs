//! Remembers how far a group has read.

use super::wire::message;
use super::{Api, ApiError, Request};
use crate::{LeaderEpoch, MemberEpoch, Offset, PartitionIndex, TopicId};

message! {
    /// Commits offsets; each partition succeeds or fails on its own.
    pub struct CommitOffsetsRequest {
        /// The group.
        pub group: String,
        /// The member that commits; empty without a membership.
        pub member: String,
        /// The member's epoch; -1 without a membership, which the group accepts while it has no member.
        pub epoch: MemberEpoch,
        /// The topics.
        pub topics: Vec<CommitTopic>,
    }

    /// What to commit for one topic.
    pub struct CommitTopic {
        /// The topic.
        pub topic: TopicId,
        /// Its partitions.
        pub partitions: Vec<CommitPartition>,
    }

    /// What to commit for one partition.
    pub struct CommitPartition {
        /// The partition.
        pub partition: PartitionIndex,
        /// The offset of the next record to read: one after the last that is done.
        pub offset: Offset,
        /// The leader epoch of the last record that is done, or -1.
        pub leader_epoch: LeaderEpoch,
        /// A note of the application's own, kept with the offset.
        pub metadata: String,
    }

    /// What became of each partition, in the order of the request.
    pub struct CommitOffsetsResponse {
        /// The topics.
        pub topics: Vec<GroupTopicResult>,
    }

    /// What became of one topic.
    pub struct GroupTopicResult {
        /// The topic.
        pub topic: TopicId,
        /// Its partitions.
        pub partitions: Vec<GroupPartitionResult>,
    }

    /// What became of one partition.
    pub struct GroupPartitionResult {
        /// The partition.
        pub partition: PartitionIndex,
        /// Why it did not work.
        pub error: Option<ApiError>,
    }
}

impl Request for CommitOffsetsRequest {
    const API: Api = Api::CommitOffsets;
    type Response = CommitOffsetsResponse;
}
