//! Deadlines of delivery, and topics that are gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use thalweg_protocol::{PartitionIndex, TopicId, TopicName};

use super::super::batch::Batch;
use super::super::queue::{Gathered, PartitionQueue};
use super::{IDLE, Sender};
use crate::clock::{Instant, millis, now};
use crate::error::SendError;

/// How often deadlines are looked at while something waits: they are met this exactly.
pub(super) const SCAN: Duration = Duration::from_millis(100);

/// How long *no such topic* is not believed for records that were taken already: a broker that is
/// starting may not know all its topics yet.
const MISSING_GRACE: Duration = Duration::from_secs(5);

impl Sender {
    /// Gives up what is past its deadline, and what belongs to a topic that is gone.
    pub(super) fn expire(&mut self, now: Instant) {
        let image = self.router.image();
        self.mark_all();
        let active: Vec<_> = self.active.iter().copied().collect();
        for index in active {
            self.expire_line(index, now);
            let Some(line) = self.lines.get_mut(&index) else {
                continue;
            };
            if !image.missing.contains(&line.queue.topic) {
                line.missing_since = None;
            } else if now >= *line.missing_since.get_or_insert(now) + MISSING_GRACE {
                self.topic_missing(index);
            }
        }
        self.next_expiry = now + if self.active.is_empty() { IDLE } else { SCAN };
    }

    fn expire_line(&mut self, index: usize, now: Instant) {
        let timeout = self.options.delivery_timeout;
        let expired = |batch: &Batch| batch.begun + timeout <= now;
        let mut late = Vec::new();
        let mut effects = Vec::new();
        if let Some(line) = self.lines.get_mut(&index) {
            let tell =
                |batch: &Batch| late.push((batch.outcome.clone(), batch.records, batch.attempts));
            line.lineup.expire(expired, tell, &mut effects);
        }
        for (outcome, records, attempts) in late {
            let error = self.late(index, attempts, millis(timeout).into(), true);
            self.failures.add(records, &error);
            outcome.resolve(Err(error));
        }
        self.carry_out_expired(index, effects);
        while let Some(batch) = self.pop_requeued(index, expired) {
            let error = self.deadline_passed(index, &batch, false);
            self.fail(index, &batch, error);
        }
        while let Some(gathered) = self.pop_gathered(index, |begun| begun + timeout <= now) {
            let error = self.late(index, 0, millis(timeout).into(), false);
            self.fail_gathered(index, &gathered, error);
        }
    }

    fn pop_requeued(&mut self, index: usize, expired: impl Fn(&Batch) -> bool) -> Option<Batch> {
        let line = self.lines.get_mut(&index)?;
        line.requeued.pop_front_if(|batch| expired(batch))
    }

    fn pop_gathered(
        &mut self,
        index: usize,
        expired: impl Fn(Instant) -> bool,
    ) -> Option<Gathered> {
        let queue = &self.lines.get(&index)?.queue;
        queue.oldest().filter(|begun| expired(*begun))?;
        queue.take()
    }

    pub(super) fn fail_gathered(&mut self, index: usize, gathered: &Gathered, error: SendError) {
        let records = gathered.builder.record_count().unsigned_abs();
        self.failures.add(records, &error);
        gathered.outcome.resolve(Err(error));
        self.accumulator.memory.give(gathered.charged);
        if let Some(line) = self.lines.get(&index) {
            line.queue.backlog.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The brokers keep saying that there is no such topic: what is left for it is given up.
    fn topic_missing(&mut self, index: usize) {
        let Some(line) = self.lines.get(&index) else {
            return;
        };
        let (topic, id) = (line.queue.topic.clone(), line.queue.topic_id);
        let queues = self.accumulator.forget(&topic, id);
        self.end_lines(&queues, &SendError::UnknownTopic { topic: topic.to_string() });
    }

    /// Another topic has the name of the one with this id: what is left for that one is given up.
    pub(super) fn topic_replaced(&mut self, topic: &TopicName, id: TopicId) {
        let queues = self.accumulator.forget(topic, id);
        self.end_lines(&queues, &SendError::TopicReplaced { topic: topic.to_string() });
    }

    /// Ends what handles replaced when they learned of another topic of the same name.
    pub(super) fn end_replaced(&mut self) {
        for queue in self.accumulator.take_replaced() {
            let error = SendError::TopicReplaced { topic: queue.topic.to_string() };
            self.end_lines(&[queue], &error);
        }
    }

    /// Ends the lines of all partitions of a topic, also of those that have nothing to send: one left over
    /// would number its batches beside the next line for the same partition. Under the present epoch no line
    /// begins any more, as sequences begin at 0 again.
    fn end_lines(&mut self, queues: &[Arc<PartitionQueue>], error: &SendError) {
        if queues.is_empty() {
            return;
        }
        // What was appended until the topic was forgotten has its line now, and ends with it.
        self.take_touched(now());
        for queue in queues {
            queue.close();
            self.end_line(queue.line, error);
        }
        self.identity.outdate();
    }

    fn end_line(&mut self, index: usize, error: &SendError) {
        while let Some(gathered) = self.pop_gathered(index, |_| true) {
            self.fail_gathered(index, &gathered, error.clone());
        }
        while let Some(batch) = self.pop_requeued(index, |_| true) {
            self.fail(index, &batch, error.clone());
        }
        self.active.remove(&index);
        let line = self.lines.remove(&index);
        for batch in line.iter().flat_map(|line| line.lineup.batches()) {
            // One whose deadline passed in flight was told of and counted then.
            if !batch.outcome.is_resolved() {
                self.failures.add(batch.records, error);
            }
            batch.outcome.resolve(Err(error.clone()));
            self.accumulator.memory.give(batch.charged);
        }
    }

    pub(super) fn deadline_passed(
        &self,
        index: usize,
        batch: &Batch,
        maybe_stored: bool,
    ) -> SendError {
        let waited_ms = u64::from(millis(now() - batch.begun));
        self.late(index, batch.attempts, waited_ms, maybe_stored)
    }

    fn late(&self, index: usize, attempts: u32, waited_ms: u64, maybe_stored: bool) -> SendError {
        let (topic, partition) = self.place(index);
        let line = self.lines.get(&index).map(|line| &line.last_trouble);
        let last = line.filter(|trouble| !trouble.is_empty());
        SendError::DeadlinePassed {
            topic,
            partition,
            attempts,
            waited_ms,
            maybe_stored,
            last: last.unwrap_or(&self.last_trouble).clone(),
        }
    }

    /// For errors: which partition the line is.
    pub(super) fn place(&self, index: usize) -> (String, PartitionIndex) {
        match self.lines.get(&index) {
            Some(line) => (line.queue.topic.to_string(), line.queue.partition),
            None => (String::new(), PartitionIndex::new(-1)),
        }
    }
}
