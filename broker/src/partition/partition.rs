//! The doer around one replica: the log under its mutex, the pure [`Replica`] under another, and what they publish.
//!
//! `append.rs`, `read.rs` and `role.rs` say what is done with it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use arc_swap::ArcSwap;
use thalweg_protocol::{LeaderEpoch, Offset, TimestampMs, TopicName, TopicPartition};
use thalweg_storage::defects::{Defect, planted};
use thalweg_storage::{Log, LogDir, LogReader, RecoveryMark, Scrubbed, SegmentAppend};

use super::announced::Announced;
use super::directory::Directory;
use super::error::PartitionError;
use super::high_watermark::Durability;
use super::replica::{Input, Replica};
use super::settings::Settings;
use super::waiters::Waiters;
use crate::metrics::{PartitionFigures, PartitionMetrics, TopicSeries};

/// One replica's log in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// The first offset that can be read.
    pub log_start: Offset,
    /// Readers see what is below.
    pub high_watermark: Offset,
    /// The offset of the next record.
    pub log_end: Offset,
    /// What the log takes on disk, in bytes.
    pub bytes: u64,
}

/// What a partition is made of.
#[derive(Debug)]
pub struct Parts {
    /// Which partition it is.
    pub at: TopicPartition,
    /// The topic's name, for people.
    pub topic: TopicName,
    /// The open log.
    pub log: Log,
    /// The replica, not leading yet.
    pub replica: Replica,
    /// The topic's settings.
    pub settings: Settings,
    /// The directory that holds the log.
    pub directory: Arc<Directory>,
    /// The high watermark as it was last written down.
    pub high_watermark: Offset,
    /// What is counted of the topic.
    pub traffic: TopicSeries,
    /// What is shown of the partition.
    pub figures: PartitionMetrics,
}

/// One replica of one partition on this broker.
#[derive(Debug)]
pub struct Partition {
    at: TopicPartition,
    topic: TopicName,
    /// The only writer of the log; nothing once it was closed. Taken before `replica`.
    pub(super) log: Mutex<Option<Log>>,
    pub(super) replica: Mutex<Replica>,
    pub(super) reader: LogReader,
    pub(super) directory: Arc<Directory>,
    pub(super) settings: ArcSwap<Settings>,
    pub(super) waiters: Waiters,
    /// Published by the effects of `replica`, read by everybody.
    pub(super) high_watermark: AtomicI64,
    /// The epoch in which this broker leads, or -1.
    pub(super) leading: AtomicI32,
    /// Whether the flusher has been told of bytes that it has not yet taken up.
    pub(super) dirty: Announced,
    /// Its topic was deleted.
    deleted: AtomicBool,
    pub(super) traffic: TopicSeries,
    figures: PartitionMetrics,
}

/// `<topic>-<partition>`, as people know it.
impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.at.partition)
    }
}

impl Partition {
    /// A replica over an open log; it neither leads nor serves before [`Partition::lead`].
    pub fn new(parts: Parts) -> Self {
        let reader = parts.log.reader();
        let high_watermark = parts.high_watermark.min(reader.log_end()).max(reader.log_start());
        Self {
            at: parts.at,
            topic: parts.topic,
            log: Mutex::new(Some(parts.log)),
            replica: Mutex::new(parts.replica),
            reader,
            directory: parts.directory,
            settings: ArcSwap::from_pointee(parts.settings),
            waiters: Waiters::default(),
            high_watermark: AtomicI64::new(high_watermark.get()),
            leading: AtomicI32::new(LeaderEpoch::UNCHECKED.get()),
            dirty: Announced::new(),
            deleted: AtomicBool::new(false),
            traffic: parts.traffic,
            figures: parts.figures,
        }
    }

    /// The topic's name, for people.
    pub const fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// Which partition it is.
    pub const fn at(&self) -> TopicPartition {
        self.at
    }

    /// The log directory that holds it.
    pub fn dir(&self) -> &Arc<LogDir> {
        self.directory.dir()
    }

    /// The log for readers.
    pub const fn reader(&self) -> &LogReader {
        &self.reader
    }

    /// Those who wait for this partition.
    pub const fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    /// The topic's settings.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Readers see what is below.
    pub fn high_watermark(&self) -> Offset {
        Offset::new(self.high_watermark.load(Ordering::Acquire))
    }

    /// Deletes the records below `before`, or all that are committed; the new log start is on stable storage when
    /// this returns. Reads the disk.
    pub fn delete_below(&self, before: Option<Offset>) -> Result<Offset, PartitionError> {
        let mut guard = self.lock_log()?;
        self.check_leads(LeaderEpoch::UNCHECKED)?;
        let high_watermark = self.high_watermark();
        let before = before.unwrap_or(high_watermark);
        if before > high_watermark && !planted(Defect::DeleteAboveHighWatermark) {
            return Err(PartitionError::OutOfRange {
                name: self.to_string(),
                offset: before,
                log_start: self.reader.log_start(),
                high_watermark,
            });
        }
        let removed = self
            .open(&mut guard)?
            .delete_below(before)
            .map_err(|error| PartitionError::Log { name: self.to_string(), error })?;
        drop(guard);
        self.directory.metrics().removed_segments.increment(removed.segments as u64);
        let log_start = self.reader.log_start();
        // Looked up under the checkpoint's lock: of two that delete at once, the later one must not write an
        // older start.
        let starts = std::iter::once_with(|| (self.at, self.reader.log_start()));
        self.dir()
            .write_log_starts(starts)
            .map_err(|error| PartitionError::Checkpoint { name: self.to_string(), error })?;
        Ok(log_start)
    }

    /// The log in numbers.
    pub fn describe(&self) -> Description {
        Description {
            log_start: self.reader.log_start(),
            high_watermark: self.high_watermark(),
            log_end: self.reader.log_end(),
            bytes: self.reader.bytes_on_disk(),
        }
    }

    /// The topic was altered.
    pub fn alter(&self, settings: Settings) -> Result<(), PartitionError> {
        let mut log = self.lock_log()?;
        self.open(&mut log)?.set_options(settings.log.clone());
        let rules = settings.rules;
        self.settings.store(Arc::new(settings));
        self.step(&Input::RulesChanged(rules), || {})
    }

    /// Below which offset a restart may believe everything.
    pub fn recovery_mark(&self) -> RecoveryMark {
        RecoveryMark {
            partition: self.at,
            synced_end: self.reader.synced_end(),
            log_end: self.reader.log_end(),
        }
    }

    /// When each segment was last appended to; nothing of a log that is closed or in doubt.
    pub fn segment_appends(&self) -> Vec<SegmentAppend> {
        let log = self.log.lock().ok();
        log.and_then(|log| log.as_ref().map(Log::segment_appends)).unwrap_or_default()
    }

    /// Rolls and deletes segments by age and size. Returns how many segments went.
    pub(super) fn clean(&self, now: TimestampMs) -> Result<usize, PartitionError> {
        let mut log = self.lock_log()?;
        let log = self.open(&mut log)?;
        log.expire_producers(now);
        let removed = log
            .apply_retention(now, self.high_watermark())
            .map_err(|error| PartitionError::Log { name: self.to_string(), error })?;
        self.directory.metrics().removed_segments.increment(removed.segments as u64);
        Ok(removed.segments)
    }

    /// Takes the partition out of use: it was deleted, and its folder is about to be removed. No checkpoint tells of it
    /// any more, and what readers still hold of its files is counted.
    pub fn delete(&self) -> Result<(), PartitionError> {
        // Before its rows are forgotten: a checkpoint that is being written puts none back afterwards.
        self.deleted.store(true, Ordering::Release);
        let closed = self.close();
        self.reader.discard();
        closed
    }

    /// Whether it was deleted.
    pub(super) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// Counts what a piece of the scrub came to.
    pub(super) fn count_scrubbed(&self, done: &Scrubbed) {
        let metrics = self.directory.metrics();
        metrics.scrubbed_bytes.increment(done.bytes);
        metrics.recovery.corrupt_ranges.increment(done.found.len() as u64);
    }

    /// Closes the log for good: nothing can be appended or read any more.
    pub fn close(&self) -> Result<(), PartitionError> {
        self.resign();
        self.directory.flusher().forget(self.at);
        let closed = self.lock_log()?.take().map(Log::close).transpose();
        closed.map_err(|error| PartitionError::Log { name: self.to_string(), error })?;
        Ok(())
    }

    /// Gives the log under its lock for a moment; false once it is closed or in doubt.
    pub(super) fn with_log(&self, with: &mut dyn FnMut(&mut Log)) -> bool {
        self.lock_log().is_ok_and(|mut log| log.as_mut().map(with).is_some())
    }

    pub(super) fn lock_log(&self) -> Result<MutexGuard<'_, Option<Log>>, PartitionError> {
        self.log.lock().map_err(|_| self.poisoned())
    }

    /// The log under its lock, unless it was closed.
    pub(super) fn open<'a>(&self, log: &'a mut Option<Log>) -> Result<&'a mut Log, PartitionError> {
        log.as_mut().ok_or_else(|| PartitionError::Offline {
            name: self.to_string(),
            reason: "its log is closed".to_owned(),
        })
    }

    /// A panic while the lock was held may have left the log half changed: nothing is done with it any more.
    pub(super) fn poisoned(&self) -> PartitionError {
        self.leading.store(LeaderEpoch::UNCHECKED.get(), Ordering::Release);
        self.waiters.fail();
        PartitionError::Offline {
            name: self.to_string(),
            reason: "an earlier fault left it in doubt; restart the broker".to_owned(),
        }
    }

    /// Shows where the partition stands, for the metrics; says what its log takes.
    pub fn show(&self) -> u64 {
        let Description { log_start, high_watermark, log_end, bytes: log_bytes } = self.describe();
        self.figures.show(&PartitionFigures { log_start, high_watermark, log_end, log_bytes });
        log_bytes
    }

    /// The durability that the topic asks for.
    pub fn durability(&self) -> Durability {
        self.settings.load().rules.durability
    }
}
