//! Commits: one in flight at a time, in the order in which they were asked for.

mod sending;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use thalweg_protocol::{LeaderEpoch, Offset, TopicName, TopicPartition};
use tokio::sync::oneshot;

use super::super::event::GroupEvent;
use super::Worker;
use super::partitions::{Held, is_gone};
use crate::clock::{Instant, now};
use crate::consumer::commit::CommitError;
use crate::consumer::position::Activity;
use crate::consumer::progress::Progress;
use crate::error::CallError;
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
pub(super) enum Purpose {
    Auto,
    Explicit(oneshot::Sender<Result<(), CommitError>>),
    /// These are let go of afterwards.
    LettingGo(Vec<TopicPartition>),
    /// The member leaves afterwards.
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
    /// The member's life in which it was asked for: the next one owns other partitions, and others may have come further
    /// in these.
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

    pub(super) const fn is_in_flight(&self) -> bool {
        self.in_flight
    }

    /// What failed last for the first that waits.
    pub(super) fn last_trouble(&self) -> Option<CallError> {
        self.queue.front().map(|first| first.last.clone())
    }

    /// Commits at the next opportunity, not only when the interval is over.
    pub(super) const fn hasten(&mut self, now: Instant) {
        self.next_auto = now;
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
    /// Puts a commit behind those that wait.
    pub(super) fn queue_commit(
        &mut self,
        items: Vec<CommitItem>,
        purpose: Purpose,
        deadline: Instant,
    ) {
        let (begun, last, life) = (now(), CallError::NoCoordinator, self.life());
        self.commits.queue.push_back(Sent { items, purpose, begun, deadline, last, life });
    }

    pub(super) fn commit_explicitly(
        &mut self,
        items: Vec<CommitItem>,
        reply: oneshot::Sender<Result<(), CommitError>>,
    ) {
        let deadline = now() + self.router.options().api_timeout;
        self.queue_commit(items, Purpose::Explicit(reply), deadline);
    }

    /// What the application is done with and nobody has committed: of these places on the board, or of all.
    pub(super) fn done_of(&self, indexes: Option<&[usize]>) -> Vec<CommitItem> {
        let drained: Vec<usize> = self.held.values().filter_map(Held::drained).collect();
        let board = self.shared.board();
        let mut items = Vec::new();
        for (index, track) in board.tracks.iter().enumerate() {
            let is_meant = match indexes {
                Some(indexes) => indexes.contains(&index),
                None => track.activity != Activity::Gone || drained.contains(&index),
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
            && !self.commits.is_waiting()
        {
            if now >= self.commits.next_auto {
                self.commits.next_auto = now + interval;
                let items = self.done_of(None);
                if !items.is_empty() {
                    let deadline = now + interval.max(self.router.options().request_timeout);
                    self.queue_commit(items, Purpose::Auto, deadline);
                }
            }
            self.wake_at = self.wake_at.min(self.commits.next_auto);
        }
        self.send_commit(now);
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

    pub(super) fn tell_failure(&self, outcome: Result<(), CommitError>) {
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
