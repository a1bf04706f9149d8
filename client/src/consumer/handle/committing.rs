//! A consumer's group: events, commits, leaving.

use std::collections::BTreeMap;
use std::task::{Context, Poll};
use std::time::Duration;

use thalweg_protocol::native::{FetchOffsetsRequest, GroupPartitions};
use thalweg_protocol::{ErrorCode, MemberEpoch, Offset, PartitionIndex, TopicName, TopicPartition};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::super::commit::{CommitError, CommitOffset, Committed};
use super::super::consumed::ConsumedRecord;
use super::super::group::{
    Command, CommitItem, Event, GroupHandle, GroupPartition, GroupStart, Known,
};
use super::super::options::StartAt;
use super::super::position::Activity;
use super::super::start::consume_error;
use super::Consumer;
use crate::clock::millis;
use crate::error::{AdminError, CallError, ConfigError, ConsumeError};
use crate::record::Partition;
use crate::router::only;

impl Consumer {
    /// Becomes a member, or only prepares to commit.
    pub(super) async fn join(&mut self, mut start: GroupStart) -> Result<(), ConsumeError> {
        let is_member = self.options.group.subscription.is_some();
        if let (Some(wanted), StartAt::Latest) =
            (&self.options.group.subscription, self.options.group.start)
        {
            start.known = Some(Known::ask(&self.router, wanted).await?);
        }
        let (handle, joined) = start.spawn();
        self.group = Some(handle);
        if !is_member {
            return Ok(());
        }
        let limit = self.router.options().api_timeout;
        match timeout(limit, joined).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(self.not_joined(limit)),
        }
    }

    /// Why there is no membership after so long.
    fn not_joined(&self, waited: Duration) -> ConsumeError {
        let operation = format!("join group {}", self.group_name());
        match self.group.as_ref().and_then(GroupHandle::trouble) {
            // It has answered all the time: another process has the name.
            Some(CallError::Refused { error, .. }) if error.code == ErrorCode::InstanceInUse => {
                ConsumeError::Refused { operation, code: error.code, message: error.message }
            }
            trouble => ConsumeError::Unreachable {
                operation,
                waited_ms: u64::from(millis(waited)),
                last: trouble.unwrap_or(CallError::NoCoordinator),
            },
        }
    }

    fn group_name(&self) -> &str {
        self.options.group.group.as_deref().unwrap_or_default()
    }

    /// The next record, or what happened in the group. An event counts as dealt with at the next call, as a record does:
    /// partitions of a [`GroupEvent::Revoking`](crate::GroupEvent::Revoking) are let go then, so there is time to finish
    /// and commit what was collected.
    pub async fn next_event(&mut self) -> Option<Result<Event, ConsumeError>> {
        self.shared.board().want_events();
        std::future::poll_fn(|context| self.poll_event(context)).await
    }

    fn poll_event(&mut self, context: &Context<'_>) -> Poll<Option<Result<Event, ConsumeError>>> {
        self.takes_events = true;
        let polled = self.poll_record(context);
        self.takes_events = false;
        if let Some((event, tracks)) = self.told.take() {
            self.dealing_with = tracks;
            return Poll::Ready(Some(Ok(Event::Group(*event))));
        }
        polled.map(|outcome| outcome.map(|record| record.map(Event::Record)))
    }

    /// Commits the position of every partition: all that was handed out counts as done, also what was handed out last.
    pub async fn commit(&mut self) -> Result<(), CommitError> {
        let items = {
            let board = self.shared.board();
            let mut items = Vec::new();
            for (index, (place, track)) in self.positions.iter().zip(&board.tracks).enumerate() {
                // One that is being taken away is the application's until it is let go.
                let is_gone = place.progress.is_over() && board.has_let_go(index);
                if is_gone || place.position == place.progress.committed() {
                    continue;
                }
                items.push(CommitItem {
                    at: TopicPartition::new(track.id, track.partition),
                    topic: place.topic.clone(),
                    offset: place.position,
                    leader_epoch: place.progress.epoch(),
                    metadata: String::new(),
                    progress: Some(place.progress.clone()),
                });
            }
            items
        };
        self.send_commit(items).await
    }

    /// Commits that these records are done, and with them all before them in their partitions.
    ///
    /// ```no_run
    /// # async fn example(mut consumer: thalweg_client::Consumer) -> Result<(), Box<dyn std::error::Error>> {
    /// while let Some(record) = consumer.next().await {
    ///     let record = record?;
    ///     // … work on it …
    ///     consumer.commit_records([&record]).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn commit_records<'a>(
        &self,
        records: impl IntoIterator<Item = &'a ConsumedRecord>,
    ) -> Result<(), CommitError> {
        let mut last: BTreeMap<(&TopicName, PartitionIndex), &ConsumedRecord> = BTreeMap::new();
        for record in records {
            let known = last.entry((&record.topic, record.partition)).or_insert(record);
            if record.offset > known.offset {
                *known = record;
            }
        }
        self.commit_offsets(last.into_values().map(CommitOffset::after)).await
    }

    /// Commits these offsets, with their notes.
    pub async fn commit_offsets(
        &self,
        offsets: impl IntoIterator<Item = CommitOffset>,
    ) -> Result<(), CommitError> {
        let mut items = Vec::new();
        for offset in offsets {
            items.push(self.item(offset).await?);
        }
        self.send_commit(items).await
    }

    async fn item(&self, wanted: CommitOffset) -> Result<CommitItem, CommitError> {
        let topic = TopicName::new(&wanted.topic).map_err(ConfigError::from)?;
        let known = {
            let board = self.shared.board();
            let index = board.find_assigned(&wanted.topic, wanted.partition);
            let track = index.and_then(|index| board.tracks.get(index));
            track.map(|track| (track.id, Some(track.progress.clone())))
        };
        let (id, progress) = if let Some(known) = known {
            known
        } else {
            let group = self.group_name();
            let operation = format!("commit an offset of topic {topic} for group {group}");
            let id = self.router.topic_id(&operation, &topic).await.map_err(CommitError::Lookup)?;
            (id, None)
        };
        Ok(CommitItem {
            at: TopicPartition::new(id, wanted.partition),
            topic,
            offset: wanted.offset,
            leader_epoch: wanted.leader_epoch,
            metadata: wanted.metadata,
            progress,
        })
    }

    async fn send_commit(&self, mut items: Vec<CommitItem>) -> Result<(), CommitError> {
        let Some(group) = &self.group else {
            return Err(CommitError::NoGroup);
        };
        if items.is_empty() {
            return Ok(());
        }
        items.sort_by_key(|item| item.at);
        let (reply, outcome) = oneshot::channel();
        if !group.send(Command::Commit { items, reply }).await {
            return Err(CommitError::Closed);
        }
        outcome.await.unwrap_or(Err(CommitError::Closed))
    }

    /// What the group has committed for a partition, asked of its coordinator; none when it has committed nothing.
    pub async fn committed(
        &self,
        topic: &str,
        partition: impl Into<Partition>,
    ) -> Result<Option<Committed>, AdminError> {
        let name = TopicName::new(topic).map_err(ConfigError::from)?;
        self.ask_committed(&name, partition.into().0).await
    }

    async fn ask_committed(
        &self,
        topic: &TopicName,
        partition: PartitionIndex,
    ) -> Result<Option<Committed>, AdminError> {
        let Some(group) = self.options.group.group.as_deref() else {
            return Err(ConfigError::NoGroup.into());
        };
        self.router.committed(group, topic, partition).await
    }

    pub(super) async fn committed_offset(
        &self,
        topic: &TopicName,
        partition: PartitionIndex,
    ) -> Result<Offset, ConsumeError> {
        let committed = self.ask_committed(topic, partition).await.map_err(consume_error)?;
        let nothing = || ConsumeError::NothingCommitted {
            group: self.group_name().to_owned(),
            topic: topic.to_string(),
            partition,
        };
        committed.map(|committed| committed.offset).ok_or_else(nothing)
    }

    /// The partitions that are read now.
    pub fn assignment(&self) -> Vec<GroupPartition> {
        let board = self.shared.board();
        let assigned = board.tracks.iter().filter(|track| track.activity != Activity::Gone);
        let named = assigned
            .map(|track| GroupPartition { topic: track.topic.clone(), partition: track.partition });
        named.collect()
    }

    /// The member's id in its present life, as the broker describes it; none when the consumer is no member.
    pub fn member_id(&self) -> Option<String> {
        let is_member = self.options.group.subscription.is_some();
        self.group.as_ref().filter(|_| is_member).map(GroupHandle::member_id)
    }

    /// Ends the consumer: all that was handed out counts as done and is committed (unless that is left to the
    /// application), and the member leaves its group at once, so that others go on within a second. A static member
    /// leaves for a while: its partitions wait for it for its session timeout.
    ///
    /// Dropping a consumer does the same in the background, but for the record that was handed out last.
    pub async fn close(self) -> Result<(), CommitError> {
        self.end(false).await
    }

    /// As [`Self::close`]; a static member gives up its partitions, too.
    pub async fn leave(self) -> Result<(), CommitError> {
        self.end(true).await
    }

    async fn end(mut self, for_good: bool) -> Result<(), CommitError> {
        if let Some(place) = self.in_hand.take().and_then(|track| self.positions.get(track)) {
            place.progress.settle(place.position);
        }
        let Some(group) = &self.group else {
            return Ok(());
        };
        let (reply, outcome) = oneshot::channel();
        if !group.send(Command::Close { for_good, reply }).await {
            return Err(CommitError::Closed);
        }
        outcome.await.unwrap_or(Err(CommitError::Closed))
    }
}

impl crate::router::Router {
    /// What a group has committed for a partition.
    pub(crate) async fn committed(
        &self,
        group: &str,
        topic: &TopicName,
        partition: PartitionIndex,
    ) -> Result<Option<Committed>, AdminError> {
        let operation = format!(
            "find what group {group} has committed for partition {partition} of topic {topic}"
        );
        let id = self.topic_id(&operation, topic).await?;
        let request = FetchOffsetsRequest {
            group: group.to_owned(),
            member: String::new(),
            epoch: MemberEpoch::NONE,
            topics: Some(vec![GroupPartitions { topic: id, partitions: vec![partition] }]),
        };
        self.ask_coordinator(&operation, group, &request, |answer, _| {
            let found = only(only(answer.topics)?.partitions)?;
            if let Some(error) = found.error {
                return Err(error);
            }
            Ok((found.offset != Offset::NONE).then(|| Committed {
                topic: topic.clone(),
                partition,
                offset: found.offset,
                leader_epoch: found.leader_epoch,
                metadata: found.metadata,
                time: found.commit_time,
            }))
        })
        .await
    }
}
