//! Where records gather into batches before the sender takes them.
//!
//! Owns each partition's open batch and its full ones, under one short mutex per partition. Whoever calls
//! `send` appends here on his own task; the sender's task takes batches away. Never sends, never waits.
//!
//! Invariants: memory is taken before bytes are copied; the batches of a partition leave in the order in
//! which their records came; what gathered for a topic never goes to another one of the same name.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use thalweg_protocol::batch::{BatchBuilder, Compression};
use thalweg_protocol::{PartitionIndex, TimestampMs, TopicId, TopicName};
use tokio::sync::Notify;

use super::memory::Memory;
use super::options::ProducerOptions;
use super::queue::{Gathered, Gathering, PartitionQueue};
use super::receipt::{Outcome, Receipt, Receipts};
use super::stats::Counters;
use super::topics::{Target, TopicQueues, Topics};
use crate::clock::{now, wall_clock};
use crate::error::SendError;
use crate::record::Record;

/// A partition, and what it has gathered, for the one who appends.
type Locked<'q> = (&'q Arc<PartitionQueue>, MutexGuard<'q, Gathering>);

/// Why a record could not be appended at once.
#[derive(Debug)]
pub(crate) enum Hindrance {
    /// The topic's partitions are not known yet.
    TopicUnknown,
    /// The memory is used up.
    MemoryFull,
}

/// All that has gathered, of all topics.
#[derive(Debug)]
pub(crate) struct Accumulator {
    topics: RwLock<Topics>,
    lines: AtomicUsize,
    /// Partitions that began to gather, or have a full batch, since the sender looked last.
    touched: Mutex<Vec<Arc<PartitionQueue>>>,
    /// Partitions of topics that others of the same name replaced: the sender ends them.
    replaced: Mutex<Vec<Arc<PartitionQueue>>>,
    /// Wakes the sender.
    pub(crate) wake: Notify,
    pub(crate) memory: Memory,
    /// What was delivered, and how.
    pub(super) counters: Counters,
    /// Builders with their buffers and codecs, for the next batches; the one that was used longest ago first.
    spare: Mutex<VecDeque<BatchBuilder>>,
    /// So many are kept: together they hold no more than what may wait for the brokers.
    spare_max: usize,
    /// The size of the last batch: what the buffer of a new builder starts with.
    last_bytes: AtomicUsize,
    compression: Compression,
    batch_bytes: usize,
    closed: AtomicBool,
}

/// The first step of memory that a batch takes, and the largest: it grows as the batch does.
const CHARGE_BYTES: std::ops::RangeInclusive<usize> = 4 * 1024..=64 * 1024;

/// Builders kept for later, at least and at most.
const SPARE_MAX: std::ops::RangeInclusive<usize> = 8..=4096;

/// What a record takes at most beside its key, value and headers, in bytes.
const RECORD_OVERHEAD_BYTES: usize = 64;

impl Accumulator {
    pub(crate) fn new(options: &ProducerOptions) -> Self {
        Self {
            topics: RwLock::default(),
            lines: AtomicUsize::new(0),
            touched: Mutex::default(),
            replaced: Mutex::default(),
            wake: Notify::new(),
            memory: Memory::new(options.memory_bytes_max),
            counters: Counters::default(),
            spare: Mutex::default(),
            spare_max: (options.memory_bytes_max / options.batch_bytes)
                .clamp(*SPARE_MAX.start(), *SPARE_MAX.end()),
            last_bytes: AtomicUsize::new(0),
            compression: options.compression,
            batch_bytes: options.batch_bytes,
            closed: AtomicBool::new(false),
        }
    }

    /// Makes room for a topic's partitions, or for those that were added to it. One of the same name and
    /// another id is replaced as a whole.
    pub(crate) fn learn(&self, topic: &TopicName, id: TopicId, count: usize) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let replaced = topics.remove(topic, |known| known != id);
        if !replaced.is_empty() {
            lock(&self.replaced).extend(replaced);
            self.wake.notify_one();
        }
        let Some(queues) = topics.get_or_add(topic, id) else {
            return;
        };
        while queues.partitions.len() < count {
            let partition = i32::try_from(queues.partitions.len()).unwrap_or(i32::MAX);
            queues.partitions.push(Arc::new(PartitionQueue {
                line: self.lines.fetch_add(1, Ordering::Relaxed),
                topic: topic.clone(),
                topic_id: id,
                partition: PartitionIndex::new(partition),
                gathering: Mutex::default(),
                backlog: AtomicUsize::new(0),
            }));
        }
    }

    /// Every topic that is known, and how many partitions it has here.
    pub(crate) fn known(&self) -> Vec<(TopicName, TopicId, usize)> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        let known = topics.list.iter();
        known.map(|queues| (queues.name.clone(), queues.id, queues.partitions.len())).collect()
    }

    /// Forgets a topic that is gone: the next record for it asks the brokers again. Answers with its
    /// partitions, to which nothing is appended any more; none if it was forgotten or replaced before.
    pub(crate) fn forget(&self, topic: &TopicName, id: TopicId) -> Vec<Arc<PartitionQueue>> {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.remove(topic, |known| known == id)
    }

    pub(crate) fn take_replaced(&self) -> Vec<Arc<PartitionQueue>> {
        std::mem::take(&mut *lock(&self.replaced))
    }

    /// Appends a record, unless that needs to wait for something.
    pub(crate) fn try_append(
        &self,
        record: &Record<'_>,
    ) -> Result<Result<Receipt, Hindrance>, SendError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(SendError::Closed);
        }
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        let Some(queues) = topics.get(record.topic) else {
            return Ok(Err(Hindrance::TopicUnknown));
        };
        let bytes = self.check_size(record)?;
        self.append(queues, record, bytes)
    }

    /// An upper bound of the record's size in a batch, in bytes; an error if no batch can hold it.
    fn check_size(&self, record: &Record<'_>) -> Result<usize, SendError> {
        let length = |field: Option<&[u8]>| field.map_or(0, <[u8]>::len);
        let headers = record.headers.iter();
        let headers = headers.map(|(name, value)| name.len() + length(*value) + 20);
        let bytes = length(record.key) + length(record.value) + headers.sum::<usize>();
        let bytes = bytes + RECORD_OVERHEAD_BYTES;
        if bytes + thalweg_protocol::batch::HEADER_BYTES > self.batch_bytes {
            return Err(SendError::RecordTooLarge {
                topic: record.topic.to_owned(),
                bytes,
                bytes_max: self.batch_bytes,
            });
        }
        Ok(bytes)
    }

    /// Takes records in their order as long as that needs no waiting; the next one is then the one that does.
    /// Neighbours for the same partition are taken under one lock.
    pub(crate) fn try_append_all<'r>(
        &self,
        records: &mut Peekable<impl Iterator<Item = Record<'r>>>,
        receipts: &mut Receipts,
    ) -> Result<Option<Hindrance>, SendError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(SendError::Closed);
        }
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        while let Some(first) = records.peek() {
            let topic = first.topic;
            let Some(queues) = topics.get(topic) else {
                return Ok(Some(Hindrance::TopicUnknown));
            };
            let mut bytes = self.check_size(first)?;
            let target = queues.target(first);
            let Some((queue, mut gathering)) = self.lock_target(queues, target, bytes)? else {
                return Ok(Some(Hindrance::TopicUnknown));
            };
            while let Some(record) = records.peek() {
                if let Err(hindrance) = self.append_to(queue, &mut gathering, record, bytes) {
                    return Ok(Some(hindrance));
                }
                if let Some(open) = &gathering.open {
                    receipts.add(&open.outcome);
                }
                records.next();
                let Some(next) = records.peek() else { break };
                bytes = self.check_size(next)?;
                let stays = next.topic == topic && queues.target(next) == target;
                if !stays || (target.moves_on(queues) && !self.has_room(&gathering, bytes)) {
                    break;
                }
            }
        }
        Ok(None)
    }

    fn append(
        &self,
        queues: &TopicQueues,
        record: &Record<'_>,
        bytes: usize,
    ) -> Result<Result<Receipt, Hindrance>, SendError> {
        let target = queues.target(record);
        let Some((queue, mut gathering)) = self.lock_target(queues, target, bytes)? else {
            return Ok(Err(Hindrance::TopicUnknown));
        };
        if let Err(hindrance) = self.append_to(queue, &mut gathering, record, bytes) {
            return Ok(Err(hindrance));
        }
        Ok(Ok(gathering.receipt().expect("a record that was taken is the last of the open batch")))
    }

    /// The partition that a record of `bytes` goes to, locked; nothing if the topic has no such partition.
    fn lock_target<'q>(
        &self,
        queues: &'q TopicQueues,
        target: Target,
        bytes: usize,
    ) -> Result<Option<Locked<'q>>, SendError> {
        let count = queues.partitions.len();
        let chosen = match target {
            Target::Partition(chosen) => chosen,
            Target::Sticky => queues.sticky.current(count),
        };
        let Some(mut queue) = queues.partitions.get(chosen) else {
            return Ok(None);
        };
        let mut gathering = queue.lock();
        if target.moves_on(queues) && !self.has_room(&gathering, bytes) {
            // A new batch begins: the next partition's turn.
            if let Some(full) = gathering.open.take() {
                gathering.full.push_back(full);
                self.touch(queue, &gathering);
            }
            drop(gathering);
            let backlog = |index: usize| {
                let queue = queues.partitions.get(index);
                queue.map_or(0, |queue| queue.backlog.load(Ordering::Relaxed))
            };
            let next = queues.sticky.switch(count, backlog);
            queue = queues.partitions.get(next).unwrap_or(queue);
            gathering = queue.lock();
        }
        if gathering.closed {
            return Err(SendError::Closed);
        }
        Ok(Some((queue, gathering)))
    }

    /// Whether the open batch takes so much more.
    fn has_room(&self, gathering: &Gathering, bytes: usize) -> bool {
        let open = gathering.open.as_ref();
        open.is_some_and(|open| open.builder.bytes() + bytes <= self.batch_bytes)
    }

    /// Puts a record into the open batch; it is the last one there afterwards.
    fn append_to(
        &self,
        queue: &Arc<PartitionQueue>,
        gathering: &mut Gathering,
        record: &Record<'_>,
        bytes: usize,
    ) -> Result<(), Hindrance> {
        let timestamp = record.timestamp.unwrap_or_else(wall_clock);
        if self.has_room(gathering, bytes)
            && let Some(open) = &mut gathering.open
        {
            if !self.charge(open, bytes) {
                return Err(Hindrance::MemoryFull);
            }
            let taken =
                open.builder.try_append(timestamp, record.key, record.value, &record.headers);
            if taken.is_some() {
                return Ok(());
            }
        }
        self.begin(queue, gathering, record, bytes, timestamp)
    }

    /// Closes the open batch and begins the next one with this record. Kept apart: it happens once a batch.
    #[cold]
    #[inline(never)]
    fn begin(
        &self,
        queue: &Arc<PartitionQueue>,
        gathering: &mut Gathering,
        record: &Record<'_>,
        bytes: usize,
        timestamp: TimestampMs,
    ) -> Result<(), Hindrance> {
        // The next batch's memory comes first: without it nothing changes.
        let charged = bytes.max(*CHARGE_BYTES.start());
        if !self.memory.try_take(charged) {
            return Err(Hindrance::MemoryFull);
        }
        if let Some(full) = gathering.open.take() {
            gathering.full.push_back(full);
        }
        let open = gathering.open.insert(Gathered {
            builder: self.builder(),
            outcome: Outcome::new(),
            begun: now(),
            charged,
        });
        open.builder
            .try_append(timestamp, record.key, record.value, &record.headers)
            .expect("an empty batch takes any record that is not larger than a batch");
        queue.backlog.fetch_add(1, Ordering::Relaxed);
        self.touch(queue, gathering);
        self.wake.notify_one();
        Ok(())
    }

    /// The partition has its first batch, or its first full one. With a second one the sender has its eye on it.
    fn touch(&self, queue: &Arc<PartitionQueue>, gathering: &Gathering) {
        if gathering.full.len() <= 1 {
            lock(&self.touched).push(queue.clone());
            self.wake.notify_one();
        }
    }

    /// Takes memory as the batch grows, in steps that grow with it.
    fn charge(&self, open: &mut Gathered, bytes: usize) -> bool {
        let needed = open.builder.bytes() + bytes;
        if needed <= open.charged {
            return true;
        }
        let step = open.charged.clamp(*CHARGE_BYTES.start(), *CHARGE_BYTES.end());
        let left = self.batch_bytes.saturating_sub(open.charged);
        let step = step.min(left).max(needed - open.charged);
        let taken = self.memory.try_take(step);
        if taken {
            open.charged += step;
        }
        taken
    }

    /// A builder whose buffer is free. While the oldest spare one still shares its buffer with a batch in
    /// flight, another is made: there are then as many as it takes, and none of them asks for memory again.
    fn builder(&self) -> BatchBuilder {
        let mut spare = lock(&self.spare);
        if spare.front_mut().is_some_and(BatchBuilder::is_reusable)
            && let Some(builder) = spare.pop_front()
        {
            return builder;
        }
        drop(spare);
        BatchBuilder::new(self.compression, self.batch_bytes)
            .expecting(self.last_bytes.load(Ordering::Relaxed))
    }

    /// Keeps the builder of a batch of `bytes` for a later one.
    pub(crate) fn give_back(&self, builder: BatchBuilder, bytes: usize) {
        self.last_bytes.store(bytes, Ordering::Relaxed);
        let mut spare = lock(&self.spare);
        if spare.len() < self.spare_max {
            spare.push_back(builder);
        }
    }

    pub(crate) fn take_touched(&self) -> Vec<Arc<PartitionQueue>> {
        std::mem::take(&mut *lock(&self.touched))
    }

    /// Takes no more records. Answers with all partitions, also those that wait for their end.
    pub(crate) fn close(&self) -> Vec<Arc<PartitionQueue>> {
        self.closed.store(true, Ordering::Release);
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        let queues = topics.list.iter().flat_map(|topic| &topic.partitions);
        let queues: Vec<_> = queues.chain(&*lock(&self.replaced)).cloned().collect();
        for queue in &queues {
            queue.close();
        }
        queues
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept here is valid at every step, so a panic elsewhere spoils nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
