//! Cutting a log back to an offset, and deleting what is below one.
//!
//! ```text
//!     before:  segment 40: 40 41 42 | 43 44 45 46     segment 47: 47 48 |
//!     cut at 43: segment 40 is sealed behind 42, segment 47 retired, segment 43 begins empty
//! ```
//!
//! Owns both ends of a log. Never rewrites bytes that a reader may hold: a cut inside a segment seals it there
//! and goes on in a new one; the file's rest is cut off when the log is opened next time. Deleted files
//! stay readable through slices that are held.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use thalweg_protocol::{Offset, TimestampMs};

use crate::active::Active;
use crate::compaction::forget_cleaned_end;
use crate::error::LogError;
use crate::find::Lookup;
use crate::folder::{COMPACTION_FILE, FileKind};
use crate::log::Log;
use crate::producer::AfterTruncation;
use crate::retention::{ActiveSegment, RetentionLimits, RetentionState, SegmentAge, expired};
use crate::segment::Segment;
use crate::segments::Segments;

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Segments.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Where a cut goes through.
struct Cut {
    /// The segment that is sealed; those after it are retired. `None` when the cut is at its base offset.
    sealed: Option<SealedAt>,
    /// Segments that stay as they are.
    kept: usize,
    /// The new log end.
    end: Offset,
}

/// A segment that ends earlier from now on.
struct SealedAt {
    segment: Arc<Segment>,
    bytes: u64,
}

impl SealedAt {
    /// The sealed segment with indexes that end where it ends.
    fn seal(&self) -> Segment {
        let visible = self.bytes;
        let segment = self.segment.sealed(visible);
        segment.offsets_mut().take_over(&self.segment.offsets());
        segment.times_mut().take_over(&self.segment.times());
        segment
            .offsets_mut()
            .cut(&segment.offset_file(), |entry| u64::from(entry.position) < visible);
        let last = segment.last_entry_where(|_| true).map_or(0, |entry| entry.relative);
        segment.times_mut().cut(&segment.time_file(), |entry| entry.relative <= last);
        segment.flush_indexes();
        segment
    }
}

impl Log {
    /// Cuts the log back, so that it ends at `to`, or at the base offset of the batch that holds `to`: that is
    /// the answer. Nothing happens when the log ends there already.
    pub fn truncate(&mut self, to: Offset, now: TimestampMs) -> Result<Offset, LogError> {
        let (log_start, log_end) = (self.log_start(), self.log_end());
        if to >= log_end {
            return Ok(log_end);
        }
        if to < log_start {
            let action = "truncate";
            return Err(LogError::OutOfRange { action, offset: to, log_start, log_end });
        }
        self.shared.dir.before_delete()?;
        let cut = self.find_cut(to)?;
        self.carry_out(cut, now)
    }

    /// Drops all records and begins anew at `to`: what a replica does whose log the leader no longer continues.
    pub fn reset(&mut self, to: Offset, now: TimestampMs) -> Result<(), LogError> {
        self.shared.dir.before_delete()?;
        self.carry_out(Cut { sealed: None, kept: 0, end: to }, now)?;
        self.shared.log_start.store(to.get(), Ordering::Release);
        Ok(())
    }

    fn find_cut(&self, to: Offset) -> Result<Cut, LogError> {
        let segments = self.shared.segments.load();
        let place = segments.place_of(to).expect("log start and end lie within the segments");
        let segment = segments.get(place).expect("the place was just found");
        let path = segment.log_path();
        let end_offset = segments.end_of(place, self.log_end());
        let look = || {
            let file = segment.file()?;
            let find = |at| segment.find(&*file, at, segment.visible(), end_offset);
            Ok(match find(to)? {
                Lookup::Batch(found, _) => (found.position, found.header.base_offset),
                Lookup::End => (segment.visible(), to),
                // Inside of damage: behind the last good batch before it.
                Lookup::Bad(range) if range.from <= segment.base_offset() => (0, range.from),
                Lookup::Bad(range) => match find(range.from.plus(-1))? {
                    Lookup::Batch(found, _) => (found.end(), range.from),
                    Lookup::End | Lookup::Bad(_) => (0, segment.base_offset()),
                },
            })
        };
        let (position, cut) = look().map_err(|error| self.failed("read", &path, error))?;
        if cut < self.log_start() {
            // A deletion has moved the log start into the batch: nothing that can be read is left.
            return Ok(Cut { sealed: None, kept: 0, end: self.log_start() });
        }
        let segment = Arc::clone(segment);
        let sealed = (cut > segment.base_offset()).then(|| SealedAt { segment, bytes: position });
        Ok(Cut { sealed, kept: place, end: cut })
    }

    fn carry_out(&mut self, cut: Cut, now: TimestampMs) -> Result<Offset, LogError> {
        self.shared.ends.begin_cut(cut.end);
        let done = self.cut(cut, now);
        self.shared.ends.end_cut();
        done
    }

    /// What may fail for want of room comes first, so that a full disk leaves the log as it was.
    fn cut(&mut self, cut: Cut, now: TimestampMs) -> Result<Offset, LogError> {
        let Cut { sealed, kept, end } = cut;
        let shared = Arc::clone(&self.shared);
        let _exclusive = shared.exchange();
        self.lower_cleaned_end(end)?;
        // No recovery point above the new end is left, on disk either.
        self.shared.dir.lower_recovery_point(self.shared.partition, end)?;
        let segments = self.shared.segments.load_full();
        let (stay, leave) = segments.as_slice().split_at(kept);
        let leave = leave.get(usize::from(sealed.is_some())..).unwrap_or_default();
        let active = self.create_at_cut(leave, end)?;
        self.shared.ends.publish(end);
        // The segments that leave hide what earlier cuts left in the files before them: first the new end is
        // there, durably, then they go.
        self.sync_folder_now()?;
        for segment in leave.iter().filter(|segment| !segment.is_retired()).rev() {
            let path = segment.log_path();
            segment.retire().map_err(|error| self.failed("retire", &path, error))?;
        }
        let mut list = stay.to_vec();
        list.extend(sealed.map(|cut| Arc::new(cut.seal())));
        list.push(Arc::clone(&active));
        self.store_segments(Segments::new(list));
        self.active = Active::new(active, 0);
        self.remove_snapshots_above(end);
        self.sync_folder_now()?;
        self.forget_above(end, now)?;
        for segment in leave.iter().filter(|segment| segment.base_offset() != end) {
            // What cannot be removed now is removed when the log is opened next time.
            drop(segment.remove());
        }
        Ok(end)
    }

    /// Creates the segment that begins at `end`. One of that name among those that leave is replaced in one step:
    /// after a crash the old one is there, or the new one.
    fn create_at_cut(
        &mut self,
        leave: &[Arc<Segment>],
        end: Offset,
    ) -> Result<Arc<Segment>, LogError> {
        let Some(same) = leave.first().filter(|segment| segment.base_offset() == end) else {
            return self.create_segment(end);
        };
        let replaced = same.replace(u64::from(self.options.segment_bytes));
        let segment = replaced.map_err(|error| self.failed("replace", &same.log_path(), error))?;
        self.shared.names.changed();
        Ok(Arc::new(segment))
    }

    /// What follows at these offsets was never compacted, and no restart may take it for that.
    fn lower_cleaned_end(&self, end: Offset) -> Result<(), LogError> {
        let shared = &self.shared;
        if shared.cleaned_end.load(Ordering::Acquire) > end.get() {
            let path = shared.home.folder.join(COMPACTION_FILE);
            let forgotten = forget_cleaned_end(&shared.home);
            forgotten.map_err(|error| self.failed("remove", &path, error))?;
            shared.cleaned_end.store(end.get(), Ordering::Release);
        }
        Ok(())
    }

    fn remove_snapshots_above(&self, end: Offset) {
        for offset in self.snapshot_offsets().into_iter().filter(|offset| *offset > end) {
            drop(self.shared.home.fs.remove(&self.path_of(offset, FileKind::Snapshot)));
        }
    }

    fn sync_folder_now(&self) -> Result<(), LogError> {
        let home = &self.shared.home;
        let synced = home.fs.sync_folder(&home.folder);
        synced.map_err(|error| self.failed("sync", &home.folder, error))
    }

    fn sync_folder_if_dirty(&self) -> Result<(), LogError> {
        let home = &self.shared.home;
        let synced = self.shared.names.sync(|| home.fs.sync_folder(&home.folder));
        synced.map_err(|error| self.failed("sync", &home.folder, error))
    }

    /// Epochs and producers forget what was cut.
    fn forget_above(&mut self, end: Offset, now: TimestampMs) -> Result<(), LogError> {
        let mut epochs = self.shared.epochs.load().as_ref().clone();
        if epochs.truncate_to(end) {
            self.shared.epochs.store(Arc::new(epochs));
            self.shared.epochs_dirty.store(true, Ordering::Release);
        }
        let folder = self.shared.home.folder.clone();
        if self.producers.truncate_to(end) == AfterTruncation::Rebuild {
            let loaded = self.load_producers(now);
            loaded.map_err(|error| self.failed("read the producers of", &folder, error))?;
        }
        Ok(())
    }

    /// Moves the log start up to `to`, and deletes segments that lie below it as a whole. The caller has made
    /// sure that `to` is not above the high watermark, and writes the log start, durably, before it answers.
    pub fn delete_below(&mut self, to: Offset) -> Result<Removed, LogError> {
        let (log_start, log_end) = (self.log_start(), self.log_end());
        if to > log_end {
            let action = "delete records";
            return Err(LogError::OutOfRange { action, offset: to, log_start, log_end });
        }
        if to <= log_start {
            return Ok(Removed::default());
        }
        self.shared.dir.before_delete()?;
        self.raise_log_start(to);
        let segments = self.shared.segments.load_full();
        let below = segments.place_of(to).unwrap_or(0);
        self.remove_oldest(below)
    }

    /// Deletes segments that the topic's retention does not keep; only what is below the high watermark.
    pub fn apply_retention(
        &mut self,
        now: TimestampMs,
        high_watermark: Offset,
    ) -> Result<Removed, LogError> {
        let limits =
            RetentionLimits { ms: self.options.retention_ms, bytes: self.options.retention_bytes };
        let state = RetentionState { log_start: self.log_start(), high_watermark, now };
        let ages = self.segment_ages();
        let active_is_empty = self.active.position == 0;
        let active = if active_is_empty { ActiveSegment::Stays } else { ActiveSegment::MayGo };
        let count = expired(&ages, &limits, &state, active).len();
        if count == 0 {
            return Ok(Removed::default());
        }
        self.shared.dir.before_delete()?;
        if count == ages.len() {
            self.roll()?;
        }
        let segments = self.shared.segments.load_full();
        let log_end = self.log_end();
        let first_kept = segments.get(count).map_or(log_end, |segment| segment.base_offset());
        self.raise_log_start(first_kept);
        self.remove_oldest(count)
    }

    fn segment_ages(&self) -> Vec<SegmentAge> {
        let segments = self.shared.segments.load();
        let log_end = self.log_end();
        let age = |(place, segment): (usize, &Arc<Segment>)| SegmentAge {
            end: segments.end_of(place, log_end),
            bytes: segment.visible(),
            largest_timestamp: segment.newest(),
            last_append: segment.last_append(),
        };
        segments.as_slice().iter().enumerate().map(age).collect()
    }

    fn raise_log_start(&self, to: Offset) {
        let shared = &self.shared;
        shared.log_start.fetch_max(to.get(), Ordering::AcqRel);
        let mut epochs = shared.epochs.load().as_ref().clone();
        if epochs.trim_below(to) {
            shared.epochs.store(Arc::new(epochs));
            shared.epochs_dirty.store(true, Ordering::Release);
        }
    }

    /// Deletes the oldest `count` segments, but never the active one.
    fn remove_oldest(&mut self, count: usize) -> Result<Removed, LogError> {
        let shared = Arc::clone(&self.shared);
        let Ok(_exclusive) = shared.exchange.try_lock() else {
            // Compaction exchanges files: what lies below the log start goes next time.
            return Ok(Removed::default());
        };
        let segments = self.shared.segments.load_full();
        let count = count.min(segments.as_slice().len().saturating_sub(1));
        if count == 0 {
            return Ok(Removed::default());
        }
        let (leave, stay) = segments.as_slice().split_at(count);
        self.store_segments(Segments::new(stay.to_vec()));
        let mut removed = Removed::default();
        for segment in leave {
            // A crash may bring back any deleted file whose going was not synced: one at a time, so that there is
            // never a hole, and only when the segment that stays is there. This needs no room on a full disk,
            // as a checkpoint of the log start would.
            self.sync_folder_if_dirty()?;
            let path = segment.log_path();
            segment.retire().map_err(|error| self.failed("retire", &path, error))?;
            drop(segment.remove());
            self.shared.names.changed();
            removed.segments += 1;
            removed.bytes += segment.visible();
        }
        Ok(removed)
    }
}
