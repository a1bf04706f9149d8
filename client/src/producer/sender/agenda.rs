//! Which partitions are looked at: those to which something happened, and those whose time has come.
//!
//! A turn of the sender costs what has changed since the last one, not what waits: with a thousand partitions in flight,
//! a record for one of them is no reason to look at the others.
//!
//! Invariant: a partition that could send something is marked, ready at its leader, lingering there, or paused; one that
//! only waits for answers, for its producer's identity or for a leader is in none of these, and is marked when that comes.

use std::sync::Arc;

use thalweg_protocol::{LeaderEpoch, TopicId};

use super::super::queue::Ready;
use super::broker::Broker;
use super::{Line, Sender};
use crate::clock::Instant;
use crate::metadata::Image;

impl Sender {
    /// Something happened to the partition: it is looked at in the next turn.
    pub(super) fn mark(&mut self, index: usize) {
        self.marked.push(index);
    }

    /// Something happened that concerns all partitions.
    pub(super) fn mark_all(&mut self) {
        self.marked.extend(&self.active);
    }

    /// Brings every partition that was marked, or whose pause is over, to its leader.
    pub(super) fn bring(&mut self, now: Instant) {
        let image = self.router.image();
        if !Arc::ptr_eq(&self.placed_by, &image) {
            // Anybody may have another leader now.
            for broker in self.brokers.values_mut() {
                broker.ready.clear();
                broker.lingering.clear();
            }
            self.mark_all();
            self.placed_by = Arc::clone(&image);
        }
        let later = self.paused.split_off(&(now, usize::MAX));
        let over = std::mem::replace(&mut self.paused, later);
        self.marked.extend(over.into_iter().map(|(_, index)| index));
        let mut replaced = Vec::new();
        for index in std::mem::take(&mut self.marked) {
            let Some(line) = self.lines.get_mut(&index).filter(|line| !line.is_idle()) else {
                self.active.remove(&index);
                continue;
            };
            if line.is_replaced(&image) {
                replaced.push(line.queue.clone());
                continue;
            }
            let Some((address, leader)) = line.leader_of(&image) else {
                self.refresh.want();
                continue;
            };
            line.leader = Some(leader);
            let backoff = self.router.backoff();
            let broker = self.brokers.entry(address).or_insert_with(|| Broker::new(backoff));
            broker.ready.insert(index);
        }
        for queue in replaced {
            self.topic_replaced(&queue.topic, queue.topic_id);
        }
    }
}

impl Line {
    /// Whether there is nothing to send and nothing to wait for.
    pub(super) fn is_idle(&self) -> bool {
        self.lineup.is_empty() && self.requeued.is_empty() && self.queue.ready() == Ready::Nothing
    }

    /// Whether another topic has its topic's name now.
    fn is_replaced(&self, image: &Image) -> bool {
        let known = image.topics.get(&self.queue.topic);
        known.is_some_and(|topic| topic.id != self.queue.topic_id)
    }

    /// The leader's address, and as what it knows the partition.
    fn leader_of(&self, image: &Image) -> Option<(Arc<str>, (TopicId, LeaderEpoch))> {
        let topic = image.topics.get(&self.queue.topic)?;
        let leadership = topic.leadership(self.queue.partition)?;
        let address = image.address(leadership.leader)?.clone();
        Some((address, (topic.id, leadership.epoch)))
    }
}
