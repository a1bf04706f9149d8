//! What goes to the coordinator and comes back.

use std::sync::Arc;
use std::time::Duration;

use thalweg_protocol::native::{
    ApiError, AssignedTopic, CommitOffsetsResponse, FetchOffsetsResponse, GroupHeartbeatRequest,
    GroupHeartbeatResponse, GroupPartitions, GroupSubscription,
};
use thalweg_protocol::{ErrorCode, TopicName, TopicPartition};

use super::super::member::{Answer, Failure, Heartbeat, Target};
use super::Worker;
use super::commits::Sent;
use crate::clock::{Instant, millis, now};
use crate::consumer::position::Begin;
use crate::error::{CallError, ConsumeError};
use crate::pool::Lane;

/// What came back from something that took time.
pub(super) enum Outcome {
    Found(Result<Arc<str>, CallError>),
    Heartbeat { life: u64, answer: Result<GroupHeartbeatResponse, CallError> },
    Offsets { asked: Vec<(TopicPartition, u64)>, answer: Result<FetchOffsetsResponse, CallError> },
    Begun { at: TopicPartition, begun: u64, outcome: Result<Begin, ConsumeError> },
    Committed { sent: Sent, answer: Result<CommitOffsetsResponse, CallError> },
}

/// A heartbeat waits no longer than this part of a session, so that another one can follow within it.
const HEARTBEATS_PER_SESSION: u32 = 3;

/// The broker gives a member so much longer to let go than the member gives the application: its last commit and the
/// heartbeat that says so are on their way then.
const DRAIN_SLACK: Duration = Duration::from_secs(5);

impl Worker {
    pub(super) fn take(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Found(found) => self.found(found),
            Outcome::Heartbeat { life, answer } => self.heard(life, answer),
            Outcome::Offsets { asked, answer } => self.offsets_came(&asked, answer),
            Outcome::Begun { at, begun, outcome } => self.place_found(at, begun, outcome),
            Outcome::Committed { sent, answer } => self.committed(sent, answer),
        }
    }

    pub(super) fn find_coordinator(&mut self, now: Instant) {
        if self.coordinator.is_some() || self.finding || !self.needs_coordinator() {
            return;
        }
        if now < self.find_at {
            self.wake_at = self.wake_at.min(self.find_at);
            return;
        }
        self.finding = true;
        let (router, group) = (self.router.clone(), self.group.clone());
        self.outcomes
            .push(Box::pin(async move { Outcome::Found(router.find_coordinator(&group).await) }));
    }

    fn needs_coordinator(&self) -> bool {
        self.member.as_ref().is_some_and(|member| !member.is_out()) || self.commits.is_waiting()
    }

    fn found(&mut self, found: Result<Arc<str>, CallError>) {
        self.finding = false;
        match found {
            Ok(address) => {
                self.find_backoff.reset();
                self.coordinator = Some(address);
            }
            Err(error) => {
                tracing::debug!(group = %self.group, %error, "no coordinator");
                self.show_trouble(&error);
                self.find_at = now() + self.find_backoff.next(fastrand::f64());
                self.commits.troubled(&error);
                // What is wrong with the group's name will not pass.
                if let (Failure::Final(error), Some(member)) = (failure(error), &mut self.member) {
                    let mut effects = Vec::new();
                    member.refused(error, &mut effects);
                    self.perform(effects);
                }
            }
        }
    }

    /// The coordinator is not where it was, or cannot be reached: it is looked for before anything else is sent.
    pub(super) fn lose_coordinator(&mut self, error: &CallError) {
        let answered = matches!(error, CallError::Refused { error, .. }
            if !matches!(error.code, ErrorCode::NotCoordinator | ErrorCode::LeaderNotAvailable
                | ErrorCode::ShuttingDown | ErrorCode::UnknownTopic));
        if !answered && self.coordinator.take().is_some() {
            self.find_at = now() + self.find_backoff.next(fastrand::f64());
        }
    }

    pub(super) fn send_heartbeat(&mut self, now: Instant) {
        let Some(address) = self.coordinator.clone() else {
            return;
        };
        let Some(heartbeat) = self.member.as_mut().and_then(|member| member.heartbeat(now)) else {
            return;
        };
        let request = self.request(&heartbeat);
        let session = self.options.group.session_timeout;
        let timeout = self.router.options().request_timeout.min(session / HEARTBEATS_PER_SESSION);
        let (router, life) = (self.router.clone(), heartbeat.life);
        self.outcomes.push(Box::pin(async move {
            let answer = router.pool().call(&address, Lane::Control, &request, timeout).await;
            Outcome::Heartbeat { life, answer }
        }));
    }

    fn request(&self, heartbeat: &Heartbeat) -> GroupHeartbeatRequest {
        let group = &self.options.group;
        let subscription = group.subscription.as_ref().filter(|_| heartbeat.is_full);
        GroupHeartbeatRequest {
            group: self.group.clone(),
            member: heartbeat.member.clone(),
            instance: group.instance.clone(),
            epoch: heartbeat.epoch,
            session_timeout_ms: millis(group.session_timeout),
            drain_timeout_ms: millis(group.drain_timeout + DRAIN_SLACK),
            subscription: subscription.map(|wanted| GroupSubscription {
                names: wanted.names.iter().map(ToString::to_string).collect(),
                pattern: wanted.pattern.clone(),
            }),
            assignor: group.assignor.clone().filter(|_| heartbeat.is_full),
            owned: heartbeat.owned.as_ref().map(|owned| by_topic(owned)),
        }
    }

    fn heard(&mut self, life: u64, answer: Result<GroupHeartbeatResponse, CallError>) {
        let now = now();
        if let Err(error) = &answer {
            tracing::debug!(group = %self.group, %error, "heartbeat failed");
            self.show_trouble(error);
            self.lose_coordinator(error);
        }
        let Some(member) = &mut self.member else {
            return;
        };
        let mut effects = Vec::new();
        match answer {
            Ok(answer) => {
                let answer = Answer {
                    epoch: answer.epoch,
                    interval: Duration::from_millis(u64::from(answer.heartbeat_interval_ms.max(1))),
                    target: answer.target.map(targets),
                };
                member.answered(life, answer, now, &mut effects);
                self.commits.epoch_may_have_changed();
            }
            Err(error) => member.failed(life, failure(error), now, &mut effects),
        }
        self.perform(effects);
        self.show_member();
    }
}

/// Partitions by topic, as they stand on the wire.
pub(super) fn by_topic(partitions: &[TopicPartition]) -> Vec<GroupPartitions> {
    let mut topics: Vec<GroupPartitions> = Vec::new();
    for at in partitions {
        match topics.last_mut() {
            Some(last) if last.topic == at.topic => last.partitions.push(at.partition),
            _ => {
                topics.push(GroupPartitions { topic: at.topic, partitions: vec![at.partition] });
            }
        }
    }
    topics
}

/// All that shall be owned. A topic without a name is one that is being deleted: nothing of it can be read.
fn targets(topics: Vec<AssignedTopic>) -> Vec<Target> {
    let mut targets = Vec::new();
    for topic in topics {
        let Ok(name) = TopicName::new(&topic.name) else {
            continue;
        };
        targets.extend(topic.partitions.into_iter().map(|partition| Target {
            at: TopicPartition::new(topic.topic, partition),
            topic: name.clone(),
        }));
    }
    targets
}

/// What a failed call means for a membership.
pub(super) fn failure(error: CallError) -> Failure {
    match error {
        CallError::Refused { error, .. } => match error.code {
            ErrorCode::UnknownMember | ErrorCode::FencedMemberEpoch => {
                Failure::Fenced(error.message)
            }
            ErrorCode::CoordinatorLoading => Failure::Loading,
            ErrorCode::InstanceInUse => Failure::InUse(error),
            code if code.is_retriable() || code == ErrorCode::StaleMemberEpoch => Failure::NoAnswer,
            _ => Failure::Final(error),
        },
        CallError::Unsupported { .. } => {
            Failure::Final(ApiError::new(ErrorCode::UnsupportedVersion, error.to_string()))
        }
        CallError::TooLarge { .. } => {
            Failure::Final(ApiError::new(ErrorCode::InvalidRequest, error.to_string()))
        }
        _ => Failure::NoAnswer,
    }
}
