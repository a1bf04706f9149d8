//! What a group does to the board: partitions come, and go when the handle has let go of them.

use std::sync::Arc;

use thalweg_protocol::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName};

use super::super::group::GroupEvent;
use super::super::options::StartAt;
use super::super::progress::Progress;
use super::{Activity, Board, Item, Track};
use crate::error::ConsumeError;

/// Events that wait for a handle that does not ask: the oldest make room.
const EVENTS_MAX: usize = 256;

/// A partition that begins to be read.
#[derive(Clone, Debug)]
pub(crate) struct Begin {
    pub(crate) topic: TopicName,
    pub(crate) id: TopicId,
    pub(crate) partition: PartitionIndex,
    pub(crate) at: Offset,
    /// The leader epoch of the last record that was read before, by whomever.
    pub(crate) last_epoch: LeaderEpoch,
    /// The policy that named the place, if nothing was committed.
    pub(crate) origin: Option<StartAt>,
    pub(crate) stop: Option<Offset>,
    pub(crate) committed: Option<Offset>,
}

impl Board {
    /// Begins to read a partition; its place on the board is kept from the last time.
    pub(crate) fn begin(&mut self, begin: &Begin) -> usize {
        let index = self.find(begin.topic.as_str(), begin.partition).unwrap_or_else(|| {
            let (topic, partition) = (&begin.topic, begin.partition);
            self.tracks.push(Track::new(topic, begin.id, partition, begin.at, begin.origin));
            self.tracks.len() - 1
        });
        self.forget(index);
        if let Some(track) = self.tracks.get_mut(index) {
            let progress = Progress::new(begin.at);
            progress.enter(begin.last_epoch);
            progress.commit(begin.committed.unwrap_or(Offset::NONE));
            let is_finished = begin.stop.is_some_and(|stop| begin.at >= stop);
            *track = Track {
                generation: track.generation + 1,
                activity: if is_finished { Activity::Finished } else { Activity::Reading },
                last_epoch: begin.last_epoch,
                stop: begin.stop,
                progress: Arc::new(progress),
                ..Track::new(&begin.topic, begin.id, begin.partition, begin.at, begin.origin)
            };
        }
        self.queue.push_back(Item::Moved { track: index, to: begin.at });
        self.wake();
        index
    }

    /// Hands out no more of these partitions. What was read ahead is thrown away; what is in hand is the
    /// application's until its next call. [`Self::has_let_go`] tells when that has come.
    pub(crate) fn let_go(&mut self, indexes: &[usize], event: GroupEvent) {
        for index in indexes {
            self.end(*index, Activity::Gone);
            if let Some(track) = self.tracks.get_mut(*index) {
                track.progress.end();
                track.untold = self.wants_events;
            }
        }
        self.push_event(event, indexes.to_vec());
    }

    /// Hands out no more of these partitions; nobody waits for what is in hand.
    pub(crate) fn drop_now(&mut self, indexes: &[usize]) {
        for index in indexes {
            self.end(*index, Activity::Gone);
            if let Some(track) = self.tracks.get_mut(*index) {
                track.progress.end();
            }
        }
    }

    /// Whether the handle has nothing of the partition in hand, and has dealt with the event.
    pub(crate) fn has_let_go(&self, index: usize) -> bool {
        self.tracks.get(index).is_none_or(|track| !track.in_hand && !track.untold)
    }

    /// The handle has dealt with an event.
    pub(crate) fn dealt_with(&mut self, indexes: &[usize]) {
        for index in indexes {
            if let Some(track) = self.tracks.get_mut(*index) {
                track.untold = false;
            }
        }
    }

    /// Tells the handle what happened, before what is read ahead when partitions are taken away.
    pub(crate) fn push_event(&mut self, event: GroupEvent, tracks: Vec<usize>) {
        let waiting = self.queue.iter().filter(|item| matches!(item, Item::Event { .. })).count();
        if waiting >= EVENTS_MAX {
            let is_event = |item: &Item| matches!(item, Item::Event { .. });
            if let Some(oldest) = self.queue.iter().position(is_event)
                && let Some(Item::Event { tracks, .. }) = self.queue.remove(oldest)
            {
                self.dealt_with(&tracks);
            }
        }
        let item = Item::Event { event: Box::new(event), tracks };
        if matches!(&item, Item::Event { tracks, .. } if !tracks.is_empty()) {
            self.queue.push_front(item);
        } else {
            self.queue.push_back(item);
        }
        self.wake();
    }

    /// Tells an error that concerns no single partition.
    pub(crate) fn push_error(&mut self, error: ConsumeError) {
        self.queue.push_back(Item::Error { track: None, error });
        self.wake();
    }

    /// The handle asks for events from now on.
    pub(crate) const fn want_events(&mut self) {
        self.wants_events = true;
    }

    /// Whether a group may still bring partitions.
    pub(crate) fn hold_open(&mut self, held_open: bool) {
        self.held_open = held_open;
        if !held_open {
            self.wake();
        }
    }

    /// Whether the handle waits for something to hand out.
    pub(crate) const fn is_waited_for(&self) -> bool {
        self.waker.is_some()
    }
}
