//! Random messages of every kind go to bytes and come back equal; a failure names its seed.

use std::fmt::Debug;

use bytes::Bytes;
use fastrand::Rng;
use thalweg_protocol::frame::{
    FrameReader, decode_body, decode_request_header, decode_response_header, error_frame,
    request_frame, response_frame,
};
use thalweg_protocol::native::*;
use thalweg_protocol::{
    BrokerEpoch, BrokerId, ClusterId, DirectoryId, ErrorCode, GroupEpoch, LeaderEpoch, MemberEpoch,
    Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs, TopicId,
};

use crate::whole::by_api;

/// Messages of each kind in one run of the tests.
const ROUNDS: u64 = 300;

/// A value drawn at random, small ones and edges more often than others.
pub(crate) trait Sample {
    fn sample(rng: &mut Rng) -> Self;
}

macro_rules! integers {
    ($($kind:ident),*) => {$(
        impl Sample for $kind {
            fn sample(rng: &mut Rng) -> Self {
                match rng.u8(0..4) {
                    0 => *rng.choice(&[0, 1, $kind::MIN, $kind::MAX]).unwrap(),
                    1 => rng.$kind(0..100),
                    _ => rng.$kind(..),
                }
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, i8, i16, i32, i64);

macro_rules! numbers {
    ($($name:ident),*) => {$(
        impl Sample for $name {
            fn sample(rng: &mut Rng) -> Self {
                Self::new(Sample::sample(rng))
            }
        }
    )*};
}
numbers!(
    BrokerEpoch,
    BrokerId,
    GroupEpoch,
    LeaderEpoch,
    MemberEpoch,
    Offset,
    PartitionIndex,
    ProducerEpoch,
    ProducerId,
    TimestampMs
);

macro_rules! uniques {
    ($($name:ident),*) => {$(
        impl Sample for $name {
            fn sample(rng: &mut Rng) -> Self {
                Self::from_bytes(rng.u128(..).to_be_bytes())
            }
        }
    )*};
}
uniques!(TopicId, DirectoryId, ClusterId);

impl Sample for bool {
    fn sample(rng: &mut Rng) -> Self {
        rng.bool()
    }
}

impl Sample for String {
    fn sample(rng: &mut Rng) -> Self {
        // Characters of one to four bytes; now and then a text as long as a text can be.
        let length = if rng.u8(0..100) == 0 { 16_000 } else { rng.usize(0..12) };
        (0..length).map(|_| *rng.choice(&['a', 'Z', '.', 'ä', '水', '🌊', '\0']).unwrap()).collect()
    }
}

impl Sample for Bytes {
    fn sample(rng: &mut Rng) -> Self {
        // Around the size from which ranges are shared, not copied.
        let length = *rng.choice(&[0, 1, 7, 1000, 1023, 1024, 1025, 5000]).unwrap();
        std::iter::repeat_with(|| rng.u8(..)).take(length).collect()
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample(rng: &mut Rng) -> Self {
        rng.bool().then(|| T::sample(rng))
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(rng: &mut Rng) -> Self {
        let count = rng.usize(0..5);
        (0..count).map(|_| T::sample(rng)).collect()
    }
}

macro_rules! choices {
    ($($name:ident: $($choice:expr),*;)*) => {$(
        impl Sample for $name {
            fn sample(rng: &mut Rng) -> Self {
                { let choices = [$($choice),*]; choices[rng.usize(..choices.len())] }
            }
        }
    )*};
}
choices! {
    Acks: Self::None, Self::Leader, Self::All;
    Purpose: Self::Data, Self::Control;
    ConfigSource: Self::Default, Self::Topic, Self::Broker;
    GroupKind: Self::Consumer, Self::Classic;
}

impl Sample for GroupState {
    fn sample(rng: &mut Rng) -> Self {
        *rng.choice(&Self::ALL).unwrap()
    }
}

impl Sample for OffsetQuery {
    fn sample(rng: &mut Rng) -> Self {
        match rng.u8(0..4) {
            0 => Self::Earliest,
            1 => Self::Latest,
            2 => Self::MaxTimestamp,
            _ => Self::AtOrAfter(TimestampMs::new(rng.i64(0..))),
        }
    }
}

impl Sample for ErrorCode {
    fn sample(rng: &mut Rng) -> Self {
        match rng.u8(0..4) {
            0 => Self::from_number(rng.u16(1..)),
            _ => *rng.choice(Self::ALL).unwrap(),
        }
    }
}

impl Sample for Tags {
    fn sample(rng: &mut Rng) -> Self {
        let mut tags = Self::default();
        for _ in 0..rng.usize(0..4) {
            tags.push(Sample::sample(rng), Sample::sample(rng));
        }
        tags
    }
}

/// Draws every field of each message; a field that is missing here does not compile.
macro_rules! messages {
    ($($name:ident { $($field:ident),* $(,)? })*) => {$(
        impl Sample for $name {
            fn sample(rng: &mut Rng) -> Self {
                let _ = &rng;
                Self { $($field: Sample::sample(rng)),* }
            }
        }
    )*};
}
messages! {
    ApiError { code, message }
    RequestHeader { api, version, correlation, timeout_ms, tags }
    ResponseHeader { correlation, throttle_ms, error }
    ApiRange { api, version_min, version_max }
    HandshakeRequest { client_name, client_version, purpose, features }
    HandshakeResponse {
        cluster, broker, broker_epoch, broker_version, apis, features, mechanisms,
        frame_bytes_max, requests_in_flight_max, bytes_in_flight_max, idle_timeout_ms,
    }
    AuthenticateRequest { mechanism, token }
    AuthenticateResponse { done, token }
    MetadataRequest { names, ids }
    MetadataResponse { cluster, controller, brokers, topics }
    BrokerEndpoint { id, epoch, host, port, rack }
    TopicMetadata { error, name, id, internal, partitions }
    PartitionMetadata { partition, leader, leader_epoch, replicas, isr, offline }
    LeaderHint { leader, leader_epoch }
    DescribeClusterRequest {}
    DescribeClusterResponse {
        cluster, controller, brokers, topics, partitions, partitions_leaderless,
        partitions_under_replicated,
    }
    DescribedBroker { id, epoch, host, port, rack, version, leaders, replicas, directories }
    DescribedDirectory { id, path, state, reason, total_bytes, free_bytes, replicas }
    CreateTopicsRequest { topics, validate_only }
    NewTopic { name, partitions, replication_factor, configs }
    ConfigEntry { key, value }
    CreateTopicsResponse { topics }
    CreatedTopic { name, error, id, partitions, replication_factor }
    DeleteTopicsRequest { names }
    DeleteTopicsResponse { topics }
    TopicResult { name, error }
    AlterTopicsRequest { topics, validate_only }
    AlterTopic { name, partitions, configs }
    ConfigChange { key, value }
    AlterTopicsResponse { topics }
    DescribeTopicsRequest { names }
    DescribeTopicsResponse { topics }
    DescribedTopic { error, name, id, internal, partitions, configs }
    DescribedPartition {
        partition, error, leader, leader_epoch, replicas, isr, log_start, high_watermark, log_end,
        log_bytes,
    }
    DescribedConfig { key, value, source, doc }
    CompactTopicsRequest { topics, run }
    CompactTopic { topic, partitions }
    CompactTopicsResponse { topics }
    CompactedTopic { topic, partitions }
    CompactedPartition {
        partition, error, waits, runs, cleaned_end, clean_bytes, dirty_bytes, before_bytes,
        after_bytes, failure,
    }
    ProduceRequest { acks, topics }
    ProduceTopic { topic, partitions }
    ProducePartition { partition, leader_epoch, records }
    ProduceResponse { topics }
    ProducedTopic { topic, partitions }
    ProducedPartition { partition, error, base_offset, log_append_time, log_start, leader }
    FetchRequest { wait_ms_max, bytes_min, bytes_max, topics }
    FetchTopic { topic, partitions }
    FetchPartition { partition, leader_epoch, last_epoch, offset, bytes_max }
    FetchResponse { topics }
    FetchedTopic { topic, partitions }
    FetchedPartition {
        partition, error, high_watermark, log_start, next_good, diverging, leader, records,
    }
    EpochEnd { epoch, end }
    ListOffsetsRequest { topics }
    ListOffsetsTopic { topic, partitions }
    ListOffsetsPartition { partition, leader_epoch, query }
    ListOffsetsResponse { topics }
    ListedTopic { topic, partitions }
    ListedPartition { partition, error, offset, timestamp, leader_epoch }
    InitProducerRequest { transactional_id, producer, epoch }
    InitProducerResponse { producer, epoch }
    LeaderEpochRequest { topics }
    LeaderEpochTopic { topic, partitions }
    LeaderEpochPartition { partition, leader_epoch, wanted }
    LeaderEpochResponse { topics }
    TopicEpochEnds { topic, partitions }
    PartitionEpochEnd { partition, error, found }
    DeleteRecordsRequest { topics }
    DeleteRecordsTopic { topic, partitions }
    DeleteRecordsPartition { partition, before }
    DeleteRecordsResponse { topics }
    DeletedRecordsTopic { topic, partitions }
    DeletedRecordsPartition { partition, error, log_start }
    FindCoordinatorRequest { groups }
    FindCoordinatorResponse { coordinators }
    GroupCoordinator { group, error, shard, broker, host, port }
    GroupHeartbeatRequest {
        group, member, instance, epoch, session_timeout_ms, drain_timeout_ms, subscription,
        assignor, owned,
    }
    GroupSubscription { names, pattern }
    GroupPartitions { topic, partitions }
    GroupHeartbeatResponse { epoch, heartbeat_interval_ms, target }
    AssignedTopic { topic, name, partitions }
    CommitOffsetsRequest { group, member, epoch, topics }
    CommitTopic { topic, partitions }
    CommitPartition { partition, offset, leader_epoch, metadata }
    CommitOffsetsResponse { topics }
    GroupTopicResult { topic, partitions }
    GroupPartitionResult { partition, error }
    FetchOffsetsRequest { group, member, epoch, topics }
    FetchOffsetsResponse { topics }
    TopicOffsets { topic, partitions }
    PartitionOffset { partition, error, offset, leader_epoch, metadata, commit_time }
    DescribeGroupsRequest { groups }
    DescribeGroupsResponse { groups }
    DescribedGroup {
        error, group, kind, state, epoch, assignor, members, offsets, rebalances, stall_ms,
        commits_per_minute,
    }
    DescribedMember {
        member, instance, client_name, host, epoch, session_timeout_ms, heartbeat_age_ms,
        subscription, owned, target,
    }
    DescribedTopicOffsets { topic, name, partitions }
    DescribedOffset {
        partition, committed, leader_epoch, log_start, high_watermark, lag_records, lag_ms,
        owner, metadata, commit_time,
    }
    ListGroupsRequest { states }
    ListGroupsResponse { groups, missing }
    ListedGroup { group, kind, state, members }
    MissingShard { shard, error }
    DeleteGroupsRequest { groups }
    DeleteGroupsResponse { groups }
    GroupResult { group, error }
    DeleteOffsetsRequest { group, topics }
    DeleteOffsetsResponse { topics }
}

/// One random request and one random answer of each kind, through frames and back.
fn round_trip<R>(seed: u64)
where
    R: Request + Sample + PartialEq + Debug,
    R::Response: Sample + PartialEq + Debug,
{
    let rng = &mut Rng::with_seed(seed);
    let (header, request) = (RequestHeader::sample(rng), R::sample(rng));
    let mut answer = ResponseHeader::sample(rng);
    let failed = answer.clone();
    answer.error = None;
    let response = R::Response::sample(rng);

    let mut frames = FrameReader::new(usize::MAX);
    let mut sent = request_frame(&header, &request);
    sent.extend(response_frame(&answer, Some(&response)));
    if failed.error.is_some() {
        sent.extend(error_frame(&failed));
    }
    for chunk in sent {
        assert!(!chunk.is_empty());
        frames.buffer().extend_from_slice(&chunk);
    }
    let mut next = || frames.next_frame().unwrap().unwrap();

    let (found, body) = decode_request_header(next()).unwrap();
    assert_eq!(found, header, "{:?}, seed {seed}", R::API);
    assert_eq!(decode_body::<R>(body), Ok(request), "{:?}, seed {seed}", R::API);
    let (found, body) = decode_response_header(next()).unwrap();
    assert_eq!(found, answer, "{:?}, seed {seed}", R::API);
    assert_eq!(decode_body::<R::Response>(body), Ok(response), "{:?}, seed {seed}", R::API);
    if failed.error.is_some() {
        let (found, body) = decode_response_header(next()).unwrap();
        assert_eq!(found, failed, "{:?}, seed {seed}", R::API);
        assert_eq!(body.remaining(), 0);
    }
    assert_eq!(frames.buffered_bytes(), 0);
}

#[test]
fn every_message_goes_there_and_back() {
    for api in Api::ALL {
        for seed in 0..ROUNDS {
            by_api!(api, round_trip(seed));
        }
    }
}

/// The shortest frame of a value says how few bytes it can take; counts of arrays rely on it.
fn fewest_bytes<T: Wire + Sample>() {
    for seed in 0..100 {
        let mut writer = thalweg_protocol::codec::Writer::new();
        T::sample(&mut Rng::with_seed(seed)).encode(&mut writer);
        let name = std::any::type_name::<T>();
        assert!(writer.len() >= T::BYTES_MIN, "{name}, seed {seed}: {} bytes", writer.len());
    }
}

#[test]
fn no_value_is_shorter_than_it_says() {
    fewest_bytes::<RequestHeader>();
    fewest_bytes::<ResponseHeader>();
    fewest_bytes::<Tags>();
    fewest_bytes::<ProduceTopic>();
    fewest_bytes::<FetchedPartition>();
    fewest_bytes::<DescribedTopic>();
    fewest_bytes::<OffsetQuery>();
    fewest_bytes::<Vec<String>>();
    fewest_bytes::<Option<EpochEnd>>();
}
