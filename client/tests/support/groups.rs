//! One coordinator in memory: members join, partitions are shared evenly and move when they were let go, offsets are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thalweg_protocol::codec::Reader;
use thalweg_protocol::frame::{decode_body, error_frame};
use thalweg_protocol::native::{
    Api, ApiError, AssignedTopic, CommitOffsetsRequest, CommitOffsetsResponse, FetchOffsetsRequest,
    FetchOffsetsResponse, FindCoordinatorRequest, FindCoordinatorResponse, GroupCoordinator,
    GroupHeartbeatRequest, GroupHeartbeatResponse, GroupKind, GroupPartitionResult, GroupState,
    GroupTopicResult, ListGroupsResponse, ListedGroup, MissingShard, PartitionOffset,
    RequestHeader, ResponseHeader, TopicOffsets, Wire,
};
use thalweg_protocol::{
    BrokerId, ErrorCode, LeaderEpoch, MemberEpoch, Offset, PartitionIndex, TimestampMs, TopicId,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::chaos::Chaos;
use super::serve::Server;
use super::{State, Topic};

type At = (TopicId, i32);

#[derive(Default)]
pub struct FakeMember {
    heard: Option<Instant>,
    session: Duration,
    epoch: i32,
    topics: Vec<String>,
    owned: BTreeSet<At>,
    assigned: BTreeSet<At>,
}

/// The groups of the fake cluster; all are kept by one broker.
#[derive(Default)]
pub struct Groups {
    /// The number of the broker that keeps them.
    pub coordinator: usize,
    /// So many requests are answered *loading* first.
    pub loading: usize,
    /// Commits are neither made nor answered before this lets them.
    pub commit_gate: Option<Arc<Semaphore>>,
    /// Heartbeats of members with an instance id are refused: somebody else has it.
    pub instances_in_use: bool,
    /// So many questions for offsets are answered with an error for each partition.
    pub offsets_unknown: usize,
    /// A list lacks the groups of a shard for the last of these reasons; each is told once.
    pub unlisted: Vec<ErrorCode>,
    pub chaos: Chaos,
    /// Commits and leavings, as they were carried out.
    pub log: Vec<&'static str>,
    /// Questions for offsets.
    pub asked: usize,
    /// Offsets that went back.
    pub went_back: usize,
    pub members: BTreeMap<String, FakeMember>,
    pub offsets: BTreeMap<(String, At), (i64, i32, String)>,
    /// Heartbeats by member, as they came.
    pub heartbeats: Vec<(String, i32)>,
    pub commits: usize,
    epoch: i32,
}

impl Groups {
    /// How many partitions each member says that it owns.
    pub fn owned(&self) -> Vec<usize> {
        self.members.values().map(|member| member.owned.len()).collect()
    }

    /// Takes a member for dead.
    pub fn fence(&mut self, member: &str) {
        self.members.remove(member);
        self.epoch += 1;
    }

    fn held_by_others(&self, member: &str) -> BTreeSet<At> {
        let others = self.members.iter().filter(|(id, _)| *id != member);
        others.flat_map(|(_, other)| other.assigned.union(&other.owned)).copied().collect()
    }

    fn fence_any(&mut self) {
        if let Some(member) = self.members.keys().next().cloned() {
            self.fence(&member);
        }
    }

    /// Takes those for dead that were silent for a session.
    fn expire(&mut self) {
        let now = Instant::now();
        let is_silent =
            |member: &FakeMember| member.heard.is_some_and(|heard| now >= heard + member.session);
        let silent: Vec<_> = self.members.iter().filter(|(_, member)| is_silent(member)).collect();
        for member in silent.into_iter().map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.fence(&member);
        }
    }
}

impl Server {
    pub(super) fn group(
        &self,
        api: Api,
        header: &RequestHeader,
        body: Reader,
        answers: &mpsc::UnboundedSender<Vec<Bytes>>,
    ) -> Option<()> {
        let mut state = self.state.lock().unwrap();
        if api == Api::FindCoordinator {
            Self::reply(header, answers, &find(&state, decode_body(body).unwrap()));
            return Some(());
        }
        let refuse = |code, message: &str| {
            let failed = ResponseHeader::failed(header.correlation, ApiError::new(code, message));
            let _ = answers.send(error_frame(&failed));
            Some(())
        };
        if usize::try_from(self.id).unwrap() != state.groups.coordinator {
            return refuse(ErrorCode::NotCoordinator, "another broker is");
        }
        if state.groups.loading > 0 {
            state.groups.loading -= 1;
            return refuse(ErrorCode::CoordinatorLoading, "loading");
        }
        let fate = state.groups.chaos.draw().unwrap_or_default();
        match fate {
            "mute" => return Some(()),
            "cut" => return None,
            "moved" => return refuse(ErrorCode::NotCoordinator, "it moved, and is here again"),
            "fenced" => state.groups.fence_any(),
            _ => {}
        }
        let gate = state.groups.commit_gate.clone().filter(|_| api == Api::CommitOffsets);
        if let Some(gate) = gate {
            drop(state);
            let (server, header, answers) = (self.clone(), header.clone(), answers.clone());
            let request: CommitOffsetsRequest = decode_body(body).unwrap();
            self.spawn(async move {
                gate.acquire().await.unwrap().forget();
                let outcome = commit(&mut server.state.lock().unwrap(), request);
                Self::say(&header, &answers, outcome);
            });
            return Some(());
        }
        let Some(answer) = Self::carry_out(&mut state, api, header, body) else {
            return refuse(ErrorCode::UnsupportedVersion, api.name());
        };
        match fate {
            "done and mute" => {}
            "done and cut" => return None,
            "late" => {
                let (wait, answers) = (state.groups.chaos.delay_ms(), answers.clone());
                self.spawn(async move {
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                    let _ = answers.send(answer);
                });
            }
            _ => {
                if fate == "twice" {
                    let _ = answers.send(answer.clone());
                }
                let _ = answers.send(answer);
            }
        }
        Some(())
    }

    /// The answer, on the wire.
    fn carry_out(
        state: &mut State,
        api: Api,
        header: &RequestHeader,
        body: Reader,
    ) -> Option<Vec<Bytes>> {
        let (told, mut listens) = mpsc::unbounded_channel();
        match api {
            Api::GroupHeartbeat => {
                Self::say(header, &told, heartbeat(state, decode_body(body).unwrap()));
            }
            Api::CommitOffsets => {
                Self::say(header, &told, commit(state, decode_body(body).unwrap()));
            }
            Api::FetchOffsets => {
                Self::reply(header, &told, &fetch(state, decode_body(body).unwrap()));
            }
            Api::ListGroups => Self::reply(header, &told, &list(state)),
            _ => return None,
        }
        listens.try_recv().ok()
    }

    fn say<T: Wire>(
        header: &RequestHeader,
        answers: &mpsc::UnboundedSender<Vec<Bytes>>,
        outcome: Result<T, ErrorCode>,
    ) {
        match outcome {
            Ok(answer) => Self::reply(header, answers, &answer),
            Err(code) => {
                let error = ApiError::new(code, "planned");
                let failed = ResponseHeader::failed(header.correlation, error);
                let _ = answers.send(error_frame(&failed));
            }
        }
    }
}

fn find(state: &State, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    let at = state.groups.coordinator;
    let address = state.brokers[at];
    let found = |group| GroupCoordinator {
        group,
        error: None,
        shard: PartitionIndex::new(0),
        broker: BrokerId::new(i32::try_from(at).unwrap()),
        host: address.ip().to_string(),
        port: address.port(),
    };
    FindCoordinatorResponse { coordinators: request.groups.into_iter().map(found).collect() }
}

fn list(state: &mut State) -> ListGroupsResponse {
    let listed = ListedGroup {
        group: "g".to_owned(),
        kind: GroupKind::Consumer,
        state: GroupState::Empty,
        members: 0,
    };
    let missing = state.groups.unlisted.pop().map(|code| MissingShard {
        shard: PartitionIndex::new(7),
        error: ApiError::new(code, "shard 7 of __consumer_offsets: planned"),
    });
    ListGroupsResponse { groups: vec![listed], missing: missing.into_iter().collect() }
}

fn heartbeat(
    state: &mut State,
    request: GroupHeartbeatRequest,
) -> Result<GroupHeartbeatResponse, ErrorCode> {
    let epoch = request.epoch.get();
    state.groups.heartbeats.push((request.member.clone(), epoch));
    if request.instance.is_some() && state.groups.instances_in_use {
        return Err(ErrorCode::InstanceInUse);
    }
    state.groups.expire();
    let answer = |epoch, target| GroupHeartbeatResponse {
        epoch: MemberEpoch::new(epoch),
        heartbeat_interval_ms: 20,
        target,
    };
    if epoch < 0 {
        state.groups.fence(&request.member);
        state.groups.log.push("leave");
        return Ok(answer(epoch, None));
    }
    if epoch == 0 && !state.groups.members.contains_key(&request.member) {
        state.groups.members.insert(request.member.clone(), FakeMember::default());
        state.groups.epoch += 1;
    }
    let all = partitions(state);
    let groups = &mut state.groups;
    let place = groups.members.keys().position(|id| *id == request.member);
    let place = place.ok_or(ErrorCode::UnknownMember)?;
    let count = groups.members.len();
    let held = groups.held_by_others(&request.member);
    let group_epoch = groups.epoch;
    let member = groups.members.get_mut(&request.member).unwrap();
    member.heard = Some(Instant::now());
    member.session = Duration::from_millis(request.session_timeout_ms.into());
    if let Some(wanted) = request.subscription {
        member.topics = wanted.names;
    }
    if let Some(owned) = request.owned.filter(|_| epoch == member.epoch) {
        let of = |topic: thalweg_protocol::native::GroupPartitions| {
            topic.partitions.into_iter().map(move |one| (topic.topic, one.get()))
        };
        member.owned = owned.into_iter().flat_map(of).collect();
    }
    let mine = all.iter().filter(|(name, _)| member.topics.contains(name));
    let mine = mine.enumerate().filter(|(index, _)| index % count == place);
    let mine: BTreeSet<At> = mine.map(|(_, (_, at))| *at).collect();
    let before = member.assigned.clone();
    member.assigned.retain(|at| mine.contains(at));
    if member.owned.is_subset(&member.assigned) {
        member.assigned.extend(mine.difference(&held));
    }
    if before != member.assigned || member.epoch == 0 {
        member.epoch = group_epoch;
    }
    let differs = member.owned != member.assigned;
    let target = differs.then(|| {
        let named = |(name, (topic, partition)): &(String, At)| AssignedTopic {
            topic: *topic,
            name: name.clone(),
            partitions: vec![PartitionIndex::new(*partition)],
        };
        all.iter().filter(|(_, at)| member.assigned.contains(at)).map(named).collect()
    });
    Ok(answer(member.epoch, target))
}

fn partitions(state: &State) -> Vec<(String, At)> {
    let of_topic = |(name, topic): (&String, &Topic)| {
        let (name, id) = (name.clone(), topic.id);
        let count = i32::try_from(topic.partitions.len()).unwrap();
        (0..count).map(move |partition| (name.clone(), (id, partition)))
    };
    state.topics.iter().flat_map(of_topic).collect()
}

fn commit(
    state: &mut State,
    request: CommitOffsetsRequest,
) -> Result<CommitOffsetsResponse, ErrorCode> {
    state.groups.commits += 1;
    state.groups.log.push("commit");
    let mut may_own = None;
    if !request.member.is_empty() {
        let member = state.groups.members.get(&request.member).ok_or(ErrorCode::UnknownMember)?;
        if member.epoch != request.epoch.get() {
            return Err(ErrorCode::StaleMemberEpoch);
        }
        may_own = Some(member.assigned.union(&member.owned).copied().collect::<BTreeSet<At>>());
    }
    let mut topics = Vec::new();
    for topic in request.topics {
        let mut partitions = Vec::new();
        for one in topic.partitions {
            let at = (topic.topic, one.partition.get());
            let value = (one.offset.get(), one.leader_epoch.get(), one.metadata);
            let is_owned = may_own.as_ref().is_none_or(|owned| owned.contains(&at));
            let error = (!is_owned).then(|| ApiError::new(ErrorCode::NotOwned, "not owned"));
            if is_owned {
                let before = state.groups.offsets.insert((request.group.clone(), at), value);
                let went_back = before.is_some_and(|(offset, _, _)| offset > one.offset.get());
                state.groups.went_back += usize::from(went_back);
            }
            partitions.push(GroupPartitionResult { partition: one.partition, error });
        }
        topics.push(GroupTopicResult { topic: topic.topic, partitions });
    }
    Ok(CommitOffsetsResponse { topics })
}

fn fetch(state: &mut State, request: FetchOffsetsRequest) -> FetchOffsetsResponse {
    state.groups.asked += 1;
    let is_unknown = state.groups.offsets_unknown > 0;
    state.groups.offsets_unknown = state.groups.offsets_unknown.saturating_sub(1);
    let mut topics = Vec::new();
    for topic in request.topics.unwrap_or_default() {
        let of = |partition: PartitionIndex| {
            let key = (request.group.clone(), (topic.topic, partition.get()));
            let found = state.groups.offsets.get(&key).cloned();
            let (offset, epoch, metadata) = found.unwrap_or((-1, -1, String::new()));
            PartitionOffset {
                partition,
                error: is_unknown.then(|| ApiError::new(ErrorCode::CoordinatorLoading, "planned")),
                offset: Offset::new(offset),
                leader_epoch: LeaderEpoch::new(epoch),
                metadata,
                commit_time: TimestampMs::new(offset.min(0)),
            }
        };
        let partitions = topic.partitions.iter().copied().map(of).collect();
        topics.push(TopicOffsets { topic: topic.topic, partitions });
    }
    FetchOffsetsResponse { topics }
}
