//! Finds offsets by time, or the ends of the log.

use super::wire::message;
use super::{Api, ApiError, Request, Wire};
use crate::codec::{DecodeError, Reader, Writer};
use crate::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId};

/// Which offset is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetQuery {
    /// The log start.
    Earliest,
    /// The high watermark: where the next readable record will be.
    Latest,
    /// The record with the largest timestamp.
    MaxTimestamp,
    /// The first record that is not older.
    AtOrAfter(TimestampMs),
}

/// As a timestamp; -1, -2 and -3 are latest, earliest and largest timestamp, as in Kafka's protocol.
impl Wire for OffsetQuery {
    const BYTES_MIN: usize = 8;

    fn encode(&self, writer: &mut Writer) {
        let number = match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::AtOrAfter(time) => time.get(),
        };
        number.encode(writer);
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        match i64::decode(reader, what)? {
            -1 => Ok(Self::Latest),
            -2 => Ok(Self::Earliest),
            -3 => Ok(Self::MaxTimestamp),
            time @ 0.. => Ok(Self::AtOrAfter(TimestampMs::new(time))),
            found => Err(DecodeError::Value { what, found }),
        }
    }
}

message! {
    /// Asks for offsets; each partition succeeds or fails on its own.
    pub struct ListOffsetsRequest {
        /// The topics.
        pub topics: Vec<ListOffsetsTopic>,
    }

    /// What to find in one topic.
    pub struct ListOffsetsTopic {
        /// The topic.
        pub topic: TopicId,
        /// Its partitions.
        pub partitions: Vec<ListOffsetsPartition>,
    }

    /// What to find in one partition.
    pub struct ListOffsetsPartition {
        /// The partition.
        pub partition: PartitionIndex,
        /// The leader's epoch as the client knows it, or -1.
        pub leader_epoch: LeaderEpoch,
        /// Which offset is wanted.
        pub query: OffsetQuery,
    }

    /// What was found, in the order of the request.
    pub struct ListOffsetsResponse {
        /// The topics.
        pub topics: Vec<ListedTopic>,
    }

    /// What was found in one topic.
    pub struct ListedTopic {
        /// The topic.
        pub topic: TopicId,
        /// Its partitions.
        pub partitions: Vec<ListedPartition>,
    }

    /// What was found in one partition.
    pub struct ListedPartition {
        /// The partition.
        pub partition: PartitionIndex,
        /// Why nothing was found out.
        pub error: Option<ApiError>,
        /// The offset, or -1 when no record is that young.
        pub offset: Offset,
        /// The record's timestamp, or -1 for the ends of the log.
        pub timestamp: TimestampMs,
        /// The epoch of the record at the offset, or -1.
        pub leader_epoch: LeaderEpoch,
    }
}

impl Request for ListOffsetsRequest {
    const API: Api = Api::ListOffsets;
    type Response = ListOffsetsResponse;
}
