//! Commits: one in flight at a time, in the order in which they were asked for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use thalweg_protocol::native::{
    CommitOffsetsRequest, CommitOffsetsResponse, CommitPartition, CommitTopic,
};
use thalweg_protocol::{ErrorCode, LeaderEpoch, Offset, TopicName, TopicPartition};
use tokio::sync::oneshot;

use super::super::event::{GroupEvent, GroupPartition};
use super::Worker;
use super::calls::{Outcome, failure};
use super::partitions::is_gone;
use crate::clock::{Instant, millis, now};
use crate::consumer::commit::{CommitError, FailedCommit};
use crate::consumer::group::member::{Failure, Member};
use crate::consumer::position::Activity;
use crate::consumer::progress::Progress;
use crate::error::CallError;
use crate::pool::Lane;
use crate::retry::Backoff;

/// One offset on its way.
#[derive(Clone, Debug)]
pub(crate) struct CommitItem {
    pub(crate) at: TopicPartition,
    pub(crate) topic: TopicName,
    pub(crate) offset: Offset,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) metadata: String,
    /// Hears that it is committed.
    pub(crate) progress: Option<Arc<Progress>>,
}

/// Who waits for it.
#[derive(Debug)]
enum Purpose {
    Auto,
    Explicit(oneshot::Sender<Result<(), CommitError>>),
    LettingGo(Vec<TopicPartition>),
    Closing,
}

/// A commit and how it is going.
#[derive(Debug)]
pub(super) struct Sent {
    items: Vec<CommitItem>,
    purpose: Purpose,
    begun: Instant,
    deadline: Instant,
    last: CallError,
    /// The life under which it was asked for: the next one owns other partitions.
    life: Option<u64>,
}

/// The queue of commits. It is bounded by who waits: every explicit one has its caller, the rest are few.
pub(super) struct Commits {
    /// None leaves it to the application.
    interval: Option<Duration>,
    next_auto: Instant,
    queue: VecDeque<Sent>,
    in_flight: bool,
    retry_at: Option<Instant>,
    /// Its epoch was refused: the next heartbeat brings another.
    needs_epoch: bool,
    backoff: Backoff,
    /// What became of the commit on closing.
    closed: Option<Result<(), CommitError>>,
}

impl Commits {
    pub(super) fn new(interval: Option<Duration>, now: Instant) -> Self {
        Self {
            interval,
            next_auto: now + interval.unwrap_or_default(),
            queue: VecDeque::new(),
            in_flight: false,
            retry_at: None,
            needs_epoch: false,
            backoff: Backoff::new(Duration::from_millis(20), Duration::from_millis(500)),
            closed: None,
        }
    }

    pub(super) const fn are_manual(&self) -> bool {
        self.interval.is_none()
    }

    /// Whether a commit waits to be sent or answered.
    pub(super) fn is_waiting(&self) -> bool {
        self.in_flight || !self.queue.is_empty()
    }

    pub(super) fn explicit(
        &mut self,
        items: Vec<CommitItem>,
        reply: oneshot::Sender<Result<(), CommitError>>,
        deadline: Instant,
    ) {
        self.push(items, Purpose::Explicit(reply), deadline);
    }

    pub(super) fn on_letting_go(
        &mut self,
        items: Vec<CommitItem>,
        partitions: Vec<TopicPartition>,
        deadline: Instant,
    ) {
        self.push(items, Purpose::LettingGo(partitions), deadline);
    }

    pub(super) fn on_closing(&mut self, items: Vec<CommitItem>, deadline: Instant) {
        self.push(items, Purpose::Closing, deadline);
    }

    fn push(&mut self, items: Vec<CommitItem>, purpose: Purpose, deadline: Instant) {
        let begun = now();
        let last = CallError::NoLeader;
        self.queue.push_back(Sent { items, purpose, begun, deadline, last, life: None });
    }

    pub(super) const fn epoch_may_have_changed(&mut self) {
        self.needs_epoch = false;
    }

    pub(super) fn troubled(&mut self, error: &CallError) {
        if let Some(first) = self.queue.front_mut() {
            first.last = error.clone();
        }
    }

    /// What became of the commit on closing, once that is known.
    pub(super) const fn take_closed(&mut self) -> Option<Result<(), CommitError>> {
        self.closed.take()
    }
}

impl Worker {
    /// What the application is done with and nobody has committed: of these places on the board, or of all.
    pub(super) fn done_of(&self, indexes: Option<&[usize]>) -> Vec<CommitItem> {
        let board = self.shared.board();
        let mut items = Vec::new();
        for (index, track) in board.tracks.iter().enumerate() {
            let is_meant = match indexes {
                Some(indexes) => indexes.contains(&index),
                None => track.activity != Activity::Gone,
            };
            // Where nothing was committed the place to begin is, too: a member that dies before its first commit must not
            // make the next one begin at a later end.
            let done = track.progress.done();
            if is_meant && done != track.progress.committed() && track.is_placed() {
                items.push(CommitItem {
                    at: TopicPartition::new(track.id, track.partition),
                    topic: track.topic.clone(),
                    offset: done,
                    leader_epoch: track.progress.epoch(),
                    metadata: String::new(),
                    progress: Some(track.progress.clone()),
                });
            }
        }
        items.sort_by_key(|item| item.at);
        items
    }

    pub(super) fn commit_what_is_due(&mut self, now: Instant) {
        if let Some(interval) = self.commits.interval
            && self.closing.is_none()
        {
            if now >= self.commits.next_auto {
                self.commits.next_auto = now + interval;
                let items = self.done_of(None);
                if !items.is_empty() && !self.commits.is_waiting() {
                    let deadline = now + interval.max(self.router.options().request_timeout);
                    self.commits.push(items, Purpose::Auto, deadline);
                }
            }
            self.wake_at = self.wake_at.min(self.commits.next_auto);
        }
        self.send_commit(now);
    }

    fn send_commit(&mut self, now: Instant) {
        if self.commits.in_flight {
            return;
        }
        while self.commits.queue.front().is_some_and(|first| now >= first.deadline) {
            if let Some(first) = self.commits.queue.pop_front() {
                let (waited, last) = (now - first.begun, first.last.clone());
                let waited_ms = u64::from(millis(waited));
                let group = self.group.clone();
                let error = CommitError::Unreachable { group, waited_ms, last };
                self.finish(first, Err(error));
            }
        }
        let Some(first) = self.commits.queue.front() else {
            return;
        };
        self.wake_at = self.wake_at.min(first.deadline);
        if let Some(retry_at) = self.commits.retry_at.filter(|at| *at > now) {
            self.wake_at = self.wake_at.min(retry_at);
            return;
        }
        let life = self.member.as_ref().map(Member::life);
        if first.life.is_some_and(|asked| Some(asked) != life) {
            if let Some(first) = self.commits.queue.pop_front() {
                let (group, message) = (self.group.clone(), first.last.to_string());
                self.finish(first, Err(CommitError::NotMember { group, message }));
            }
            return;
        }
        let (Some(address), Some((member, epoch))) = (self.coordinator.clone(), self.asks_as())
        else {
            return;
        };
        if self.commits.needs_epoch {
            return;
        }
        let Some(mut sent) = self.commits.queue.pop_front() else {
            return;
        };
        sent.life = life;
        self.commits.in_flight = true;
        let request = CommitOffsetsRequest {
            group: self.group.clone(),
            member,
            epoch,
            topics: topics(&sent.items),
        };
        let (router, deadline) = (self.router.clone(), sent.deadline);
        let timeout = self.router.options().request_timeout.min(deadline - now);
        self.outcomes.push(Box::pin(async move {
            let answer = router.pool().call(&address, Lane::Control, &request, timeout).await;
            Outcome::Committed { sent, answer }
        }));
    }

    pub(super) fn committed(
        &mut self,
        mut sent: Sent,
        answer: Result<CommitOffsetsResponse, CallError>,
    ) {
        self.commits.in_flight = false;
        let now = now();
        match answer {
            Ok(answer) => {
                self.commits.backoff.reset();
                let outcome = self.outcome(&sent.items, answer);
                self.finish(sent, outcome);
            }
            Err(error) => {
                self.lose_coordinator(&error);
                if error.code() == Some(ErrorCode::StaleMemberEpoch)
                    && let Some(member) = &mut self.member
                {
                    self.commits.needs_epoch = true;
                    member.hurry(now);
                }
                sent.last = error.clone();
                match failure(error) {
                    Failure::Fenced(message) => self.fenced_by_commit(sent, message, now),
                    Failure::Final(error) => {
                        let (group, code, message) =
                            (self.group.clone(), error.code, error.message);
                        self.finish(sent, Err(CommitError::Refused { group, code, message }));
                    }
                    _ => {
                        let pause = self.commits.backoff.next(fastrand::f64());
                        self.commits.retry_at = Some(now + pause);
                        self.commits.queue.push_front(sent);
                    }
                }
            }
        }
    }

    fn fenced_by_commit(&mut self, sent: Sent, message: String, now: Instant) {
        let mut effects = Vec::new();
        if let (Some(member), Some(life)) = (&mut self.member, sent.life) {
            member.fenced(life, &message, now, &mut effects);
        }
        let group = self.group.clone();
        self.finish(sent, Err(CommitError::NotMember { group, message }));
        self.perform(effects, now);
    }

    /// What the answer says about each offset.
    fn outcome(
        &self,
        items: &[CommitItem],
        answer: CommitOffsetsResponse,
    ) -> Result<(), CommitError> {
        let mut failed = Vec::new();
        let mut answers = answer.topics.into_iter().flat_map(|topic| {
            let id = topic.topic;
            topic.partitions.into_iter().map(move |one| (id, one))
        });
        for item in items {
            let answered = answers
                .next()
                .filter(|(topic, one)| TopicPartition::new(*topic, one.partition) == item.at);
            let error = match answered {
                Some((_, one)) => one.error.map(|error| (error.code, error.message)),
                None => Some((ErrorCode::Internal, "the answer leaves it out".to_owned())),
            };
            match error {
                None => {
                    if let Some(progress) = &item.progress {
                        progress.commit(item.offset);
                    }
                }
                Some((code, message)) => failed.push(FailedCommit {
                    partition: GroupPartition {
                        topic: item.topic.clone(),
                        partition: item.at.partition,
                    },
                    code,
                    message,
                }),
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        Err(CommitError::Partitions { group: self.group.clone(), failed, of: items.len() })
    }

    fn finish(&mut self, sent: Sent, outcome: Result<(), CommitError>) {
        match sent.purpose {
            Purpose::Explicit(reply) => drop(reply.send(outcome)),
            Purpose::Closing => self.commits.closed = Some(outcome),
            Purpose::Auto => self.tell_failure(outcome),
            Purpose::LettingGo(partitions) => {
                self.tell_failure(outcome);
                self.have_let_go(&partitions);
            }
        }
    }

    fn tell_failure(&self, outcome: Result<(), CommitError>) {
        let Err(error) = outcome else {
            return;
        };
        // A topic that is gone has nothing to go on with.
        if let CommitError::Partitions { failed, .. } = &error
            && failed.iter().all(|one| is_gone(one.code))
        {
            return;
        }
        tracing::warn!(group = %self.group, %error, "automatic commit failed");
        let event = GroupEvent::CommitFailed { error };
        self.shared.board().push_event(event.clone(), Vec::new());
        self.tell(&event);
    }
}

fn topics(items: &[CommitItem]) -> Vec<CommitTopic> {
    let mut topics: Vec<CommitTopic> = Vec::new();
    for item in items {
        let partition = CommitPartition {
            partition: item.at.partition,
            offset: item.offset,
            leader_epoch: item.leader_epoch,
            metadata: item.metadata.clone(),
        };
        match topics.last_mut() {
            Some(last) if last.topic == item.at.topic => last.partitions.push(partition),
            _ => topics.push(CommitTopic { topic: item.at.topic, partitions: vec![partition] }),
        }
    }
    topics
}
