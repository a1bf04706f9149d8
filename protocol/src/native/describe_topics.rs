//! Settings, offsets and sizes of topics.

use super::wire::message;
use super::{Api, ApiError, Request, Wire};
use crate::codec::{DecodeError, Reader, Writer};
use crate::{BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicId};

/// Where a setting's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// Nobody set it.
    Default,
    /// The topic's own setting.
    Topic,
    /// The broker's configuration.
    Broker,
}

impl Wire for ConfigSource {
    const BYTES_MIN: usize = 1;

    fn encode(&self, writer: &mut Writer) {
        writer.u8(match self {
            Self::Default => 0,
            Self::Topic => 1,
            Self::Broker => 2,
        });
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        match reader.u8(what)? {
            0 => Ok(Self::Default),
            1 => Ok(Self::Topic),
            2 => Ok(Self::Broker),
            found => Err(DecodeError::Value { what, found: i64::from(found) }),
        }
    }
}

message! {
    /// Asks about topics.
    pub struct DescribeTopicsRequest {
        /// Their names; none asks for all of them.
        pub names: Option<Vec<String>>,
    }

    /// The topics that were asked for.
    pub struct DescribeTopicsResponse {
        /// The topics.
        pub topics: Vec<DescribedTopic>,
    }

    /// One topic.
    pub struct DescribedTopic {
        /// Why nothing is known about it.
        pub error: Option<ApiError>,
        /// Its name.
        pub name: String,
        /// Its id; zero when there is no such topic.
        pub id: TopicId,
        /// Whether it is the broker's own.
        pub internal: bool,
        /// Its partitions, in order.
        pub partitions: Vec<DescribedPartition>,
        /// Every setting, by name.
        pub configs: Vec<DescribedConfig>,
    }

    /// One partition. Offsets and sizes are the answering broker's; -1 where it holds no replica.
    pub struct DescribedPartition {
        /// Which one.
        pub partition: PartitionIndex,
        /// Why its log cannot be used now; for example, its directory is offline.
        pub error: Option<ApiError>,
        /// Its leader, or -1.
        pub leader: BrokerId,
        /// The leader's epoch.
        pub leader_epoch: LeaderEpoch,
        /// All replicas, the preferred one first.
        pub replicas: Vec<BrokerId>,
        /// Those in sync.
        pub isr: Vec<BrokerId>,
        /// The first offset that can be read.
        pub log_start: Offset,
        /// Readers see what is below.
        pub high_watermark: Offset,
        /// The offset of the next record.
        pub log_end: Offset,
        /// What the log takes on disk, in bytes.
        pub log_bytes: i64,
    }

    /// One setting.
    pub struct DescribedConfig {
        /// Its name.
        pub key: String,
        /// Its value as text.
        pub value: String,
        /// Where the value comes from.
        pub source: ConfigSource,
        /// What it means, in a sentence.
        pub doc: String,
    }
}

impl Request for DescribeTopicsRequest {
    const API: Api = Api::DescribeTopics;
    type Response = DescribeTopicsResponse;
}
