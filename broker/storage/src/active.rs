//! The segment that is being written, as its writer sees it.
//!
//! Owns the write position, the blocks reserved ahead, and when an index entry is due. Only the log's writer
//! has one.

use std::io;
use std::sync::Arc;

use thalweg_protocol::TimestampMs;

use crate::ahead::Wanted;
use crate::index::TimeEntry;
use crate::segment::Segment;
use crate::walk::{Found, total_bytes};

/// Reserved with a segment's first write: thousands of quiet partitions must cost almost no disk.
pub(crate) const RESERVE_FIRST_BYTES: u64 = 64 * 1024;

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
    /// When the segment got its first batch, by the broker's clock.
    pub(crate) first_append: Option<TimestampMs>,
    /// The largest timestamp so far, with the batch that has it.
    pub(crate) newest: TimeEntry,
    /// Bytes since the last index entry.
    since_entry: u64,
    /// The end of the reserve behind which more was asked for.
    asked_behind: Option<u64>,
    /// The next file was asked for.
    asked_next: bool,
}

impl Active {
    /// The active segment, written up to `position`.
    pub(crate) fn new(segment: Arc<Segment>, position: u64) -> Self {
        Self {
            segment,
            position,
            first_append: None,
            newest: TimeEntry { timestamp: TimestampMs::NONE, relative: 0 },
            since_entry: 0,
            asked_behind: None,
            asked_next: false,
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

    /// Reserves blocks for a batch of `bytes`, in growing steps and never past `segment_bytes`; false when they were
    /// there already.
    pub(crate) fn reserve(&self, bytes: u64, segment_bytes: u64) -> io::Result<bool> {
        let needed = self.position + bytes;
        if needed <= self.segment.reserved_end() {
            return Ok(false);
        }
        let end = reserve_end(self.position, needed, segment_bytes);
        // The file is about to be written: its descriptor must be the one that is synced.
        self.segment.soil(self.position);
        self.segment.reserve(end)?;
        Ok(true)
    }

    /// What should be made ready now, told once for each thing. `reserves` says whether blocks are reserved.
    pub(crate) fn wanted(&mut self, segment_bytes: u64, reserves: bool) -> Option<Wanted> {
        let reserved = self.segment.reserved_end();
        let step = reserve_step(self.position);
        let last = block_end(segment_bytes);
        let nearly = self.position + step / 2 >= reserved && reserved < last;
        let more = reserves && nearly && self.asked_behind != Some(reserved);
        let next = !self.asked_next && self.position > 0 && self.position + step >= last;
        if !more && !next {
            return None;
        }
        if more {
            self.asked_behind = Some(reserved);
        }
        self.asked_next |= next;
        Some(Wanted {
            segment: Arc::clone(&self.segment),
            reserve_end: more.then(|| reserve_end(self.position, reserved + 1, segment_bytes)),
            next_map_bytes: next.then_some(segment_bytes),
            reserves,
        })
    }

    /// Gives back the blocks behind the last batch, and completes the indexes.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.segment.close_at(self.position)?;
        if self.position > 0 {
            self.segment.index_time(self.newest);
            self.segment.flush_indexes();
        }
        Ok(())
    }
}

/// By how much a reserve grows: what is written is doubled, within bounds.
fn reserve_step(written: u64) -> u64 {
    written.clamp(RESERVE_FIRST_BYTES, RESERVE_STEP_MAX)
}

fn block_end(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK_BYTES)
}

/// Where a reserve ends that must cover `needed`: a step further, but not past the segment's end.
fn reserve_end(written: u64, needed: u64, segment_bytes: u64) -> u64 {
    let limit = block_end(segment_bytes);
    block_end((written + reserve_step(written)).min(limit).max(needed))
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
