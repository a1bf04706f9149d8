//! The handle of a consumer: checks what was fetched and hands it out.

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
use super::options::{ConsumerOptions, OnCorrupt, StartAt};
use super::position::{Activity, Item};
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

    fn poll_record(
        &mut self,
        context: &Context<'_>,
    ) -> Poll<Option<Result<ConsumedRecord, ConsumeError>>> {
        loop {
            if let Some(outcome) = self.take_record() {
                return Poll::Ready(Some(outcome));
            }
            match self.poll_open(context) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Poll::Ready(None),
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The next record of the open batch; none when it has no more.
    fn take_record(&mut self) -> Option<Result<ConsumedRecord, ConsumeError>> {
        let open = self.batch.as_mut()?;
        let place = self.positions.get_mut(open.track)?;
        loop {
            match open.records.next() {
                Some(Ok(record)) if record.offset < place.position => {}
                Some(Ok(record)) if record.offset >= place.stop => break,
                Some(Ok(record)) => {
                    place.position = record.offset.next();
                    return Some(Ok(ConsumedRecord {
                        topic: place.topic.clone(),
                        partition: place.partition,
                        offset: record.offset,
                        leader_epoch: open.epoch,
                        timestamp: record.timestamp,
                        key: record.key,
                        value: record.value,
                        headers: record.headers,
                    }));
                }
                Some(Err(error)) => {
                    let (track, batch) = (open.track, open.batch.clone());
                    self.batch = None;
                    return self.corrupt(track, &batch, &error.to_string()).map(Err);
                }
                None => break,
            }
        }
        self.finish_batch();
        None
    }

    fn poll_batch(
        &mut self,
        context: &Context<'_>,
    ) -> Poll<Option<Result<ConsumedBatch, ConsumeError>>> {
        loop {
            if let Some(open) = self.batch.take()
                && let Some(rest) = self.whole(open.track, open.batch)
            {
                return Poll::Ready(Some(Ok(rest)));
            }
            match self.poll_raw(context) {
                Poll::Ready(Ok(Some((track, batch)))) => {
                    if let Some(consumed) = self.whole(track, batch) {
                        return Poll::Ready(Some(Ok(consumed)));
                    }
                }
                Poll::Ready(Ok(None)) => return Poll::Ready(None),
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// A batch to hand out, from the partition's position on.
    fn whole(&mut self, track: usize, batch: Batch) -> Option<ConsumedBatch> {
        let place = self.positions.get(track)?;
        let next = batch.header.next_offset();
        let whole = ConsumedBatch {
            topic: place.topic.clone(),
            partition: place.partition,
            batch,
            from: place.position,
            below: place.stop,
            inflated_bytes_max: self.options.inflated_bytes_max,
        };
        self.move_to(track, next);
        Some(whole)
    }

    /// Opens the next batch for [`Self::take_record`]; false when nothing is left to read.
    fn poll_open(&mut self, context: &Context<'_>) -> Poll<Result<bool, ConsumeError>> {
        loop {
            let Some((track, batch)) = std::task::ready!(self.poll_raw(context))? else {
                return Poll::Ready(Ok(false));
            };
            let bytes_max = self.options.inflated_bytes_max;
            match batch.records_within(bytes_max, &mut self.scratch) {
                Ok(records) => {
                    self.batch = Some(Open {
                        track,
                        epoch: batch.header.leader_epoch,
                        records: records.into_iter(),
                        batch,
                    });
                    return Poll::Ready(Ok(true));
                }
                Err(error) => {
                    if let Some(error) = self.corrupt(track, &batch, &error.to_string()) {
                        return Poll::Ready(Err(error));
                    }
                }
            }
        }
    }

    /// The next batch with records that are wanted, checked but not inflated; none when nothing is left.
    fn poll_raw(
        &mut self,
        context: &Context<'_>,
    ) -> Poll<Result<Option<(usize, Batch)>, ConsumeError>> {
        loop {
            let Some(chunk) = &mut self.chunk else {
                match std::task::ready!(self.poll_item(context)) {
                    Some(Ok(())) => continue,
                    Some(Err(error)) => return Poll::Ready(Err(error)),
                    None => return Poll::Ready(Ok(None)),
                }
            };
            let track = chunk.track;
            let Some(batch) = chunk.batches.next() else {
                self.release_chunk();
                continue;
            };
            // The fetcher has walked over the headers, so each can be read.
            let Ok(batch) = batch else {
                self.release_chunk();
                continue;
            };
            let header = &batch.header;
            let position = self.positions.get(track).map(|place| place.position);
            if header.attributes.is_control() || position.is_some_and(|at| header.next_offset() <= at) {
                self.move_to(track, batch.header.next_offset());
                continue;
            }
            if self.options.check_crcs
                && let Err(error) = batch.verify_checksum()
            {
                match self.corrupt(track, &batch, &error.to_string()) {
                    Some(error) => return Poll::Ready(Err(error)),
                    None => continue,
                }
            }
            return Poll::Ready(Ok(Some((track, batch))));
        }
    }

    /// Takes the next item from the fetcher; none when nothing is left to read.
    fn poll_item(&mut self, context: &Context<'_>) -> Poll<Option<Result<(), ConsumeError>>> {
        let item = {
            let mut board = self.shared.board();
            match board.pop(context.waker()) {
                Some(item) => item,
                None if board.is_over() => return Poll::Ready(None),
                None => return Poll::Pending,
            }
        };
        match item {
            Item::Data { track, records } => {
                if track >= self.positions.len() {
                    self.notice_tracks();
                }
                self.chunk = Some(Chunk {
                    track,
                    bytes: records.len(),
                    batches: BatchReader::new(records),
                });
                Poll::Ready(Some(Ok(())))
            }
            Item::Moved { track, to } => {
                self.notice_tracks();
                if let Some(place) = self.positions.get_mut(track) {
                    place.position = to;
                }
                // Finished at once, if it was moved to its end.
                self.move_to(track, to);
                Poll::Ready(Some(Ok(())))
            }
            Item::Error { error, .. } => Poll::Ready(Some(Err(error))),
        }
    }

    /// Learns of partitions that were added.
    fn notice_tracks(&mut self) {
        let board = self.shared.board();
        for track in board.tracks.iter().skip(self.positions.len()) {
            self.positions.push(Place {
                topic: track.topic.clone(),
                partition: track.partition,
                position: track.begin,
                stop: track.stop.unwrap_or(NO_STOP),
            });
        }
    }

    fn finish_batch(&mut self) {
        if let Some(open) = self.batch.take() {
            self.move_to(open.track, open.batch.header.next_offset());
        }
    }

    /// All below `next` is handed out. At its end the partition is finished.
    fn move_to(&mut self, track: usize, next: Offset) {
        let Some(place) = self.positions.get_mut(track) else {
            return;
        };
        place.position = place.position.max(next.min(place.stop));
        if place.position >= place.stop {
            self.drop_chunk_of(track);
            self.shared.board().end(track, Activity::Finished);
        }
    }

    fn release_chunk(&mut self) {
        if let Some(chunk) = self.chunk.take() {
            self.shared.board().release(chunk.bytes);
            self.shared.wake.notify_one();
        }
    }

    fn drop_chunk_of(&mut self, track: usize) {
        if self.chunk.as_ref().is_some_and(|chunk| chunk.track == track) {
            self.release_chunk();
        }
        if self.batch.as_ref().is_some_and(|open| open.track == track) {
            self.batch = None;
        }
    }

    /// A batch that is damaged: skipped when that was wished for, else the partition stops.
    fn corrupt(&mut self, track: usize, batch: &Batch, message: &str) -> Option<ConsumeError> {
        let place = self.positions.get(track)?;
        let next_good = batch.header.next_offset();
        let error = ConsumeError::Corrupt {
            topic: place.topic.to_string(),
            partition: place.partition,
            offset: batch.header.base_offset,
            next_good,
            message: message.to_owned(),
        };
        if self.options.on_corrupt == OnCorrupt::Skip {
            tracing::warn!(%error, "skipping a damaged batch");
            self.move_to(track, next_good);
            return None;
        }
        self.drop_chunk_of(track);
        self.shared.board().end(track, Activity::Stopped);
        Some(error)
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
            records: track
                .high_watermark
                .map(|end| end.since(place.position).max(0)),
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
            let listed = self
                .router
                .list_offset(&place.topic, place.partition, OffsetQuery::Latest);
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
        found.ok_or_else(|| ConsumeError::NotAssigned {
            topic: topic.to_owned(),
            partition,
        })
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
