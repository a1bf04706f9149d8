//! What fetches, the flusher and timers see of a log, without the lock of its writer.
//!
//! Owns the values that the writer publishes: the list of segments, log start, log end, synced end, epochs.
//! Never writes a batch.
//!
//! The writer publishes in the order *segment list, visible length, log end*, and readers look in the
//! opposite order, so that what lies below the log end they saw is in the list they saw.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use thalweg_protocol::{LeaderEpoch, Offset, TimestampMs, TopicPartition};

use crate::ahead::Ahead;
use crate::ends::Ends;
use crate::epoch::{EpochEnd, EpochTable};
use crate::log_dir::LogDir;
use crate::names::Names;
use crate::segment::{BadRange, Home};
use crate::segments::Segments;

/// What the writer of a log and its readers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) dir: Arc<LogDir>,
    pub(crate) partition: TopicPartition,
    pub(crate) home: Arc<Home>,
    pub(crate) segments: ArcSwap<Segments>,
    pub(crate) log_start: AtomicI64,
    pub(crate) ends: Ends,
    /// Which names in the folder are on stable storage.
    pub(crate) names: Names,
    /// What is made ready for the writer.
    pub(crate) ahead: Ahead,
    /// The epochs; exchanged as a whole, which is as rare as a change of leader.
    pub(crate) epochs: ArcSwap<EpochTable>,
    /// The epochs are not in their file yet, or not durably.
    pub(crate) epochs_dirty: AtomicBool,
    /// One sync at a time.
    pub(crate) syncing: Mutex<()>,
    /// The last append, by the broker's clock.
    pub(crate) last_append: AtomicI64,
    /// Below it the log was compacted.
    pub(crate) cleaned_end: AtomicI64,
    /// Held while compaction exchanges files, and by whoever cuts or deletes them. Taken after the writer's lock.
    pub(crate) exchange: Mutex<()>,
}

impl Shared {
    /// Waits until no files are being exchanged, and keeps it so.
    pub(crate) fn exchange(&self) -> std::sync::MutexGuard<'_, ()> {
        // Guards no value: a failed exchange has taken the directory offline.
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A log as its readers see it. Cheap to clone; never waits for the writer.
#[derive(Clone, Debug)]
pub struct LogReader {
    pub(crate) shared: Arc<Shared>,
}

impl LogReader {
    /// Whose log it is.
    pub fn partition(&self) -> TopicPartition {
        self.shared.partition
    }

    /// The directory that the log lives in.
    pub fn dir(&self) -> &Arc<LogDir> {
        &self.shared.dir
    }

    /// The partition's folder.
    pub fn folder(&self) -> &Path {
        &self.shared.home.folder
    }

    /// The first offset that can be read.
    pub fn log_start(&self) -> Offset {
        Offset::new(self.shared.log_start.load(Ordering::Acquire))
    }

    /// The offset after the last record.
    pub fn log_end(&self) -> Offset {
        self.shared.ends.log_end()
    }

    /// The offset after the last record that is on stable storage.
    pub fn synced_end(&self) -> Offset {
        self.shared.ends.synced_end()
    }

    /// When the last batch was appended, by the broker's clock; [`TimestampMs::NONE`] if not known.
    pub fn last_append(&self) -> TimestampMs {
        TimestampMs::new(self.shared.last_append.load(Ordering::Acquire))
    }

    /// Bytes of all batches that the segments hold.
    pub fn bytes_on_disk(&self) -> u64 {
        self.segments().bytes()
    }

    /// Bytes that were written and not synced yet.
    pub fn unsynced_bytes(&self) -> u64 {
        self.segments().as_slice().iter().map(|segment| segment.unsynced_bytes()).sum()
    }

    /// How many segments there are; at least 1.
    pub fn segment_count(&self) -> usize {
        self.segments().as_slice().len()
    }

    /// The epoch of the last batch; `None` in an empty log.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.shared.epochs.load().latest()
    }

    /// The epochs of the log with their first offsets.
    pub fn epochs(&self) -> Arc<EpochTable> {
        self.shared.epochs.load_full()
    }

    /// The largest epoch not above `epoch`, and where it ends; `None` in an empty log.
    pub fn epoch_end(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        // The end first: an epoch that begins in between must not seem to end before it began.
        let log_end = self.log_end();
        self.shared.epochs.load().epoch_end(epoch, log_end)
    }

    /// The epoch of the record at `offset`, if the log still knows it.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.shared.epochs.load().epoch_at(offset)
    }

    /// The partition is deleted, and its folder about to be removed: what readers still hold of it is counted.
    pub fn discard(&self) {
        for segment in self.segments().as_slice() {
            segment.discard();
        }
    }

    /// The ranges that are known to be damaged.
    pub fn bad_ranges(&self) -> Vec<BadRange> {
        self.segments().as_slice().iter().flat_map(|segment| segment.bad().all()).collect()
    }

    pub(crate) fn segments(&self) -> Guard<Arc<Segments>> {
        self.shared.segments.load()
    }
}
