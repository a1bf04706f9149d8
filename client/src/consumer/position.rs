//! Where each partition stands: what to fetch next, what was read ahead, and why it may have stopped.
//!
//! Shared by the consumer's handle and its fetcher under one short mutex. Pure: time is handed in, nothing is
//! sent. A seek raises the partition's generation, and what was fetched under an older one is thrown away.
//!
//! ```text
//!     40 41 42 43 44 | 45 46 47 48 | 49 50
//!     ^ position       read ahead    ^ fetch from              handed out next, and asked for next
//! ```
//!
//! Invariants: what is read ahead of a partition is contiguous up to `fetch_from`; `buffered_bytes` counts what
//! waits in the queue and what the handle has open.

mod ahead;
mod group;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use thalweg_protocol::batch::{BatchError, BatchHeader, HEADER_BYTES};
use thalweg_protocol::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName};

pub(crate) use ahead::{Ahead, pays_to_go_ahead};
pub(crate) use group::Begin;

use super::group::GroupEvent;
use super::options::StartAt;
use super::progress::Progress;
use crate::clock::Instant;
use crate::error::ConsumeError;

/// Whether a partition is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    Reading,
    Paused,
    /// After an error, until a seek.
    Stopped,
    /// Its end was reached.
    Finished,
    /// The group gave it to somebody else.
    Gone,
}

/// One partition.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) topic: TopicName,
    pub(crate) id: TopicId,
    pub(crate) partition: PartitionIndex,
    pub(crate) activity: Activity,
    pub(crate) generation: u64,
    /// Where it began.
    pub(crate) begin: Offset,
    pub(crate) fetch_from: Offset,
    /// The epoch of the last record fetched: lets the leader notice that the log was cut.
    pub(crate) last_epoch: LeaderEpoch,
    /// Where it began, as long as nothing was fetched since: found anew if the log moved on meanwhile.
    pub(crate) origin: Option<StartAt>,
    /// Read only what is below.
    pub(crate) stop: Option<Offset>,
    /// The generation under which a fetch, or a search for where to begin, is under way.
    pub(crate) under_way: Option<u64>,
    /// Of the answer to that fetch, once it is arriving.
    pub(crate) ahead: Option<Ahead>,
    pub(crate) high_watermark: Option<Offset>,
    pub(crate) retry_at: Option<Instant>,
    /// Since when no fetch has succeeded though one was due.
    pub(crate) failing_since: Option<Instant>,
    pub(crate) missing_since: Option<Instant>,
    /// How far the handle is; another one for each time that a group assigns the partition.
    pub(crate) progress: Arc<Progress>,
    /// The handle has records of it in hand.
    pub(crate) in_hand: bool,
    /// The handle has yet to hear that it is taken away.
    pub(crate) untold: bool,
}

impl Track {
    pub(crate) fn new(
        topic: &TopicName,
        id: TopicId,
        partition: PartitionIndex,
        at: Offset,
        origin: Option<StartAt>,
    ) -> Self {
        Self {
            topic: topic.clone(),
            id,
            partition,
            activity: Activity::Reading,
            generation: 0,
            begin: at,
            fetch_from: at,
            last_epoch: LeaderEpoch::UNCHECKED,
            origin,
            stop: None,
            under_way: None,
            ahead: None,
            high_watermark: None,
            retry_at: None,
            failing_since: None,
            missing_since: None,
            progress: Arc::new(Progress::new(at)),
            in_hand: false,
            untold: false,
        }
    }

    /// Begins here, by its policy.
    pub(crate) fn begin_at(&mut self, at: Offset) {
        self.begin = at;
        self.fetch_from = at;
        self.progress = Arc::new(Progress::new(at));
    }

    /// Goes on where a group has committed.
    pub(crate) fn go_on_from(&mut self, at: Offset, epoch: LeaderEpoch) {
        self.begin_at(at);
        self.last_epoch = epoch;
        self.origin = None;
        self.progress.enter(epoch);
        self.progress.commit(at);
    }

    /// Whether it has a place to go on from: not when it stopped before it had one.
    pub(crate) fn is_placed(&self) -> bool {
        self.activity != Activity::Stopped || self.progress.done() != self.begin
    }

    /// Whether nothing more is read of it.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.activity, Activity::Stopped | Activity::Finished | Activity::Gone)
    }

    /// What is under way comes to nothing.
    pub(crate) const fn outdate(&mut self) {
        self.generation += 1;
        self.ahead = None;
    }

    /// Whether it wants to be fetched, apart from memory.
    pub(crate) fn is_hungry(&self) -> bool {
        self.activity == Activity::Reading
            && self.under_way != Some(self.generation)
            && self.stop.is_none_or(|stop| self.fetch_from < stop)
    }
}

/// What the handle takes from the queue.
#[derive(Debug)]
pub(crate) enum Item {
    /// Whole batches, not checked yet.
    Data { track: usize, records: Bytes },
    /// The partition goes on elsewhere, lower or higher than it was.
    Moved { track: usize, to: Offset },
    /// An error; the partition may have stopped. None speaks of the whole group.
    Error { track: Option<usize>, error: ConsumeError },
    /// Something happened in the group; `tracks` are taken away once the handle has dealt with it.
    Event { event: Box<GroupEvent>, tracks: Vec<usize> },
}

impl Item {
    const fn track(&self) -> Option<usize> {
        match self {
            Self::Data { track, .. } | Self::Moved { track, .. } => Some(*track),
            Self::Error { track, .. } => *track,
            Self::Event { .. } => None,
        }
    }
}

/// All partitions of a consumer.
#[derive(Debug, Default)]
pub(crate) struct Board {
    pub(crate) tracks: Vec<Track>,
    queue: VecDeque<Item>,
    buffered_bytes: usize,
    /// The handle's task, when it waits.
    waker: Option<Waker>,
    /// A group may still bring partitions.
    held_open: bool,
    /// The handle asks for events, not only for records.
    wants_events: bool,
}

impl Board {
    pub(crate) const fn buffered_bytes(&self) -> usize {
        self.buffered_bytes
    }

    /// The next item, or none: then `waker` is woken when there is one, or when nothing more comes.
    pub(crate) fn pop(&mut self, waker: &Waker) -> Option<Item> {
        let item = self.queue.pop_front();
        if let Some(Item::Data { track, .. }) = &item
            && let Some(track) = self.tracks.get_mut(*track)
        {
            track.in_hand = true;
        }
        if item.is_none() && !self.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
        item
    }

    /// Data that was popped is used up.
    pub(crate) fn release(&mut self, index: usize, bytes: usize) {
        self.buffered_bytes -= bytes;
        if let Some(track) = self.tracks.get_mut(index) {
            track.in_hand = false;
        }
    }

    /// Whether nothing more can come.
    pub(crate) fn is_over(&self) -> bool {
        self.queue.is_empty() && !self.held_open && self.tracks.iter().all(Track::is_over)
    }

    pub(crate) fn find(&self, topic: &str, partition: PartitionIndex) -> Option<usize> {
        self.tracks
            .iter()
            .position(|track| track.topic.as_str() == topic && track.partition == partition)
    }

    /// The same among those that are read now.
    pub(crate) fn find_assigned(&self, topic: &str, partition: PartitionIndex) -> Option<usize> {
        let index = self.find(topic, partition)?;
        let track = self.tracks.get(index)?;
        (track.activity != Activity::Gone).then_some(index)
    }

    /// Goes on at `at` and throws away what was read ahead. What is under way comes to nothing.
    pub(crate) fn restart(&mut self, index: usize, at: Offset, activity: Activity) {
        self.forget(index);
        if let Some(track) = self.tracks.get_mut(index) {
            track.outdate();
            track.fetch_from = at;
            track.last_epoch = LeaderEpoch::UNCHECKED;
            track.activity = activity;
            track.origin = None;
            track.retry_at = None;
            track.failing_since = None;
        }
    }

    /// Goes on elsewhere, after what was read ahead.
    pub(crate) fn move_to(&mut self, index: usize, to: Offset) {
        if let Some(track) = self.tracks.get_mut(index) {
            track.fetch_from = to;
            track.last_epoch = LeaderEpoch::UNCHECKED;
            self.queue.push_back(Item::Moved { track: index, to });
            self.wake();
        }
    }

    /// Reads the partition no more; what was read ahead is thrown away.
    pub(crate) fn end(&mut self, index: usize, activity: Activity) {
        self.forget(index);
        if let Some(track) = self.tracks.get_mut(index) {
            track.outdate();
            track.activity = activity;
        }
    }

    fn forget(&mut self, index: usize) {
        let bytes = &mut self.buffered_bytes;
        self.queue.retain(|item| {
            if item.track() != Some(index) {
                return true;
            }
            if let Item::Data { records, .. } = item {
                *bytes -= records.len();
            }
            false
        });
    }

    /// Takes what was fetched for a partition; the handle will check and hand it out.
    pub(crate) fn fetched(&mut self, index: usize, records: &Bytes) -> Result<(), BatchError> {
        let Some(track) = self.tracks.get_mut(index) else {
            return Ok(());
        };
        let walked = walk(records)?;
        let Some(end) = walked else {
            return Ok(());
        };
        if end.next <= track.fetch_from {
            return Ok(());
        }
        track.fetch_from = end.next;
        track.last_epoch = end.epoch;
        track.origin = None;
        let records = records.slice(..end.bytes);
        self.buffered_bytes += records.len();
        self.queue.push_back(Item::Data { track: index, records });
        self.wake();
        Ok(())
    }

    /// Tells an error after what was read ahead; a final one stops the partition.
    pub(crate) fn fail(&mut self, index: usize, error: ConsumeError, is_final: bool) {
        if let Some(track) = self.tracks.get_mut(index).filter(|_| is_final) {
            track.outdate();
            track.activity = Activity::Stopped;
        }
        self.queue.push_back(Item::Error { track: Some(index), error });
        self.wake();
    }

    pub(crate) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Where the whole batches in fetched bytes end.
struct End {
    bytes: usize,
    next: Offset,
    epoch: LeaderEpoch,
}

/// Walks over the headers only: the records are looked at by who hands them out.
fn walk(records: &Bytes) -> Result<Option<End>, BatchError> {
    let mut end = None;
    let mut position = 0;
    while let Some(rest) = records.get(position..).filter(|rest| rest.len() >= HEADER_BYTES) {
        let header = BatchHeader::decode(rest)?;
        if rest.len() < header.total_bytes() {
            break;
        }
        position += header.total_bytes();
        end = Some(End { bytes: position, next: header.next_offset(), epoch: header.leader_epoch });
    }
    Ok(end)
}
