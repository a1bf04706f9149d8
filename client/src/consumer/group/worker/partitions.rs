//! From a partition that the coordinator brings to one that is read, and back.

mod letting_go;

use std::collections::BTreeMap;

use thalweg_protocol::native::{FetchOffsetsRequest, FetchOffsetsResponse, PartitionOffset};
use thalweg_protocol::{ErrorCode, LeaderEpoch, MemberEpoch, Offset, TopicName, TopicPartition};

use super::super::event::{AssignedPartition, GroupEvent, GroupPartition};
use super::super::member::Target;
use super::calls::{Outcome, by_topic, failure};
use super::closing::Closing;
use super::{Failure, Worker};
use crate::clock::{Instant, now};
use crate::consumer::options::StartAt;
use crate::consumer::position::{Activity, Begin};
use crate::consumer::start::resolve;
use crate::error::{CallError, ConsumeError};
use crate::pool::Lane;
use crate::router::Router;

/// A partition that the member owns.
pub(super) struct Held {
    topic: TopicName,
    /// Which time it was brought.
    begun: u64,
    stage: Stage,
}

/// How far it is.
enum Stage {
    /// What was committed for it is to be asked.
    New,
    /// It is being asked, or a place to begin is looked for.
    Asked,
    /// It is on the board.
    Read { index: usize },
    /// It is taken away, and the application may have something of it in hand.
    LettingGo { index: usize, until: Instant },
    /// What is done is being committed.
    Committing { until: Instant },
}

impl Held {
    const fn index(&self) -> Option<usize> {
        match self.stage {
            Stage::Read { index } | Stage::LettingGo { index, .. } => Some(index),
            Stage::New | Stage::Asked | Stage::Committing { .. } => None,
        }
    }

    /// Its place on the board, while the application may have something of it in hand though it is taken away.
    pub(super) const fn drained(&self) -> Option<usize> {
        match self.stage {
            Stage::LettingGo { index, .. } => Some(index),
            _ => None,
        }
    }

    fn named(&self, at: TopicPartition) -> GroupPartition {
        GroupPartition { topic: self.topic.clone(), partition: at.partition }
    }
}

impl Worker {
    /// The coordinator brings partitions.
    pub(super) fn begin(&mut self, targets: Vec<Target>) {
        for Target { at, topic } in targets {
            self.begun += 1;
            self.router.metadata().want(&topic);
            self.held.insert(at, Held { topic, begun: self.begun, stage: Stage::New });
        }
    }

    /// Asks for what was committed for all that is new.
    pub(super) fn ask_for_offsets(&mut self, now: Instant) {
        if self.asking || !self.held.values().any(|held| matches!(held.stage, Stage::New)) {
            return;
        }
        let (Some(address), Some(member)) = (self.coordinator.clone(), &self.member) else {
            return;
        };
        if now < self.ask_at {
            self.wake_at = self.wake_at.min(self.ask_at);
            return;
        }
        let mut asked = Vec::new();
        for (at, held) in &mut self.held {
            if matches!(held.stage, Stage::New) {
                held.stage = Stage::Asked;
                asked.push((*at, held.begun));
            }
        }
        let partitions: Vec<_> = asked.iter().map(|(at, _)| *at).collect();
        let request = FetchOffsetsRequest {
            group: self.group.clone(),
            member: member.id().to_owned(),
            epoch: member.epoch(),
            topics: Some(by_topic(&partitions)),
        };
        self.asking = true;
        let (router, timeout) = (self.router.clone(), self.router.options().request_timeout);
        self.outcomes.push(Box::pin(async move {
            let answer = router.pool().call(&address, Lane::Control, &request, timeout).await;
            Outcome::Offsets { asked, answer }
        }));
    }

    pub(super) fn offsets_came(
        &mut self,
        asked: &[(TopicPartition, u64)],
        answer: Result<FetchOffsetsResponse, CallError>,
    ) {
        self.asking = false;
        let mut found = BTreeMap::new();
        match answer {
            Ok(answer) => {
                for topic in answer.topics {
                    found.extend(
                        topic
                            .partitions
                            .into_iter()
                            .map(|one| (TopicPartition::new(topic.topic, one.partition), one)),
                    );
                }
            }
            Err(error) => {
                tracing::debug!(group = %self.group, %error, "committed offsets not known yet");
                self.lose_coordinator(&error);
                // A membership that is over shows at the next heartbeat, which is sent at once.
                if matches!(failure(error), Failure::Fenced(_))
                    && let Some(member) = &mut self.member
                {
                    member.hurry(now());
                }
            }
        }
        let mut is_good = true;
        for (at, begun) in asked {
            let offset = found.remove(at).filter(|one| one.error.is_none());
            match (offset, self.held.get(at)) {
                (_, held) if held.is_none_or(|held| held.begun != *begun) => {}
                (Some(offset), Some(held)) => {
                    let topic = held.topic.clone();
                    self.find_place(*at, *begun, topic, &offset);
                }
                _ => {
                    is_good = false;
                    if let Some(held) = self.held.get_mut(at) {
                        held.stage = Stage::New;
                    }
                }
            }
        }
        if is_good {
            self.ask_backoff.reset();
        } else {
            self.ask_at = now() + self.ask_backoff.next(fastrand::f64());
        }
    }

    fn find_place(
        &self,
        at: TopicPartition,
        begun: u64,
        topic: TopicName,
        offset: &PartitionOffset,
    ) {
        let begin = Begin {
            topic,
            id: at.topic,
            partition: at.partition,
            at: offset.offset,
            last_epoch: offset.leader_epoch,
            origin: None,
            stop: None,
            committed: (offset.offset != Offset::NONE).then_some(offset.offset),
        };
        let (router, group) = (self.router.clone(), self.group.clone());
        let start = self.options.group.start;
        let is_new = self.known.as_ref().is_some_and(|known| !known.holds(at));
        let start = if is_new { StartAt::Earliest } else { start };
        let stop_at_end = self.options.stop_at_end;
        self.outcomes.push(Box::pin(async move {
            let outcome = place(&router, group, begin, start, stop_at_end).await;
            Outcome::Begun { at, begun, outcome }
        }));
    }

    pub(super) fn place_found(
        &mut self,
        at: TopicPartition,
        begun: u64,
        outcome: Result<Begin, ConsumeError>,
    ) {
        let Some(held) = self.held.get_mut(&at).filter(|held| held.begun == begun) else {
            return;
        };
        let mut board = self.shared.board();
        match outcome {
            Ok(begin) => {
                let index = board.begin(&begin);
                held.stage = Stage::Read { index };
                let event = GroupEvent::Assigned {
                    partitions: vec![AssignedPartition {
                        topic: begin.topic,
                        partition: begin.partition,
                        offset: begin.at,
                        committed: begin.committed.is_some(),
                    }],
                };
                board.push_event(event.clone(), Vec::new());
                drop(board);
                // Whoever has it next must not begin at a later end.
                if begin.origin.is_some_and(|start| start != StartAt::Earliest) {
                    self.commits.hasten(now());
                }
                self.tell(&event);
            }
            // The leaders cannot be reached, or the topic is on its way out: asked again as long as it is owned.
            Err(error)
                if error.code().is_none_or(ErrorCode::is_retriable)
                    && !matches!(error, ConsumeError::NothingCommitted { .. }) =>
            {
                drop(board);
                held.stage = Stage::New;
                tracing::debug!(group = %self.group, %error, "no place to begin yet");
                self.ask_at = now() + self.ask_backoff.next(fastrand::f64());
            }
            Err(error) => {
                // Read nowhere until a seek.
                let begin = Begin {
                    topic: held.topic.clone(),
                    id: at.topic,
                    partition: at.partition,
                    at: Offset::ZERO,
                    last_epoch: LeaderEpoch::UNCHECKED,
                    origin: None,
                    stop: None,
                    committed: None,
                };
                let index = board.begin(&begin);
                board.fail(index, error, true);
                drop(board);
                held.stage = Stage::Read { index };
            }
        }
        self.shared.wake.notify_one();
        self.hold_board_open();
    }

    /// The stream goes on as long as the group may bring something. With an end in sight it is over when all that is owned
    /// has reached it.
    pub(super) fn hold_board_open(&self) {
        let Some(member) = &self.member else {
            return;
        };
        let mut board = self.shared.board();
        let is_read = |held: &Held| match held.stage {
            Stage::Read { index } => board
                .tracks
                .get(index)
                .is_some_and(|track| !matches!(track.activity, Activity::Gone)),
            _ => false,
        };
        let has_its_end =
            self.options.stop_at_end && !self.held.is_empty() && self.held.values().all(is_read);
        let is_closing = self.closing.as_ref().is_some_and(Closing::is_last);
        let is_open = !member.is_failed() && !is_closing && !has_its_end;
        board.hold_open(is_open);
    }

    /// The epoch under which the coordinator is asked; none when nothing can be asked now.
    pub(super) fn asks_as(&self) -> Option<(String, MemberEpoch)> {
        match &self.member {
            None => Some((String::new(), MemberEpoch::NONE)),
            Some(member) => member.is_joined().then(|| (member.id().to_owned(), member.epoch())),
        }
    }
}

/// Where to begin: where the group has committed, else where the policy says.
async fn place(
    router: &Router,
    group: String,
    mut begin: Begin,
    start: StartAt,
    stop_at_end: bool,
) -> Result<Begin, ConsumeError> {
    if begin.committed.is_none() {
        if start == StartAt::Committed {
            let (topic, partition) = (begin.topic.to_string(), begin.partition);
            return Err(ConsumeError::NothingCommitted { group, topic, partition });
        }
        begin.at = resolve(router, &begin.topic, begin.partition, start).await?;
        begin.origin = Some(start);
        begin.last_epoch = LeaderEpoch::UNCHECKED;
    }
    if stop_at_end {
        let end = resolve(router, &begin.topic, begin.partition, StartAt::Latest).await?;
        begin.stop = Some(end);
    }
    Ok(begin)
}

/// Nothing that a reader could do about: the partition's answer holds an error.
pub(super) fn is_gone(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::UnknownTopic | ErrorCode::UnknownPartition)
}
