//! Moves the log start: what lies below is gone for readers at once and from disk soon.

use super::wire::message;
use super::{Api, ApiError, Request};
use crate::{Offset, PartitionIndex, TopicId};

message! {
    /// Asks to delete records; each partition succeeds or fails on its own.
    pub struct DeleteRecordsRequest {
        /// The topics.
        pub topics: Vec<DeleteRecordsTopic>,
    }

    /// What to delete of one topic.
    pub struct DeleteRecordsTopic {
        /// The topic.
        pub topic: TopicId,
        /// Its partitions.
        pub partitions: Vec<DeleteRecordsPartition>,
    }

    /// What to delete of one partition.
    pub struct DeleteRecordsPartition {
        /// The partition.
        pub partition: PartitionIndex,
        /// Delete what is below; -1 deletes all below the high watermark.
        pub before: Offset,
    }

    /// What became of it, in the order of the request.
    pub struct DeleteRecordsResponse {
        /// The topics.
        pub topics: Vec<DeletedRecordsTopic>,
    }

    /// What became of one topic.
    pub struct DeletedRecordsTopic {
        /// The topic.
        pub topic: TopicId,
        /// Its partitions.
        pub partitions: Vec<DeletedRecordsPartition>,
    }

    /// What became of one partition.
    pub struct DeletedRecordsPartition {
        /// The partition.
        pub partition: PartitionIndex,
        /// Why nothing was deleted.
        pub error: Option<ApiError>,
        /// The log start now, or -1.
        pub log_start: Offset,
    }
}

impl Request for DeleteRecordsRequest {
    const API: Api = Api::DeleteRecords;
    type Response = DeleteRecordsResponse;
}
