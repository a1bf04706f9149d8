//! Answers about groups, to the wire.

use thalweg_protocol::codec::Chunks;
use thalweg_protocol::native::{self, ApiError};
use thalweg_protocol::{BrokerId, GroupEpoch, PartitionIndex, TopicPartition};

use super::{by_topic, error, frame};
use crate::api::{Failure, groups};
use crate::coordinator::{
    AssignedTopic, CommittedOffset, DescribedGroup, DescribedMember, DescribedOffset, GroupKind,
    GroupState, ListedGroup, Subscription,
};

/// An answer to the request `correlation`.
pub(super) fn encode(correlation: u32, response: groups::Response) -> Chunks {
    match response {
        groups::Response::Coordinators(found) => {
            let coordinators = found.into_iter().map(coordinator).collect();
            frame(correlation, &native::FindCoordinatorResponse { coordinators })
        }
        groups::Response::Heartbeat(answer) => {
            let topics = |topics: Vec<_>| topics.into_iter().map(assigned).collect();
            let answer = native::GroupHeartbeatResponse {
                epoch: answer.epoch,
                heartbeat_interval_ms: answer.heartbeat_interval_ms,
                target: answer.target.map(topics),
            };
            frame(correlation, &answer)
        }
        groups::Response::Committed(items) => {
            frame(correlation, &native::CommitOffsetsResponse { topics: results(items) })
        }
        groups::Response::Offsets(items) => {
            frame(correlation, &native::FetchOffsetsResponse { topics: offsets(items) })
        }
        groups::Response::Described(described) => {
            let groups = described.into_iter().map(described_group).collect();
            frame(correlation, &native::DescribeGroupsResponse { groups })
        }
        groups::Response::Listed(listed, missing) => {
            let groups = listed.into_iter().map(listed_group).collect();
            let missing = missing
                .into_iter()
                .map(|(shard, why)| native::MissingShard { shard, error: error(why) });
            let missing = missing.collect();
            frame(correlation, &native::ListGroupsResponse { groups, missing })
        }
        groups::Response::Deleted(groups) => {
            let result = |(group, outcome): (String, Result<(), Failure>)| native::GroupResult {
                group,
                error: outcome.err().map(error),
            };
            let groups = groups.into_iter().map(result).collect();
            frame(correlation, &native::DeleteGroupsResponse { groups })
        }
        groups::Response::OffsetsDeleted(items) => {
            frame(correlation, &native::DeleteOffsetsResponse { topics: results(items) })
        }
    }
}

fn coordinator(
    (group, found): (String, Result<groups::CoordinatorAt, Failure>),
) -> native::GroupCoordinator {
    match found {
        Ok(at) => native::GroupCoordinator {
            group,
            error: None,
            shard: at.shard,
            broker: at.broker,
            host: at.host,
            port: at.port,
        },
        Err(failure) => native::GroupCoordinator {
            group,
            error: Some(error(failure)),
            shard: PartitionIndex::new(-1),
            broker: BrokerId::NONE,
            host: String::new(),
            port: 0,
        },
    }
}

fn results(items: Vec<(TopicPartition, Result<(), Failure>)>) -> Vec<native::GroupTopicResult> {
    by_topic(
        items,
        |at, outcome| native::GroupPartitionResult {
            partition: at.partition,
            error: outcome.err().map(error),
        },
        |topic, partitions| native::GroupTopicResult { topic, partitions },
    )
}

fn offsets(
    items: Vec<(TopicPartition, Result<CommittedOffset, Failure>)>,
) -> Vec<native::TopicOffsets> {
    by_topic(
        items,
        |at, outcome| {
            let (offset, failed) = match outcome {
                Ok(offset) => (offset, None),
                Err(failure) => (CommittedOffset::NONE, Some(error(failure))),
            };
            native::PartitionOffset {
                partition: at.partition,
                error: failed,
                offset: offset.offset,
                leader_epoch: offset.leader_epoch,
                metadata: offset.metadata,
                commit_time: offset.commit_time,
            }
        },
        |topic, partitions| native::TopicOffsets { topic, partitions },
    )
}

fn assigned(topic: AssignedTopic) -> native::AssignedTopic {
    native::AssignedTopic { topic: topic.topic, name: topic.name, partitions: topic.partitions }
}

const fn kind(kind: GroupKind) -> native::GroupKind {
    match kind {
        GroupKind::Consumer => native::GroupKind::Consumer,
        GroupKind::Classic => native::GroupKind::Classic,
    }
}

const fn state(state: GroupState) -> native::GroupState {
    match state {
        GroupState::Empty => native::GroupState::Empty,
        GroupState::Assigning => native::GroupState::Assigning,
        GroupState::Reconciling => native::GroupState::Reconciling,
        GroupState::Stable => native::GroupState::Stable,
    }
}

fn listed_group(group: ListedGroup) -> native::ListedGroup {
    native::ListedGroup {
        group: group.group,
        kind: kind(group.kind),
        state: state(group.state),
        members: u32::try_from(group.members).unwrap_or(u32::MAX),
    }
}

fn described_group(
    (group, outcome): (String, Result<DescribedGroup, Failure>),
) -> native::DescribedGroup {
    match outcome {
        Ok(described) => native::DescribedGroup {
            error: None,
            group,
            kind: kind(described.kind),
            state: state(described.state),
            epoch: described.epoch,
            assignor: described.assignor.to_owned(),
            members: described.members.into_iter().map(member).collect(),
            offsets: topics(described.offsets),
            rebalances: described.rebalances,
            stall_ms: described.stall_ms,
            commits_per_minute: described.commits_per_minute,
        },
        Err(failure) => missing_group(group, error(failure)),
    }
}

const fn missing_group(group: String, error: ApiError) -> native::DescribedGroup {
    native::DescribedGroup {
        error: Some(error),
        group,
        kind: native::GroupKind::Consumer,
        state: native::GroupState::Empty,
        epoch: GroupEpoch::new(-1),
        assignor: String::new(),
        members: Vec::new(),
        offsets: Vec::new(),
        rebalances: 0,
        stall_ms: 0,
        commits_per_minute: 0,
    }
}

fn member(member: DescribedMember) -> native::DescribedMember {
    let Subscription { names, pattern } = member.subscription;
    native::DescribedMember {
        member: member.member,
        instance: member.instance,
        client_name: member.client.name,
        host: member.client.host,
        epoch: member.epoch,
        session_timeout_ms: member.session_timeout_ms,
        heartbeat_age_ms: member.heartbeat_age_ms,
        subscription: native::GroupSubscription { names, pattern },
        owned: member.owned.into_iter().map(assigned).collect(),
        target: member.target.into_iter().map(assigned).collect(),
    }
}

/// The offsets of one topic stand together; topics by name.
fn topics(offsets: Vec<DescribedOffset>) -> Vec<native::DescribedTopicOffsets> {
    let mut topics: Vec<native::DescribedTopicOffsets> = Vec::new();
    for one in offsets {
        let (topic, name) = (one.partition.topic, one.topic.clone());
        let described = described_offset(one);
        match topics.last_mut() {
            Some(last) if last.topic == topic => last.partitions.push(described),
            _ => topics.push(native::DescribedTopicOffsets {
                topic,
                name,
                partitions: vec![described],
            }),
        }
    }
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    topics
}

fn described_offset(one: DescribedOffset) -> native::DescribedOffset {
    native::DescribedOffset {
        partition: one.partition.partition,
        committed: one.committed.offset,
        leader_epoch: one.committed.leader_epoch,
        log_start: one.log_start,
        high_watermark: one.high_watermark,
        lag_records: one.lag_records,
        lag_ms: one.lag_ms,
        owner: one.owner,
        metadata: one.committed.metadata,
        commit_time: one.committed.commit_time,
    }
}
