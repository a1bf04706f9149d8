//! The handle of a consumer: what callers hold.

mod reading;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::future::try_join_all;
use thalweg_protocol::batch::{Batch, BatchReader, OwnedRecords, Scratch};
use thalweg_protocol::native::OffsetQuery;
use thalweg_protocol::{LeaderEpoch, Offset, PartitionIndex, TopicName};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::consumed::{ConsumedBatch, ConsumedRecord, Lag};
use super::fetcher::{Fetcher, Shared};
use super::options::{ConsumerOptions, StartAt};
use super::position::Activity;
use super::start::{consume_error, resolve, tracks};
use crate::client::Client;
use crate::error::ConsumeError;
use crate::record::Partition;
use crate::router::Router;

/// Reads records of the partitions assigned to it, in order for each partition.
///
/// A [`Stream`] of records; [`Self::next_batch`] is the fast way. The stream ends when no partition is
/// left to read: all have reached the end that was asked for, or stopped after an error. An error
/// stops its partition only (except [`ConsumeError::Unreachable`], which stops none); [`Self::seek`]
/// starts it again.
///
/// ```no_run
/// # async fn example(client: thalweg_client::Client) -> Result<(), thalweg_client::ConsumeError> {
/// use thalweg_client::StartAt;
///
/// let mut consumer = client.consumer().topic("events", StartAt::Earliest).stop_at_end().build().await?;
/// while let Some(record) = consumer.next().await {
///     let record = record?;
///     println!("{}/{}: {:?}", record.partition, record.offset, record.value);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Consumer {
    router: Arc<Router>,
    options: Arc<ConsumerOptions>,
    shared: Arc<Shared>,
    /// By track: the offset of the next record that is handed out.
    positions: Vec<Place>,
    chunk: Option<Chunk>,
    batch: Option<Open>,
    scratch: Scratch,
    /// Ends the fetcher with this handle.
    _stop: DropGuard,
}

/// What the handle keeps of a partition, so that it needs no lock for a record.
struct Place {
    topic: TopicName,
    partition: PartitionIndex,
    position: Offset,
    stop: Offset,
}

/// Fetched bytes that are being handed out.
struct Chunk {
    track: usize,
    batches: BatchReader,
    bytes: usize,
}

/// The batch that is being handed out.
struct Open {
    track: usize,
    batch: Batch,
    records: OwnedRecords,
    epoch: LeaderEpoch,
}

/// No end was asked for.
const NO_STOP: Offset = Offset::new(i64::MAX);

impl Consumer {
    pub(super) async fn start(
        client: &Client,
        options: ConsumerOptions,
    ) -> Result<Self, ConsumeError> {
        let router = client.router().clone();
        let options = Arc::new(options);
        let shared = Arc::new(Shared::new(tracks(&router, &options).await?));
        let stop = CancellationToken::new();
        let fetcher = Fetcher::new(router.clone(), options.clone(), shared.clone(), stop.clone());
        let mut consumer = Self {
            router,
            options,
            shared,
            positions: Vec::new(),
            chunk: None,
            batch: None,
            scratch: Scratch::new(),
            _stop: stop.drop_guard(),
        };
        consumer.notice_tracks();
        tokio::spawn(fetcher.run());
        Ok(consumer)
    }

    /// The next record. Waits until there is one; none when nothing is left to read.
    pub async fn next(&mut self) -> Option<Result<ConsumedRecord, ConsumeError>> {
        std::future::poll_fn(|context| self.poll_record(context)).await
    }

    /// The next batch as it is stored, or what is left of the one that [`Self::next`] hands out.
    pub async fn next_batch(&mut self) -> Option<Result<ConsumedBatch, ConsumeError>> {
        std::future::poll_fn(|context| self.poll_batch(context)).await
    }

    /// Goes on at another place, also after an error or a pause; what was read ahead is thrown away.
    pub async fn seek(
        &mut self,
        topic: &str,
        partition: impl Into<Partition>,
        at: StartAt,
    ) -> Result<(), ConsumeError> {
        let partition = partition.into().0;
        let track = self.track(topic, partition)?;
        let name = TopicName::new(topic).map_err(crate::ConfigError::from)?;
        let offset = resolve(&self.router, &name, partition, at).await?;
        let is_paused = self.activity(track) == Some(Activity::Paused);
        self.restart(track, offset, is_paused);
        Ok(())
    }

    fn restart(&mut self, track: usize, offset: Offset, is_paused: bool) {
        self.drop_chunk_of(track);
        let Some(place) = self.positions.get_mut(track) else {
            return;
        };
        place.position = offset;
        let activity = match is_paused {
            _ if offset >= place.stop => Activity::Finished,
            true => Activity::Paused,
            false => Activity::Reading,
        };
        self.shared.board().restart(track, offset, activity);
        self.shared.wake.notify_one();
    }

    /// Hands out no more of a partition until [`Self::resume`]. What was read ahead of it is thrown away, so
    /// that others have the memory.
    pub fn pause(
        &mut self,
        topic: &str,
        partition: impl Into<Partition>,
    ) -> Result<(), ConsumeError> {
        let track = self.track(topic, partition.into().0)?;
        if self.activity(track) == Some(Activity::Reading) {
            let position = self.positions.get(track).map(|place| place.position);
            self.restart(track, position.unwrap_or(Offset::ZERO), true);
        }
        Ok(())
    }

    /// Goes on with a paused partition where it was.
    pub fn resume(
        &mut self,
        topic: &str,
        partition: impl Into<Partition>,
    ) -> Result<(), ConsumeError> {
        let track = self.track(topic, partition.into().0)?;
        if self.activity(track) == Some(Activity::Paused) {
            let position = self.positions.get(track).map(|place| place.position);
            self.restart(track, position.unwrap_or(Offset::ZERO), false);
        }
        Ok(())
    }

    /// The offset of the next record that is handed out; none when the partition is not assigned.
    pub fn position(&self, topic: &str, partition: impl Into<Partition>) -> Option<Offset> {
        let partition = partition.into().0;
        let mut places = self.positions.iter();
        places
            .find(|place| place.topic.as_str() == topic && place.partition == partition)
            .map(|place| place.position)
    }

    /// What is read, and how far behind the log end it is, as of the last fetch of each partition.
    pub fn lag(&self) -> Vec<Lag> {
        let board = self.shared.board();
        let places = self.positions.iter().zip(&board.tracks);
        let lag = places.map(|(place, track)| Lag {
            topic: place.topic.clone(),
            partition: place.partition,
            position: place.position,
            high_watermark: track.high_watermark,
            records: track.high_watermark.map(|end| end.since(place.position).max(0)),
        });
        lag.collect()
    }

    /// Bytes that are read ahead now.
    pub fn prefetched_bytes(&self) -> usize {
        self.shared.board().buffered_bytes()
    }

    /// The ends of the logs now, asked of the leaders: readers see what is below.
    pub async fn end_offsets(
        &self,
    ) -> Result<Vec<(TopicName, PartitionIndex, Offset)>, ConsumeError> {
        let asked = self.positions.iter().map(|place| async {
            let listed =
                self.router.list_offset(&place.topic, place.partition, OffsetQuery::Latest);
            let end = listed.await.map_err(consume_error)?.offset;
            Ok((place.topic.clone(), place.partition, end))
        });
        try_join_all(asked).await
    }

    fn activity(&self, track: usize) -> Option<Activity> {
        let board = self.shared.board();
        board.tracks.get(track).map(|track| track.activity)
    }

    fn track(&mut self, topic: &str, partition: PartitionIndex) -> Result<usize, ConsumeError> {
        self.notice_tracks();
        let found = self.shared.board().find(topic, partition);
        found.ok_or_else(|| ConsumeError::NotAssigned { topic: topic.to_owned(), partition })
    }
}

impl Stream for Consumer {
    type Item = Result<ConsumedRecord, ConsumeError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_record(context)
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("options", &self.options)
            .field("lag", &self.lag())
            .finish_non_exhaustive()
    }
}
