//! How far a group has read.

use super::wire::message;
use super::{Api, ApiError, GroupPartitions, Request};
use crate::{LeaderEpoch, MemberEpoch, Offset, PartitionIndex, TimestampMs, TopicId};

message! {
    /// Asks for committed offsets.
    pub struct FetchOffsetsRequest {
        /// The group.
        pub group: String,
        /// The member that asks; empty without a membership.
        pub member: String,
        /// The member's epoch; -1 without a membership.
        pub epoch: MemberEpoch,
        /// The partitions in question; none asks for all that have an offset.
        pub topics: Option<Vec<GroupPartitions>>,
    }

    /// The offsets, in the order of the request.
    pub struct FetchOffsetsResponse {
        /// The topics.
        pub topics: Vec<TopicOffsets>,
    }

    /// The offsets of one topic.
    pub struct TopicOffsets {
        /// The topic.
        pub topic: TopicId,
        /// Its partitions.
        pub partitions: Vec<PartitionOffset>,
    }

    /// The offset of one partition.
    pub struct PartitionOffset {
        /// The partition.
        pub partition: PartitionIndex,
        /// Why nothing is known.
        pub error: Option<ApiError>,
        /// The offset of the next record to read, or -1 when none was committed.
        pub offset: Offset,
        /// The leader epoch of the last record that is done, or -1.
        pub leader_epoch: LeaderEpoch,
        /// The note that was committed with it.
        pub metadata: String,
        /// When it was committed, by the broker's clock; -1 when it was not.
        pub commit_time: TimestampMs,
    }
}

impl Request for FetchOffsetsRequest {
    const API: Api = Api::FetchOffsets;
    type Response = FetchOffsetsResponse;
}
