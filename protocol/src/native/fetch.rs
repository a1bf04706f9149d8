//! Reads record batches, waiting until there are enough.

mod arriving;

use bytes::Bytes;

pub use arriving::{Arriving, GoesOn, Look};

use super::wire::message;
use super::{Api, ApiError, LeaderHint, Request};
use crate::{LeaderEpoch, Offset, PartitionIndex, TopicId};

message! {
    /// Reads from partitions; each succeeds or fails on its own.
    pub struct FetchRequest {
        /// How long to wait for `bytes_min`, in milliseconds.
        pub wait_ms_max: u32,
        /// Answer when so many bytes are there.
        pub bytes_min: u32,
        /// Answer with at most so many bytes of records; a first batch that is larger comes whole.
        pub bytes_max: u32,
        /// The topics.
        pub topics: Vec<FetchTopic>,
    }

    /// What to read of one topic.
    pub struct FetchTopic {
        /// The topic.
        pub topic: TopicId,
        /// Its partitions.
        pub partitions: Vec<FetchPartition>,
    }

    /// What to read of one partition.
    pub struct FetchPartition {
        /// The partition.
        pub partition: PartitionIndex,
        /// The leader's epoch as the client knows it, or -1.
        pub leader_epoch: LeaderEpoch,
        /// The epoch of the last record that the reader has, or -1: finds out whether the log was cut.
        pub last_epoch: LeaderEpoch,
        /// The first offset to read.
        pub offset: Offset,
        /// At most so many bytes of this partition.
        pub bytes_max: u32,
    }

    /// What was read, in the order of the request.
    pub struct FetchResponse {
        /// The topics.
        pub topics: Vec<FetchedTopic>,
    }

    /// What was read of one topic.
    pub struct FetchedTopic {
        /// The topic.
        pub topic: TopicId,
        /// Its partitions.
        pub partitions: Vec<FetchedPartition>,
    }

    /// What was read of one partition.
    pub struct FetchedPartition {
        /// The partition.
        pub partition: PartitionIndex,
        /// Why nothing was read.
        pub error: Option<ApiError>,
        /// Readers see what is below, or -1.
        pub high_watermark: Offset,
        /// The first offset that can be read, or -1.
        pub log_start: Offset,
        /// Beside *corrupt log range*: where good bytes go on, or -1.
        pub next_good: Offset,
        /// Beside *log truncated*: how far the reader's log and this one agree.
        pub diverging: Option<EpochEnd>,
        /// Who leads, when it is not this broker.
        pub leader: Option<LeaderHint>,
        /// Whole batches as they are stored; the first may begin below the asked offset.
        pub records: Bytes,
    }

    /// A leader epoch and the offset where it ends.
    #[derive(Copy)]
    pub struct EpochEnd {
        /// The epoch.
        pub epoch: LeaderEpoch,
        /// The offset after its last record.
        pub end: Offset,
    }
}

impl Request for FetchRequest {
    const API: Api = Api::Fetch;
    type Response = FetchResponse;
}
