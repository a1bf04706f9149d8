//! The segment that is being written, as its writer sees it.
//!
//! Owns the write position, the blocks reserved ahead, and when an index entry is due. Only the log's writer
//! has one.

use std::io;
use std::sync::Arc;

use thalweg_protocol::TimestampMs;

use crate::index::TimeEntry;
use crate::segment::Segment;
use crate::walk::{Found, total_bytes};

/// Reserved with a segment's first write: thousands of quiet partitions must cost almost no disk.
const RESERVE_FIRST_BYTES: u64 = 64 * 1024;

/// The largest step by which the reserve grows.
const RESERVE_STEP_MAX: u64 = 16 * 1024 * 1024;

/// Reserves end at multiples of this, as file systems hand out blocks.
const BLOCK_BYTES: u64 = 4096;

/// The newest segment with what only its writer needs.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) segment: Arc<Segment>,
    /// Where the next batch goes: the written length.
    pub(crate) position: u64,
    /// Blocks are reserved up to here.
    pub(crate) preallocated: u64,
    /// When the segment got its first batch, by the broker's clock.
    pub(crate) first_append: Option<TimestampMs>,
    /// The largest timestamp so far, with the batch that has it.
    pub(crate) newest: TimeEntry,
    /// Bytes since the last index entry.
    since_entry: u64,
}

impl Active {
    /// The active segment, written up to `position`.
    pub(crate) fn new(segment: Arc<Segment>, position: u64) -> Self {
        Self {
            segment,
            position,
            preallocated: position,
            first_append: None,
            newest: TimeEntry { timestamp: TimestampMs::NONE, relative: 0 },
            since_entry: 0,
        }
    }

    /// Goes on where the time index stopped.
    pub(crate) fn resume(&mut self) {
        if let Some(last) = self.segment.last_time() {
            self.newest = last;
        }
    }

    /// Takes note of a batch that was written at the position: its times, and an index entry when one is due.
    pub(crate) fn note(&mut self, found: &Found, now: TimestampMs, interval_bytes: u32) {
        let header = &found.header;
        let relative = self.segment.relative(header.last_offset()).unwrap_or(u32::MAX);
        if header.max_timestamp > self.newest.timestamp {
            self.newest = TimeEntry { timestamp: header.max_timestamp, relative };
        }
        self.first_append.get_or_insert(now);
        self.segment.note_times(header.max_timestamp, now);
        if self.since_entry > u64::from(interval_bytes) {
            self.segment.index(found, self.newest);
            self.since_entry = 0;
        }
        self.since_entry += total_bytes(header);
    }

    /// Reserves blocks for a batch of `bytes`, in growing steps and never past `segment_bytes`.
    pub(crate) fn reserve(&mut self, bytes: u64, segment_bytes: u64) -> io::Result<()> {
        let needed = self.position + bytes;
        if needed <= self.preallocated {
            return Ok(());
        }
        let end = reserve_end(self.position, needed, segment_bytes);
        // The file is about to be written: its descriptor must be the one that is synced.
        self.segment.soil(self.position);
        self.segment.file()?.preallocate(end)?;
        self.preallocated = end;
        Ok(())
    }

    /// Gives back the blocks behind the last batch, and completes the indexes.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if self.preallocated > self.position {
            self.segment.file()?.set_length(self.position)?;
            self.preallocated = self.position;
        }
        self.segment.index_time(self.newest);
        self.segment.flush_indexes();
        Ok(())
    }
}

/// Where a reserve ends that must cover `needed`: what is written is doubled, within a step's bounds.
fn reserve_end(written: u64, needed: u64, segment_bytes: u64) -> u64 {
    let step = written.clamp(RESERVE_FIRST_BYTES, RESERVE_STEP_MAX);
    let limit = segment_bytes.next_multiple_of(BLOCK_BYTES);
    (written + step).min(limit).max(needed).next_multiple_of(BLOCK_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn reserves_begin_small_and_grow_to_a_bounded_step() {
        assert_eq!(reserve_end(0, 100, 1024 * MIB), 64 * 1024);
        assert_eq!(reserve_end(65_000, 70_000, 1024 * MIB), 131_072);
        assert_eq!(reserve_end(MIB, MIB + 1, 1024 * MIB), 2 * MIB);
        assert_eq!(reserve_end(100 * MIB, 100 * MIB + 1, 1024 * MIB), 116 * MIB);
    }

    #[test]
    fn a_reserve_ends_with_the_segment_but_covers_what_is_needed() {
        assert_eq!(reserve_end(0, 10, 5000), 8192);
        assert_eq!(reserve_end(1023 * MIB, 1023 * MIB + 9, 1024 * MIB), 1024 * MIB);
        assert_eq!(reserve_end(0, 3 * MIB, MIB), 3 * MIB);
    }
}
