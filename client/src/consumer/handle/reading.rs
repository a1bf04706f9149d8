//! How fetched bytes become batches and records: each batch is checked when its turn comes, and inflated only
//! for who takes it record by record.

use std::task::{Context, Poll};

use thalweg_protocol::Offset;
use thalweg_protocol::batch::{Batch, BatchReader};

use super::super::consumed::{ConsumedBatch, ConsumedRecord};
use super::super::options::OnCorrupt;
use super::super::position::{Activity, Item};
use super::{Chunk, Consumer, NO_STOP, Open, Place};
use crate::error::ConsumeError;

impl Consumer {
    pub(super) fn poll_record(
        &mut self,
        context: &Context<'_>,
    ) -> Poll<Option<Result<ConsumedRecord, ConsumeError>>> {
        self.settle();
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

    /// The call that follows: what was in hand is done with.
    fn settle(&mut self) {
        self.shared.polled();
        if let Some(place) = self.in_hand.take().and_then(|track| self.positions.get(track)) {
            place.progress.settle(place.position);
        }
        if !self.dealing_with.is_empty() {
            let tracks = std::mem::take(&mut self.dealing_with);
            self.shared.board().dealt_with(&tracks);
            self.shared.let_go.notify_one();
        }
    }

    /// The next record of the open batch; none when it has no more.
    fn take_record(&mut self) -> Option<Result<ConsumedRecord, ConsumeError>> {
        let open = self.batch.as_mut()?;
        let place = self.positions.get_mut(open.track)?;
        if place.progress.is_over() {
            let track = open.track;
            self.drop_chunk_of(track);
            return None;
        }
        loop {
            match open.records.next() {
                Some(Ok(record)) if record.offset < place.position => {}
                Some(Ok(record)) if record.offset >= place.stop => break,
                Some(Ok(record)) => {
                    place.position = record.offset.next();
                    self.in_hand = Some(open.track);
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

    pub(super) fn poll_batch(
        &mut self,
        context: &Context<'_>,
    ) -> Poll<Option<Result<ConsumedBatch, ConsumeError>>> {
        self.settle();
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
        place.progress.enter(whole.leader_epoch());
        self.move_to(track, next);
        self.in_hand = Some(track);
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
                    if let Some(place) = self.positions.get(track) {
                        place.progress.enter(batch.header.leader_epoch);
                    }
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
            if self.positions.get(track).is_some_and(|place| place.progress.is_over()) {
                self.release_chunk();
                continue;
            }
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
            // A marker, or a hole that compaction left, holds nothing to hand out.
            if header.attributes.is_control()
                || header.record_count == 0
                || position.is_some_and(|at| header.next_offset() <= at)
            {
                self.move_to(track, batch.header.next_offset());
                self.settle_track(track);
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
                self.chunk =
                    Some(Chunk { track, bytes: records.len(), batches: BatchReader::new(records) });
                Poll::Ready(Some(Ok(())))
            }
            Item::Moved { track, to } => {
                self.notice_tracks();
                self.take_over(track, to);
                // Finished at once, if it was moved to its end.
                self.move_to(track, to);
                Poll::Ready(Some(Ok(())))
            }
            Item::Event { event, tracks } if self.takes_events => {
                self.told = Some((event, tracks));
                // Not a wait: who takes events looks for one before it gives way.
                Poll::Pending
            }
            Item::Event { tracks, .. } => {
                if !tracks.is_empty() {
                    self.shared.board().dealt_with(&tracks);
                    self.shared.let_go.notify_one();
                }
                Poll::Ready(Some(Ok(())))
            }
            Item::Error { error, .. } => Poll::Ready(Some(Err(error))),
        }
    }

    /// A partition goes on at another place, perhaps as one that is new to this handle.
    fn take_over(&mut self, track: usize, to: Offset) {
        let board = self.shared.board();
        let (Some(place), Some(now)) = (self.positions.get_mut(track), board.tracks.get(track))
        else {
            return;
        };
        place.position = to;
        place.stop = now.stop.unwrap_or(NO_STOP);
        place.progress = now.progress.clone();
        place.progress.settle(to);
    }

    /// Nothing of the partition is in hand: all below its position is done with.
    fn settle_track(&self, track: usize) {
        if let Some(place) = self.positions.get(track) {
            place.progress.settle(place.position);
        }
    }

    /// Learns of partitions that were added.
    pub(super) fn notice_tracks(&mut self) {
        let board = self.shared.board();
        for track in board.tracks.iter().skip(self.positions.len()) {
            self.positions.push(Place {
                topic: track.topic.clone(),
                partition: track.partition,
                position: track.begin,
                stop: track.stop.unwrap_or(NO_STOP),
                progress: track.progress.clone(),
            });
        }
    }

    fn finish_batch(&mut self) {
        if let Some(open) = self.batch.take() {
            self.move_to(open.track, open.batch.header.next_offset());
            self.settle_track(open.track);
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
            self.shared.board().release(chunk.track, chunk.bytes);
            self.shared.wake.notify_one();
            if self.positions.get(chunk.track).is_some_and(|place| place.progress.is_over()) {
                self.shared.let_go.notify_one();
            }
        }
    }

    pub(super) fn drop_chunk_of(&mut self, track: usize) {
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
}
