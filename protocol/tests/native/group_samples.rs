//! The values that the vectors about groups hold, written down a second time as Rust.

use thalweg_protocol::native::*;
use thalweg_protocol::{
    BrokerId, ErrorCode, GroupEpoch, LeaderEpoch, MemberEpoch, Offset, PartitionIndex, TimestampMs,
};

use crate::samples::topic;

const MEMBER: &str = "5a0c8f0e-7d3b-4c1a-9e21-3f6b8d2c4a10";

fn partitions(numbers: &[i32]) -> Vec<PartitionIndex> {
    numbers.iter().copied().map(PartitionIndex::new).collect()
}

fn of_topic(numbers: &[i32]) -> GroupPartitions {
    GroupPartitions { topic: topic(), partitions: partitions(numbers) }
}

fn named(numbers: &[i32]) -> AssignedTopic {
    AssignedTopic { topic: topic(), name: "earthquakes".into(), partitions: partitions(numbers) }
}

fn result(number: i32, error: Option<ApiError>) -> GroupPartitionResult {
    GroupPartitionResult { partition: PartitionIndex::new(number), error }
}

pub(crate) fn find_coordinator() -> (FindCoordinatorRequest, FindCoordinatorResponse) {
    let nameless =
        ApiError::new(ErrorCode::InvalidGroup, "a group's name has 1 to 255 bytes, this one has 0");
    (
        FindCoordinatorRequest { groups: vec!["alerts".into(), String::new()] },
        FindCoordinatorResponse {
            coordinators: vec![
                GroupCoordinator {
                    group: "alerts".into(),
                    error: None,
                    shard: PartitionIndex::new(17),
                    broker: BrokerId::new(1),
                    host: "broker-1.example".into(),
                    port: 9092,
                },
                GroupCoordinator {
                    group: String::new(),
                    error: Some(nameless),
                    shard: PartitionIndex::new(-1),
                    broker: BrokerId::NONE,
                    host: String::new(),
                    port: 0,
                },
            ],
        },
    )
}

pub(crate) fn group_heartbeat() -> (GroupHeartbeatRequest, GroupHeartbeatResponse) {
    (
        GroupHeartbeatRequest {
            group: "alerts".into(),
            member: MEMBER.into(),
            instance: Some("worker-1".into()),
            epoch: MemberEpoch::JOIN,
            session_timeout_ms: 10_000,
            drain_timeout_ms: 0,
            subscription: Some(GroupSubscription {
                names: vec!["earthquakes".into()],
                pattern: Some(r"quakes\..*".into()),
            }),
            assignor: Some("sticky".into()),
            owned: Some(vec![of_topic(&[0, 2])]),
        },
        GroupHeartbeatResponse {
            epoch: MemberEpoch::new(3),
            heartbeat_interval_ms: 3000,
            target: Some(vec![named(&[0, 2])]),
        },
    )
}

pub(crate) fn commit_offsets() -> (CommitOffsetsRequest, CommitOffsetsResponse) {
    let wanted = |number, offset, leader_epoch, metadata: &str| CommitPartition {
        partition: PartitionIndex::new(number),
        offset: Offset::new(offset),
        leader_epoch: LeaderEpoch::new(leader_epoch),
        metadata: metadata.into(),
    };
    let not_owned = ApiError::new(ErrorCode::NotOwned, "partition 1 is another member's");
    (
        CommitOffsetsRequest {
            group: "alerts".into(),
            member: MEMBER.into(),
            epoch: MemberEpoch::new(3),
            topics: vec![CommitTopic {
                topic: topic(),
                partitions: vec![wanted(0, 43, 7, "by worker-1"), wanted(1, 5, -1, "")],
            }],
        },
        CommitOffsetsResponse {
            topics: vec![GroupTopicResult {
                topic: topic(),
                partitions: vec![result(0, None), result(1, Some(not_owned))],
            }],
        },
    )
}

pub(crate) fn fetch_offsets() -> (FetchOffsetsRequest, FetchOffsetsResponse) {
    let found = |number, offset, leader_epoch, metadata: &str, commit_time| PartitionOffset {
        partition: PartitionIndex::new(number),
        error: None,
        offset: Offset::new(offset),
        leader_epoch: LeaderEpoch::new(leader_epoch),
        metadata: metadata.into(),
        commit_time: TimestampMs::new(commit_time),
    };
    (
        FetchOffsetsRequest {
            group: "alerts".into(),
            member: String::new(),
            epoch: MemberEpoch::NONE,
            topics: Some(vec![of_topic(&[0, 1])]),
        },
        FetchOffsetsResponse {
            topics: vec![TopicOffsets {
                topic: topic(),
                partitions: vec![
                    found(0, 43, 7, "by worker-1", 1_700_000_000_000),
                    found(1, -1, -1, "", -1),
                ],
            }],
        },
    )
}

fn described_offsets() -> Vec<DescribedTopicOffsets> {
    let behind = DescribedOffset {
        partition: PartitionIndex::new(0),
        committed: Offset::new(41),
        leader_epoch: LeaderEpoch::new(7),
        log_start: Offset::new(10),
        high_watermark: Offset::new(43),
        lag_records: 2,
        lag_ms: 1500,
        owner: MEMBER.into(),
        metadata: "by worker-1".into(),
        commit_time: TimestampMs::new(1_700_000_000_000),
    };
    let unknown = DescribedOffset {
        partition: PartitionIndex::new(1),
        committed: Offset::NONE,
        leader_epoch: LeaderEpoch::UNCHECKED,
        log_start: Offset::NONE,
        high_watermark: Offset::NONE,
        lag_records: -1,
        lag_ms: -1,
        owner: String::new(),
        metadata: String::new(),
        commit_time: TimestampMs::NONE,
    };
    vec![DescribedTopicOffsets {
        topic: topic(),
        name: "earthquakes".into(),
        partitions: vec![behind, unknown],
    }]
}

pub(crate) fn describe_groups() -> (DescribeGroupsRequest, DescribeGroupsResponse) {
    let member = DescribedMember {
        member: MEMBER.into(),
        instance: Some("worker-1".into()),
        client_name: "alerts-service".into(),
        host: "10.0.0.7".into(),
        epoch: MemberEpoch::new(3),
        session_timeout_ms: 10_000,
        heartbeat_age_ms: 1250,
        subscription: GroupSubscription { names: vec!["earthquakes".into()], pattern: None },
        owned: vec![named(&[0, 2])],
        target: vec![named(&[0])],
    };
    let alerts = DescribedGroup {
        error: None,
        group: "alerts".into(),
        kind: GroupKind::Consumer,
        state: GroupState::Reconciling,
        epoch: GroupEpoch::new(4),
        assignor: "sticky".into(),
        members: vec![member],
        offsets: described_offsets(),
        rebalances: 2,
        stall_ms: 40,
        commits_per_minute: 12,
    };
    let missing = DescribedGroup {
        error: Some(ApiError::new(ErrorCode::UnknownGroup, "no group is named nosuch")),
        group: "nosuch".into(),
        kind: GroupKind::Consumer,
        state: GroupState::Empty,
        epoch: GroupEpoch::new(-1),
        assignor: String::new(),
        members: vec![],
        offsets: vec![],
        rebalances: 0,
        stall_ms: 0,
        commits_per_minute: 0,
    };
    (
        DescribeGroupsRequest { groups: vec!["alerts".into(), "nosuch".into()] },
        DescribeGroupsResponse { groups: vec![alerts, missing] },
    )
}

pub(crate) fn list_groups() -> (ListGroupsRequest, ListGroupsResponse) {
    let listed = |group: &str, kind, state, members| ListedGroup {
        group: group.into(),
        kind,
        state,
        members,
    };
    (
        ListGroupsRequest { states: vec![GroupState::Empty, GroupState::Stable] },
        ListGroupsResponse {
            groups: vec![
                listed("alerts", GroupKind::Consumer, GroupState::Stable, 3),
                listed("nightly", GroupKind::Classic, GroupState::Empty, 0),
            ],
            missing: vec![MissingShard {
                shard: PartitionIndex::new(7),
                error: ApiError::new(ErrorCode::CoordinatorLoading, "shard 7 is loading"),
            }],
        },
    )
}

pub(crate) fn delete_groups() -> (DeleteGroupsRequest, DeleteGroupsResponse) {
    let refused = ApiError::new(ErrorCode::GroupNotEmpty, "alerts has 3 members");
    (
        DeleteGroupsRequest { groups: vec!["alerts".into(), "nightly".into()] },
        DeleteGroupsResponse {
            groups: vec![
                GroupResult { group: "alerts".into(), error: Some(refused) },
                GroupResult { group: "nightly".into(), error: None },
            ],
        },
    )
}

pub(crate) fn delete_offsets() -> (DeleteOffsetsRequest, DeleteOffsetsResponse) {
    let refused = ApiError::new(ErrorCode::GroupNotEmpty, "a member of nightly reads earthquakes");
    (
        DeleteOffsetsRequest { group: "nightly".into(), topics: vec![of_topic(&[0, 1])] },
        DeleteOffsetsResponse {
            topics: vec![GroupTopicResult {
                topic: topic(),
                partitions: vec![result(0, None), result(1, Some(refused))],
            }],
        },
    )
}
