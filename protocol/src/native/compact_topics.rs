//! Asks for compaction runs, and tells how compacted logs stand.

use super::wire::message;
use super::{Api, ApiError, Request};
use crate::{Offset, PartitionIndex, TopicId};

message! {
    /// Asks to compact partitions, or only how they stand; each succeeds or fails on its own.
    pub struct CompactTopicsRequest {
        /// The topics.
        pub topics: Vec<CompactTopic>,
        /// Compact them now; else only tell.
        pub run: bool,
    }

    /// Which partitions of one topic.
    pub struct CompactTopic {
        /// The topic.
        pub topic: TopicId,
        /// Its partitions.
        pub partitions: Vec<PartitionIndex>,
    }

    /// How they stand, in the order of the request.
    pub struct CompactTopicsResponse {
        /// The topics.
        pub topics: Vec<CompactedTopic>,
    }

    /// How one topic stands.
    pub struct CompactedTopic {
        /// The topic.
        pub topic: TopicId,
        /// Its partitions.
        pub partitions: Vec<CompactedPartition>,
    }

    /// How one partition stands.
    pub struct CompactedPartition {
        /// The partition.
        pub partition: PartitionIndex,
        /// Why nothing can be told, or asked for.
        pub error: Option<ApiError>,
        /// A run that somebody asked for has not ended.
        pub waits: bool,
        /// Runs that ended well since the broker started.
        pub runs: u64,
        /// Below it everything was compacted, or -1.
        pub cleaned_end: Offset,
        /// Bytes of closed segments that were compacted.
        pub clean_bytes: u64,
        /// Bytes of closed segments that were not.
        pub dirty_bytes: u64,
        /// Bytes of the segments that the last run exchanged.
        pub before_bytes: u64,
        /// Bytes of what stands in their place.
        pub after_bytes: u64,
        /// Why the last run failed; none when it did not.
        pub failure: Option<String>,
    }
}

impl Request for CompactTopicsRequest {
    const API: Api = Api::CompactTopics;
    type Response = CompactTopicsResponse;
}
