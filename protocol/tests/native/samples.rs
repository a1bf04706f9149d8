//! The values that the test vectors hold, written down a second time as Rust.

use bytes::Bytes;
use thalweg_protocol::native::*;
use thalweg_protocol::{
    BrokerEpoch, BrokerId, ClusterId, DirectoryId, ErrorCode, LeaderEpoch, Offset, PartitionIndex,
    ProducerEpoch, ProducerId, TimestampMs, TopicId,
};

const T0: i64 = 1_700_000_000_000;

pub(crate) fn topic() -> TopicId {
    "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0ff".parse().unwrap()
}

fn cluster() -> ClusterId {
    "c1000000-0000-4000-8000-0000000000c1".parse().unwrap()
}

fn directory() -> DirectoryId {
    "d1000000-0000-4000-8000-0000000000d1".parse().unwrap()
}

fn partition(number: i32) -> PartitionIndex {
    PartitionIndex::new(number)
}

fn epoch(number: i32) -> LeaderEpoch {
    LeaderEpoch::new(number)
}

fn offset(number: i64) -> Offset {
    Offset::new(number)
}

fn brokers(numbers: &[i32]) -> Vec<BrokerId> {
    numbers.iter().copied().map(BrokerId::new).collect()
}

fn hint(leader: i32, leader_epoch: i32) -> LeaderHint {
    LeaderHint { leader: BrokerId::new(leader), leader_epoch: epoch(leader_epoch) }
}

fn no_such_topic() -> ApiError {
    ApiError::new(ErrorCode::UnknownTopic, "no topic is named nosuch")
}

pub(crate) fn handshake() -> (HandshakeRequest, HandshakeResponse) {
    let range = |api, version_max| ApiRange { api, version_min: 0, version_max };
    (
        HandshakeRequest {
            client_name: "orders-service".into(),
            client_version: "thalweg-rust 0.1.0".into(),
            purpose: Purpose::Data,
            features: vec!["example.feature".into()],
        },
        HandshakeResponse {
            cluster: cluster(),
            broker: BrokerId::new(1),
            broker_epoch: BrokerEpoch::new(12),
            broker_version: "0.1.0".into(),
            apis: vec![range(1, 0), range(20, 0), range(21, 2)],
            features: vec![],
            mechanisms: vec!["SCRAM-SHA-256".into()],
            frame_bytes_max: 104_857_600,
            requests_in_flight_max: 64,
            bytes_in_flight_max: 33_554_432,
            idle_timeout_ms: 600_000,
        },
    )
}

pub(crate) fn authenticate() -> (AuthenticateRequest, AuthenticateResponse) {
    (
        AuthenticateRequest {
            mechanism: "SCRAM-SHA-256".into(),
            token: Bytes::from_static(b"n,,n=user,r=abc"),
        },
        AuthenticateResponse {
            done: false,
            token: Bytes::from_static(b"r=abcdef,s=c2FsdA==,i=4096"),
        },
    )
}

pub(crate) fn metadata() -> (MetadataRequest, MetadataResponse) {
    let described = |number, leader, leader_epoch, replicas, isr, offline| PartitionMetadata {
        partition: partition(number),
        leader: BrokerId::new(leader),
        leader_epoch: epoch(leader_epoch),
        replicas: brokers(replicas),
        isr: brokers(isr),
        offline: brokers(offline),
    };
    let endpoint = |id, life, host: &str, port, rack: Option<&str>| BrokerEndpoint {
        id: BrokerId::new(id),
        epoch: BrokerEpoch::new(life),
        host: host.into(),
        port,
        rack: rack.map(Into::into),
    };
    (
        MetadataRequest {
            names: Some(vec!["earthquakes".into(), "nosuch".into()]),
            ids: vec![topic()],
        },
        MetadataResponse {
            cluster: cluster(),
            controller: BrokerId::new(1),
            brokers: vec![
                endpoint(1, 12, "broker-1.example", 9092, Some("east")),
                endpoint(2, 13, "10.0.0.2", 9093, None),
            ],
            topics: vec![
                TopicMetadata {
                    error: None,
                    name: "earthquakes".into(),
                    id: topic(),
                    internal: false,
                    partitions: vec![
                        described(0, 1, 7, &[1, 2], &[1, 2], &[]),
                        described(1, -1, 8, &[2, 1], &[2], &[1]),
                    ],
                },
                TopicMetadata {
                    error: Some(no_such_topic()),
                    name: "nosuch".into(),
                    id: TopicId::NONE,
                    internal: false,
                    partitions: vec![],
                },
            ],
        },
    )
}

pub(crate) fn describe_cluster() -> (DescribeClusterRequest, DescribeClusterResponse) {
    let directory = DescribedDirectory {
        id: directory(),
        path: "data/0".into(),
        state: "read-only".into(),
        reason: "1.0 GiB free, 2.0 GiB wanted".into(),
        total_bytes: 1 << 40,
        free_bytes: 1 << 30,
        replicas: 3,
    };
    let broker = DescribedBroker {
        id: BrokerId::new(1),
        epoch: BrokerEpoch::new(12),
        host: "broker-1.example".into(),
        port: 9092,
        rack: Some("east".into()),
        version: "0.1.0".into(),
        leaders: 2,
        replicas: 3,
        directories: vec![directory],
    };
    (
        DescribeClusterRequest {},
        DescribeClusterResponse {
            cluster: cluster(),
            controller: BrokerId::new(1),
            brokers: vec![broker],
            topics: 1,
            partitions: 3,
            partitions_leaderless: 1,
            partitions_under_replicated: 2,
        },
    )
}

pub(crate) fn create_topics() -> (CreateTopicsRequest, CreateTopicsResponse) {
    let retention = ConfigEntry { key: "retention.ms".into(), value: "604800000".into() };
    (
        CreateTopicsRequest {
            topics: vec![NewTopic {
                name: "earthquakes".into(),
                partitions: 3,
                replication_factor: -1,
                configs: vec![retention],
            }],
            validate_only: false,
        },
        CreateTopicsResponse {
            topics: vec![
                CreatedTopic {
                    name: "earthquakes".into(),
                    error: None,
                    id: topic(),
                    partitions: 3,
                    replication_factor: 1,
                },
                CreatedTopic {
                    name: "a/b".into(),
                    error: Some(ApiError::new(ErrorCode::InvalidTopicName, "'/' is not allowed")),
                    id: TopicId::NONE,
                    partitions: -1,
                    replication_factor: -1,
                },
            ],
        },
    )
}

pub(crate) fn delete_topics() -> (DeleteTopicsRequest, DeleteTopicsResponse) {
    (
        DeleteTopicsRequest { names: vec!["earthquakes".into(), "nosuch".into()] },
        DeleteTopicsResponse {
            topics: vec![
                TopicResult { name: "earthquakes".into(), error: None },
                TopicResult { name: "nosuch".into(), error: Some(no_such_topic()) },
            ],
        },
    )
}

pub(crate) fn alter_topics() -> (AlterTopicsRequest, AlterTopicsResponse) {
    let shrunk = ApiError::new(ErrorCode::InvalidPartitions, "3 partitions cannot become 2");
    (
        AlterTopicsRequest {
            topics: vec![
                AlterTopic {
                    name: "earthquakes".into(),
                    partitions: Some(6),
                    configs: vec![
                        ConfigChange { key: "retention.ms".into(), value: Some("3600000".into()) },
                        ConfigChange { key: "durability".into(), value: None },
                    ],
                },
                AlterTopic { name: "orders".into(), partitions: None, configs: vec![] },
            ],
            validate_only: true,
        },
        AlterTopicsResponse {
            topics: vec![
                TopicResult { name: "earthquakes".into(), error: Some(shrunk) },
                TopicResult { name: "orders".into(), error: None },
            ],
        },
    )
}

pub(crate) fn describe_topics() -> (DescribeTopicsRequest, DescribeTopicsResponse) {
    let setting = |key: &str, value: &str, source, doc: &str| DescribedConfig {
        key: key.into(),
        value: value.into(),
        source,
        doc: doc.into(),
    };
    let partitions = vec![
        DescribedPartition {
            partition: partition(0),
            error: None,
            leader: BrokerId::new(1),
            leader_epoch: epoch(7),
            replicas: brokers(&[1]),
            isr: brokers(&[1]),
            log_start: offset(10),
            high_watermark: offset(43),
            log_end: offset(45),
            log_bytes: 4096,
        },
        DescribedPartition {
            partition: partition(1),
            error: Some(ApiError::new(ErrorCode::StorageOffline, "data/0: sync failed")),
            leader: BrokerId::NONE,
            leader_epoch: epoch(8),
            replicas: brokers(&[1]),
            isr: vec![],
            log_start: Offset::NONE,
            high_watermark: Offset::NONE,
            log_end: Offset::NONE,
            log_bytes: -1,
        },
    ];
    let topic = DescribedTopic {
        error: None,
        name: "earthquakes".into(),
        id: topic(),
        internal: false,
        partitions,
        configs: vec![
            setting("retention.ms", "604800000", ConfigSource::Topic, "How long records stay."),
            setting("durability", "synced", ConfigSource::Default, "When a record counts."),
        ],
    };
    (
        DescribeTopicsRequest { names: Some(vec!["earthquakes".into()]) },
        DescribeTopicsResponse { topics: vec![topic] },
    )
}

/// `batch` is the record batch that the vector holds.
pub(crate) fn produce(batch: Bytes) -> (ProduceRequest, ProduceResponse) {
    let sent = ProducePartition { partition: partition(0), leader_epoch: epoch(7), records: batch };
    let produced = |number, error, base_offset, log_start, leader| ProducedPartition {
        partition: partition(number),
        error,
        base_offset: offset(base_offset),
        log_append_time: TimestampMs::NONE,
        log_start: offset(log_start),
        leader,
    };
    let elsewhere = ApiError::new(ErrorCode::NotLeader, "broker 2 leads");
    (
        ProduceRequest {
            acks: Acks::All,
            topics: vec![ProduceTopic { topic: topic(), partitions: vec![sent] }],
        },
        ProduceResponse {
            topics: vec![ProducedTopic {
                topic: topic(),
                partitions: vec![
                    produced(0, None, 40, 10, None),
                    produced(1, Some(elsewhere), -1, -1, Some(hint(2, 8))),
                ],
            }],
        },
    )
}

fn fetch_request() -> FetchRequest {
    let wanted = |number, leader_epoch, last_epoch, from| FetchPartition {
        partition: partition(number),
        leader_epoch: epoch(leader_epoch),
        last_epoch: epoch(last_epoch),
        offset: offset(from),
        bytes_max: 1_048_576,
    };
    FetchRequest {
        wait_ms_max: 500,
        bytes_min: 1,
        bytes_max: 52_428_800,
        topics: vec![FetchTopic {
            topic: topic(),
            partitions: vec![wanted(0, 7, -1, 41), wanted(1, -1, 6, 99), wanted(2, -1, -1, 5)],
        }],
    }
}

/// `batch` is the record batch that the vector holds.
pub(crate) fn fetch(batch: Bytes) -> (FetchRequest, FetchResponse) {
    let good = FetchedPartition {
        partition: partition(0),
        error: None,
        high_watermark: offset(43),
        log_start: offset(10),
        next_good: Offset::NONE,
        diverging: None,
        leader: None,
        records: batch,
    };
    let cut = FetchedPartition {
        partition: partition(1),
        error: Some(ApiError::new(ErrorCode::LogTruncated, "the log was cut to 90 in epoch 6")),
        high_watermark: offset(95),
        log_start: offset(0),
        diverging: Some(EpochEnd { epoch: epoch(6), end: offset(90) }),
        records: Bytes::new(),
        ..good.clone()
    };
    let damaged = FetchedPartition {
        partition: partition(2),
        error: Some(ApiError::new(ErrorCode::Corrupt, "damaged from 5 to 8")),
        high_watermark: offset(50),
        log_start: offset(0),
        next_good: offset(9),
        leader: Some(hint(1, 7)),
        records: Bytes::new(),
        ..good.clone()
    };
    (
        fetch_request(),
        FetchResponse {
            topics: vec![FetchedTopic { topic: topic(), partitions: vec![good, cut, damaged] }],
        },
    )
}

pub(crate) fn list_offsets() -> (ListOffsetsRequest, ListOffsetsResponse) {
    let wanted = |number, leader_epoch, query| ListOffsetsPartition {
        partition: partition(number),
        leader_epoch: epoch(leader_epoch),
        query,
    };
    let listed = |number, error, found, timestamp, leader_epoch| ListedPartition {
        partition: partition(number),
        error,
        offset: offset(found),
        timestamp: TimestampMs::new(timestamp),
        leader_epoch: epoch(leader_epoch),
    };
    let leaderless = ApiError::new(ErrorCode::LeaderNotAvailable, "partition 1 has no leader");
    (
        ListOffsetsRequest {
            topics: vec![ListOffsetsTopic {
                topic: topic(),
                partitions: vec![
                    wanted(0, -1, OffsetQuery::Earliest),
                    wanted(0, -1, OffsetQuery::Latest),
                    wanted(0, -1, OffsetQuery::MaxTimestamp),
                    wanted(1, 7, OffsetQuery::AtOrAfter(TimestampMs::new(T0))),
                ],
            }],
        },
        ListOffsetsResponse {
            topics: vec![ListedTopic {
                topic: topic(),
                partitions: vec![
                    listed(0, None, 10, -1, 6),
                    listed(0, None, 43, -1, 7),
                    listed(0, None, 42, T0 + 7, 7),
                    listed(1, Some(leaderless), -1, -1, -1),
                ],
            }],
        },
    )
}

pub(crate) fn init_producer() -> (InitProducerRequest, InitProducerResponse) {
    (
        InitProducerRequest {
            transactional_id: None,
            producer: ProducerId::NONE,
            epoch: ProducerEpoch::NONE,
        },
        InitProducerResponse { producer: ProducerId::new(4000), epoch: ProducerEpoch::new(0) },
    )
}

pub(crate) fn leader_epoch() -> (LeaderEpochRequest, LeaderEpochResponse) {
    let wanted = |number, leader_epoch, wanted| LeaderEpochPartition {
        partition: partition(number),
        leader_epoch: epoch(leader_epoch),
        wanted: epoch(wanted),
    };
    let missing = ApiError::new(ErrorCode::UnknownPartition, "earthquakes has no partition 1");
    (
        LeaderEpochRequest {
            topics: vec![LeaderEpochTopic {
                topic: topic(),
                partitions: vec![wanted(0, 7, 6), wanted(1, -1, 3)],
            }],
        },
        LeaderEpochResponse {
            topics: vec![TopicEpochEnds {
                topic: topic(),
                partitions: vec![
                    PartitionEpochEnd {
                        partition: partition(0),
                        error: None,
                        found: Some(EpochEnd { epoch: epoch(6), end: offset(40) }),
                    },
                    PartitionEpochEnd {
                        partition: partition(1),
                        error: Some(missing),
                        found: None,
                    },
                ],
            }],
        },
    )
}

pub(crate) fn compact_topics() -> (CompactTopicsRequest, CompactTopicsResponse) {
    let other = ApiError::new(ErrorCode::NotLeader, "broker 1 does not lead orders-2");
    let standing = |number, failure: Option<&str>| CompactedPartition {
        partition: partition(number),
        error: None,
        waits: failure.is_none(),
        runs: 7,
        cleaned_end: offset(4000),
        clean_bytes: 65_536,
        dirty_bytes: 4096,
        before_bytes: 1_048_576,
        after_bytes: 65_536,
        failure: failure.map(str::to_owned),
    };
    let unknown = CompactedPartition {
        partition: partition(2),
        error: Some(other),
        waits: false,
        runs: 0,
        cleaned_end: Offset::NONE,
        clean_bytes: 0,
        dirty_bytes: 0,
        before_bytes: 0,
        after_bytes: 0,
        failure: None,
    };
    (
        CompactTopicsRequest {
            topics: vec![CompactTopic {
                topic: topic(),
                partitions: [0, 1, 2].map(partition).to_vec(),
            }],
            run: true,
        },
        CompactTopicsResponse {
            topics: vec![CompactedTopic {
                topic: topic(),
                partitions: vec![standing(0, None), standing(1, Some("no space left")), unknown],
            }],
        },
    )
}

pub(crate) fn delete_records() -> (DeleteRecordsRequest, DeleteRecordsResponse) {
    let above = ApiError::new(ErrorCode::OffsetOutOfRange, "999 lies above the high watermark 43");
    let wanted = |number, before| DeleteRecordsPartition {
        partition: partition(number),
        before: offset(before),
    };
    (
        DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                topic: topic(),
                partitions: vec![wanted(0, 20), wanted(1, -1)],
            }],
        },
        DeleteRecordsResponse {
            topics: vec![DeletedRecordsTopic {
                topic: topic(),
                partitions: vec![
                    DeletedRecordsPartition {
                        partition: partition(0),
                        error: None,
                        log_start: offset(20),
                    },
                    DeletedRecordsPartition {
                        partition: partition(1),
                        error: Some(above),
                        log_start: Offset::NONE,
                    },
                ],
            }],
        },
    )
}
