//! Appends record batches: many partitions in one request, one batch each.

use bytes::Bytes;

use super::wire::message;
use super::{Api, ApiError, LeaderHint, Request, Wire};
use crate::codec::{DecodeError, Reader, Writer};
use crate::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId};

/// When a produce request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Never: the request has no answer.
    None,
    /// When the leader has written, not synced.
    Leader,
    /// When every in-sync replica holds it as durably as the topic asks.
    All,
}

impl Wire for Acks {
    const BYTES_MIN: usize = 1;

    fn encode(&self, writer: &mut Writer) {
        let number: i8 = match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        };
        number.encode(writer);
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        match i8::decode(reader, what)? {
            0 => Ok(Self::None),
            1 => Ok(Self::Leader),
            -1 => Ok(Self::All),
            found => Err(DecodeError::Value { what, found: i64::from(found) }),
        }
    }
}

message! {
    /// Appends batches; each partition succeeds or fails on its own.
    pub struct ProduceRequest {
        /// When to answer.
        pub acks: Acks,
        /// The topics.
        pub topics: Vec<ProduceTopic>,
    }

    /// The batches for one topic.
    pub struct ProduceTopic {
        /// The topic.
        pub topic: TopicId,
        /// One batch for each of these partitions.
        pub partitions: Vec<ProducePartition>,
    }

    /// The batch for one partition.
    pub struct ProducePartition {
        /// The partition.
        pub partition: PartitionIndex,
        /// The leader's epoch as the client knows it, or -1.
        pub leader_epoch: LeaderEpoch,
        /// One record batch, base offset 0.
        pub records: Bytes,
    }

    /// What became of the batches, in the order of the request.
    pub struct ProduceResponse {
        /// The topics.
        pub topics: Vec<ProducedTopic>,
    }

    /// What became of one topic's batches.
    pub struct ProducedTopic {
        /// The topic.
        pub topic: TopicId,
        /// Its partitions.
        pub partitions: Vec<ProducedPartition>,
    }

    /// What became of one batch.
    pub struct ProducedPartition {
        /// The partition.
        pub partition: PartitionIndex,
        /// Why the batch was not appended, or is not known to be durable.
        pub error: Option<ApiError>,
        /// The offset of its first record, or -1.
        pub base_offset: Offset,
        /// The broker's time when the topic asks for it, or -1.
        pub log_append_time: TimestampMs,
        /// The first offset that can be read, or -1.
        pub log_start: Offset,
        /// Who leads, when it is not this broker.
        pub leader: Option<LeaderHint>,
    }
}

impl Request for ProduceRequest {
    const API: Api = Api::Produce;
    type Response = ProduceResponse;
}
