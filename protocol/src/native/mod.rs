//! The native protocol: the preface, the headers, and one file per pair of messages.
//!
//! Owns the form of every message on the wire, as `docs/native-protocol.md` specifies it; golden files
//! in `tests/golden/native` pin it. Knows nothing of sockets: [`crate::frame`] cuts the frames.

mod alter_topics;
mod api;
mod authenticate;
mod commit_offsets;
mod compact_topics;
mod create_topics;
mod delete_groups;
mod delete_offsets;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_groups;
mod describe_topics;
mod fetch;
mod fetch_offsets;
mod find_coordinator;
mod group_heartbeat;
mod handshake;
mod header;
mod init_producer;
mod leader_epoch;
mod list_groups;
mod list_offsets;
mod metadata;
mod produce;
mod wire;

pub use alter_topics::{AlterTopic, AlterTopicsRequest, AlterTopicsResponse, ConfigChange};
pub use api::{Api, ApiRange, Request};
pub use authenticate::{AuthenticateRequest, AuthenticateResponse};
pub use commit_offsets::{
    CommitOffsetsRequest, CommitOffsetsResponse, CommitPartition, CommitTopic,
    GroupPartitionResult, GroupTopicResult,
};
pub use compact_topics::{
    CompactTopic, CompactTopicsRequest, CompactTopicsResponse, CompactedPartition, CompactedTopic,
};
pub use create_topics::{
    ConfigEntry, CreateTopicsRequest, CreateTopicsResponse, CreatedTopic, NewTopic,
};
pub use delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse, GroupResult};
pub use delete_offsets::{DeleteOffsetsRequest, DeleteOffsetsResponse};
pub use delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
    DeletedRecordsPartition, DeletedRecordsTopic,
};
pub use delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse, TopicResult};
pub use describe_cluster::{
    DescribeClusterRequest, DescribeClusterResponse, DescribedBroker, DescribedDirectory,
};
pub use describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedMember,
    DescribedOffset, DescribedTopicOffsets,
};
pub use describe_topics::{
    ConfigSource, DescribeTopicsRequest, DescribeTopicsResponse, DescribedConfig,
    DescribedPartition, DescribedTopic,
};
pub use fetch::{
    Arriving, EpochEnd, FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchedPartition,
    FetchedTopic, GoesOn, Look,
};
pub use fetch_offsets::{FetchOffsetsRequest, FetchOffsetsResponse, PartitionOffset, TopicOffsets};
pub use find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse, GroupCoordinator};
pub use group_heartbeat::{
    AssignedTopic, GroupHeartbeatRequest, GroupHeartbeatResponse, GroupPartitions,
    GroupSubscription,
};
pub use handshake::{HandshakeRequest, HandshakeResponse, Purpose};
pub use header::{PREFACE, RequestHeader, ResponseHeader, Tag, Tags};
pub use init_producer::{InitProducerRequest, InitProducerResponse};
pub use leader_epoch::{
    LeaderEpochPartition, LeaderEpochRequest, LeaderEpochResponse, LeaderEpochTopic,
    PartitionEpochEnd, TopicEpochEnds,
};
pub use list_groups::{
    GroupKind, GroupState, ListGroupsRequest, ListGroupsResponse, ListedGroup, MissingShard,
};
pub use list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
    ListedPartition, ListedTopic, OffsetQuery,
};
pub use metadata::{
    BrokerEndpoint, LeaderHint, MetadataRequest, MetadataResponse, PartitionMetadata, TopicMetadata,
};
pub use produce::{
    Acks, ProducePartition, ProduceRequest, ProduceResponse, ProduceTopic, ProducedPartition,
    ProducedTopic,
};
pub use wire::{ApiError, Wire};
