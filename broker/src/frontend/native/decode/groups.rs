//! Requests to groups, from the wire.

use thalweg_protocol::codec::Reader;
use thalweg_protocol::native::{self, Api, GroupPartitions};
use thalweg_protocol::{ErrorCode, PartitionIndex, TopicPartition};

use super::whole;
use crate::api::{Failure, groups};
use crate::coordinator::{
    ClientInfo, Commit, CommitItem, DeleteOffsets, FetchOffsets, GroupState, Heartbeat,
    Subscription,
};

/// Reads the body of one of the requests 30 to 37.
pub(super) fn decode(api: Api, body: Reader) -> Result<groups::Request, Failure> {
    match api {
        Api::FindCoordinator => find(api, body),
        Api::GroupHeartbeat => heartbeat(api, body),
        Api::CommitOffsets => commit(api, body),
        Api::FetchOffsets => fetch(api, body),
        Api::DescribeGroups => describe(api, body),
        Api::ListGroups => list(api, body),
        Api::DeleteGroups => delete(api, body),
        Api::DeleteOffsets => delete_offsets(api, body),
        other => Err(Failure::new(
            ErrorCode::Internal,
            format!("{} is no request to a group", other.name()),
        )),
    }
}

fn find(api: Api, body: Reader) -> Result<groups::Request, Failure> {
    let native::FindCoordinatorRequest { groups } = whole(api, body)?;
    Ok(groups::Request::Find(groups))
}

fn describe(api: Api, body: Reader) -> Result<groups::Request, Failure> {
    let native::DescribeGroupsRequest { groups } = whole(api, body)?;
    Ok(groups::Request::Describe(groups))
}

fn delete(api: Api, body: Reader) -> Result<groups::Request, Failure> {
    let native::DeleteGroupsRequest { groups } = whole(api, body)?;
    Ok(groups::Request::Delete(groups))
}

fn heartbeat(api: Api, body: Reader) -> Result<groups::Request, Failure> {
    let request: native::GroupHeartbeatRequest = whole(api, body)?;
    let subscription = |wanted: native::GroupSubscription| Subscription {
        names: wanted.names,
        pattern: wanted.pattern,
    };
    Ok(groups::Request::Heartbeat(Heartbeat {
        group: request.group,
        member: request.member,
        instance: request.instance,
        epoch: request.epoch,
        session_timeout_ms: request.session_timeout_ms,
        drain_timeout_ms: request.drain_timeout_ms,
        subscription: request.subscription.map(subscription),
        assignor: request.assignor,
        owned: request.owned.map(partitions),
        // Who speaks is known to the connection; the handler puts it in.
        client: ClientInfo::default(),
    }))
}

fn commit(api: Api, body: Reader) -> Result<groups::Request, Failure> {
    let request: native::CommitOffsetsRequest = whole(api, body)?;
    let mut items = Vec::new();
    for topic in request.topics {
        items.extend(topic.partitions.into_iter().map(|one| CommitItem {
            partition: TopicPartition::new(topic.topic, one.partition),
            offset: one.offset,
            leader_epoch: one.leader_epoch,
            metadata: one.metadata,
        }));
    }
    let (group, member, epoch) = (request.group, request.member, request.epoch);
    Ok(groups::Request::Commit(Commit { group, member, epoch, items }))
}

fn fetch(api: Api, body: Reader) -> Result<groups::Request, Failure> {
    let request: native::FetchOffsetsRequest = whole(api, body)?;
    Ok(groups::Request::FetchOffsets(FetchOffsets {
        group: request.group,
        member: request.member,
        epoch: request.epoch,
        partitions: request.topics.map(partitions),
    }))
}

fn list(api: Api, body: Reader) -> Result<groups::Request, Failure> {
    let native::ListGroupsRequest { states } = whole(api, body)?;
    Ok(groups::Request::List(states.into_iter().map(state).collect()))
}

const fn state(state: native::GroupState) -> GroupState {
    match state {
        native::GroupState::Empty => GroupState::Empty,
        native::GroupState::Assigning => GroupState::Assigning,
        native::GroupState::Reconciling => GroupState::Reconciling,
        native::GroupState::Stable => GroupState::Stable,
    }
}

fn delete_offsets(api: Api, body: Reader) -> Result<groups::Request, Failure> {
    let request: native::DeleteOffsetsRequest = whole(api, body)?;
    let (group, partitions) = (request.group, partitions(request.topics));
    Ok(groups::Request::DeleteOffsets(DeleteOffsets { group, partitions }))
}

/// One by one, in the order of the request.
fn partitions(topics: Vec<GroupPartitions>) -> Vec<TopicPartition> {
    let of_topic = |topic: GroupPartitions| {
        let at = move |partition: PartitionIndex| TopicPartition::new(topic.topic, partition);
        topic.partitions.into_iter().map(at)
    };
    topics.into_iter().flat_map(of_topic).collect()
}
