//! Forgets committed offsets.

use super::wire::message;
use super::{Api, GroupPartitions, GroupTopicResult, Request};

message! {
    /// Deletes the offsets of partitions; each succeeds or fails on its own.
    pub struct DeleteOffsetsRequest {
        /// The group.
        pub group: String,
        /// The partitions.
        pub topics: Vec<GroupPartitions>,
    }

    /// What became of each partition, in the order of the request.
    pub struct DeleteOffsetsResponse {
        /// The topics.
        pub topics: Vec<GroupTopicResult>,
    }
}

impl Request for DeleteOffsetsRequest {
    const API: Api = Api::DeleteOffsets;
    type Response = DeleteOffsetsResponse;
}
