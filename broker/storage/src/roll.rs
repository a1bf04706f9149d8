//! When the active segment closes, and how the next one opens.
//!
//! Owns the decision ([`due`], a pure function) and its steps. Never syncs: the flusher does, and lets the
//! synced end pass the roll only after the old file, the new one and the folder.

use std::io;
use std::sync::Arc;

use thalweg_protocol::batch::BatchHeader;
use thalweg_protocol::{Offset, TimestampMs};

use crate::active::Active;
use crate::error::{AppendError, LogError};
use crate::folder::FileKind;
use crate::log::Log;
use crate::options::LogOptions;
use crate::segment::Segment;
use crate::segments::Segments;
use crate::walk::total_bytes;

/// Index entries that a segment needs room for: one for the batch, one at its end.
const INDEX_ROOM_BYTES: u64 = 16;

/// Why a segment closes before a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RollCause {
    /// The batch does not fit.
    Size,
    /// The first batch is too old.
    Age,
    /// The offset index has no room.
    IndexFull,
    /// The batch's last offset lies too far from the segment's base offset.
    Offset,
}

/// What the active segment is like, as far as rolling is concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill {
    /// Bytes written.
    pub(crate) bytes: u64,
    /// Bytes of the offset index.
    pub(crate) index_bytes: u64,
    /// When the first batch came; `None` while it is empty.
    pub(crate) first_append: Option<TimestampMs>,
    /// The segment's base offset.
    pub(crate) base_offset: Offset,
}

/// Whether the segment must close before `next` is written into it; an empty one never does, except when
/// the offsets do not fit.
pub(crate) fn due(
    fill: &Fill,
    next: &BatchHeader,
    options: &LogOptions,
    now: TimestampMs,
) -> Option<RollCause> {
    if next.last_offset().since(fill.base_offset) > i64::from(i32::MAX) {
        return Some(RollCause::Offset);
    }
    if fill.bytes == 0 {
        return None;
    }
    if fill.bytes + total_bytes(next) > u64::from(options.segment_bytes) {
        return Some(RollCause::Size);
    }
    if fill.index_bytes + INDEX_ROOM_BYTES > u64::from(options.segment_index_bytes) {
        return Some(RollCause::IndexFull);
    }
    // A clock that was set back makes the age negative: no reason to roll.
    let age_ms = fill.first_append.map_or(0, |first| now.since(first));
    (age_ms >= options.segment_ms).then_some(RollCause::Age)
}

impl Log {
    /// Makes the active segment ready to take a batch: rolls if due, reserves blocks.
    pub(crate) fn make_ready(
        &mut self,
        next: &BatchHeader,
        now: TimestampMs,
    ) -> Result<(), AppendError> {
        if due(&self.fill(), next, &self.options, now).is_some() {
            self.roll().map_err(|error| self.as_append_error(error))?;
        }
        self.snapshot_if_due();
        if !self.options.preallocate || !self.can_preallocate {
            return Ok(());
        }
        let segment_bytes = u64::from(self.options.segment_bytes);
        match self.active.reserve(total_bytes(next), segment_bytes) {
            Ok(reserved) => {
                self.made_in_append += u64::from(reserved);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                // The file system cannot; the free-space floor of the directory alone guards appends.
                self.can_preallocate = false;
                Ok(())
            }
            Err(error) => {
                let path = self.active.segment.log_path();
                Err(self.append_failed("reserve blocks for", path, &error))
            }
        }
    }

    fn fill(&self) -> Fill {
        Fill {
            bytes: self.active.position,
            index_bytes: self.active.segment.offsets().bytes(),
            first_append: self.active.first_append,
            base_offset: self.active.segment.base_offset(),
        }
    }

    /// Closes the active segment and opens the next at the log end. Does nothing while the active segment is
    /// empty and begins there.
    pub fn roll(&mut self) -> Result<(), LogError> {
        let base_offset = self.log_end();
        if self.active.segment.base_offset() == base_offset {
            return Ok(());
        }
        // A new name is a change, too: the clean mark has to go before it.
        self.shared.dir.before_write()?;
        let path = self.active.segment.log_path();
        // The next file first: when the disk is full nothing has changed yet.
        let next = self.create_segment(base_offset)?;
        self.active.finish().map_err(|error| self.failed("close", &path, error))?;
        let mut list = self.shared.segments.load().as_slice().to_vec();
        list.push(Arc::clone(&next));
        self.shared.segments.store(Arc::new(Segments::new(list)));
        self.active = Active::new(next, 0);
        self.snapshot_producers();
        Ok(())
    }

    /// Closes the active segment of a compacted log when its first batch is so old that it is time, also while
    /// nothing is appended: only closed segments are compacted.
    pub fn roll_for_compaction(&mut self, now: TimestampMs) -> Result<bool, LogError> {
        let Some(rules) = self.options.compaction else { return Ok(false) };
        let Some(first) = self.active.first_append else { return Ok(false) };
        if now.since(first) < rules.lag_ms_half().min(self.options.segment_ms) {
            return Ok(false);
        }
        self.roll().map(|()| true)
    }

    /// Creates the file of a segment, or takes the one that is ready; the flusher has to sync the folder before
    /// anything in it counts.
    pub(crate) fn create_segment(&mut self, base_offset: Offset) -> Result<Arc<Segment>, LogError> {
        let map_bytes = u64::from(self.options.segment_bytes);
        let home = &self.shared.home;
        let ready = self.shared.ahead.take_next().and_then(|prepared| {
            // One that cannot get its name is left to the next start.
            Segment::from_prepared(home, base_offset, prepared, map_bytes).ok()
        });
        self.made_in_append += u64::from(ready.is_none());
        let created = ready.map_or_else(|| self.create_file(base_offset, map_bytes), Ok);
        let segment =
            created.map_err(|error| self.failed("create a segment in", &home.folder, error))?;
        // Only now: a sync that ran while the file was being made may not have seen its name. The segment
        // is not in the list yet, so no end inside of it can have been published.
        self.shared.names.changed();
        Ok(Arc::new(segment))
    }

    fn create_file(&self, base_offset: Offset, map_bytes: u64) -> io::Result<Segment> {
        let home = &self.shared.home;
        match Segment::create(home, base_offset, map_bytes) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Left by a roll that failed half-way: no segment of the list has this file.
                home.fs.remove(&self.path_of(base_offset, FileKind::Log))?;
                Segment::create(home, base_offset, map_bytes)
            }
            created => created,
        }
    }

    /// Whether something should be made ready now by [`LogReader::prepare`](crate::LogReader::prepare), without the
    /// lock that guards this log. True once for each thing; to be asked after each append.
    pub fn wants_preparation(&mut self) -> bool {
        let reserves = self.options.preallocate && self.can_preallocate;
        let wanted = self.active.wanted(u64::from(self.options.segment_bytes), reserves);
        let wants = wanted.is_some();
        if let Some(wanted) = wanted {
            self.shared.ahead.ask(wanted);
        }
        wants
    }

    /// How often since the last call an append had to reserve blocks or to make a file itself.
    pub fn take_made_in_append(&mut self) -> u64 {
        std::mem::take(&mut self.made_in_append)
    }
}

#[cfg(test)]
mod tests {
    use thalweg_protocol::batch::Attributes;
    use thalweg_protocol::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence};

    use super::*;

    fn batch(base_offset: i64, bytes: u32, records: i32) -> BatchHeader {
        BatchHeader {
            base_offset: Offset::new(base_offset),
            length: bytes - 12,
            leader_epoch: LeaderEpoch::FIRST,
            magic: 2,
            crc: 0,
            attributes: Attributes::default(),
            last_offset_delta: records - 1,
            base_timestamp: TimestampMs::new(0),
            max_timestamp: TimestampMs::new(0),
            producer: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: Sequence::NONE,
            record_count: records,
        }
    }

    fn check(bytes: u64, index_bytes: u64, age_ms: i64, next: &BatchHeader) -> Option<RollCause> {
        let options = LogOptions {
            segment_bytes: 1000,
            segment_ms: 50,
            segment_index_bytes: 64,
            ..LogOptions::default()
        };
        let fill = Fill {
            bytes,
            index_bytes,
            first_append: (bytes > 0).then_some(TimestampMs::new(100)),
            base_offset: Offset::new(10),
        };
        due(&fill, next, &options, TimestampMs::new(100 + age_ms))
    }

    #[test]
    fn a_segment_closes_before_it_would_grow_too_large() {
        assert_eq!(check(900, 0, 0, &batch(20, 100, 1)), None);
        assert_eq!(check(900, 0, 0, &batch(20, 101, 1)), Some(RollCause::Size));
        assert_eq!(check(0, 0, 0, &batch(20, 5000, 1)), None, "an empty one takes any batch");
    }

    #[test]
    fn a_segment_closes_by_the_age_of_its_first_batch() {
        assert_eq!(check(100, 0, 49, &batch(20, 100, 1)), None);
        assert_eq!(check(100, 0, 50, &batch(20, 100, 1)), Some(RollCause::Age));
        assert_eq!(check(100, 0, -900, &batch(20, 100, 1)), None, "the clock was set back");
        assert_eq!(check(0, 0, 900, &batch(20, 100, 1)), None);
    }

    #[test]
    fn a_segment_closes_when_its_index_is_full() {
        assert_eq!(check(100, 48, 0, &batch(20, 100, 1)), None);
        assert_eq!(check(100, 56, 0, &batch(20, 100, 1)), Some(RollCause::IndexFull));
    }

    #[test]
    fn a_segment_closes_before_a_relative_offset_passes_31_bits() {
        let last = 10 + i64::from(i32::MAX);
        assert_eq!(check(100, 0, 0, &batch(last, 100, 1)), None);
        assert_eq!(check(100, 0, 0, &batch(last, 100, 2)), Some(RollCause::Offset));
        assert_eq!(check(0, 0, 0, &batch(last + 1, 100, 1)), Some(RollCause::Offset));
    }
}
