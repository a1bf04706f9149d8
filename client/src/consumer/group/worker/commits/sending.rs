//! How a commit travels: one at a time, again after what may pass, in the name of the life that asked for it.

use thalweg_protocol::native::{
    CommitOffsetsRequest, CommitOffsetsResponse, CommitPartition, CommitTopic,
};
use thalweg_protocol::{ErrorCode, TopicPartition};

use super::super::Worker;
use super::super::calls::{Outcome, failure};
use super::{CommitItem, Sent};
use crate::clock::{Instant, millis, now};
use crate::consumer::commit::{CommitError, FailedCommit};
use crate::consumer::group::event::GroupPartition;
use crate::consumer::group::member::{Failure, Member};
use crate::error::CallError;
use crate::pool::Lane;

impl Worker {
    pub(super) fn send_commit(&mut self, now: Instant) {
        if self.commits.in_flight {
            return;
        }
        while let Some((first, outcome)) = self.take_settled(now) {
            self.finish(first, outcome);
        }
        let Some(first) = self.commits.queue.front() else {
            return;
        };
        self.wake_at = self.wake_at.min(first.deadline);
        if let Some(retry_at) = self.commits.retry_at.filter(|at| *at > now) {
            self.wake_at = self.wake_at.min(retry_at);
            return;
        }
        let (Some(address), Some((member, epoch))) = (self.coordinator.clone(), self.asks_as())
        else {
            return;
        };
        if self.commits.needs_epoch {
            return;
        }
        let Some(sent) = self.commits.queue.pop_front() else {
            return;
        };
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

    /// The first that waits, if it need not or must not be sent any more.
    fn take_settled(&mut self, now: Instant) -> Option<(Sent, Result<(), CommitError>)> {
        let life = self.life();
        let first = self.commits.queue.pop_front()?;
        let group = self.group.clone();
        let outcome = if first.items.is_empty() {
            Ok(())
        } else if first.life != life {
            let message = "its membership ended while the commit waited".to_owned();
            Err(CommitError::NotMember { group, message })
        } else if self.member.as_ref().is_some_and(Member::is_out) {
            let message = "it has left the group until records are asked for".to_owned();
            Err(CommitError::NotMember { group, message })
        } else if now >= first.deadline {
            let waited_ms = u64::from(millis(now - first.begun));
            Err(CommitError::Unreachable { group, waited_ms, last: first.last.clone() })
        } else {
            self.commits.queue.push_front(first);
            return None;
        };
        Some((first, outcome))
    }

    pub(in super::super) fn committed(
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
        self.perform(effects);
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
