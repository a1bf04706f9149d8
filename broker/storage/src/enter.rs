//! Where recovery enters a segment: as late as the indexes can be believed.
//!
//! Owns the first look at index files when a log is opened. An entry is believed if the batch that it points to
//! says the same; a time entry, too, since later decisions rely on it being the largest so far.

use std::io;

use thalweg_protocol::Offset;

use crate::fs::File;
use crate::index::Sparse;
use crate::segment::Segment;
use crate::walk::{Found, Step, Walk};

/// A segment that is not longer may well have no index files yet.
const UNINDEXED_MAX: u64 = 2 * 1024 * 1024;

/// So far the walk may begin before the last offset entry, to see every batch behind the last time entry.
const TIMES_BEHIND_MAX: u64 = 1024 * 1024;

/// The way into a segment.
pub(crate) struct Entered<'a> {
    /// Begins at a batch below the recovery point, or at the segment's start.
    pub(crate) walk: Walk<'a>,
    /// The indexes were missing or wrong; the walk from the start builds them again.
    pub(crate) rebuilds: bool,
}

/// Loads the indexes, as far as they can be believed, and begins a walk at the last batch below `known` that they
/// name, else at the start. The indexes then end where the walk begins.
pub(crate) fn enter<'a>(
    segment: &Segment,
    file: &'a dyn File,
    bytes: u64,
    known: Offset,
) -> io::Result<Entered<'a>> {
    let base = segment.base_offset();
    let mut rebuilds = false;
    if known > base && bytes > 0 {
        let there = load_indexes(segment);
        if there && let Some(first) = entry_point(segment, file, bytes, known)? {
            cut_indexes(segment, &first);
            let base = first.header.base_offset;
            let walk = Walk::new(file, first.position, bytes, base);
            return Ok(Entered { walk, rebuilds });
        }
        rebuilds = if there { segment.offsets().len() > 0 } else { bytes > UNINDEXED_MAX };
    }
    *segment.offsets_mut() = Sparse::new();
    *segment.times_mut() = Sparse::new();
    Ok(Entered { walk: Walk::new(file, 0, bytes, base), rebuilds })
}

/// Reads how long the index files are; false when one is missing.
fn load_indexes(segment: &Segment) -> bool {
    let offsets = Sparse::open(&segment.offset_file());
    let times = Sparse::open(&segment.time_file());
    let (Some(offsets), Some(times)) = (offsets, times) else { return false };
    *segment.offsets_mut() = offsets;
    *segment.times_mut() = times;
    true
}

/// The batch of the last offset entry below `known`; `None` when the entry does not tell the truth. Or an
/// earlier one, that of the last time entry: when the walk sees every batch behind it, the largest timestamp
/// is known. When that is too far away, the time index waits for the first who asks by time.
fn entry_point(
    segment: &Segment,
    file: &dyn File,
    bytes: u64,
    known: Offset,
) -> io::Result<Option<Found>> {
    let below = segment.relative(known).unwrap_or(u32::MAX);
    let Some(last) = segment.last_entry_where(|entry| entry.relative < below) else {
        return Ok(None);
    };
    let Some((last, _)) = segment.believe(file, last, bytes)? else { return Ok(None) };
    let earlier = before_last_time(segment, file, bytes, below)?;
    let near = earlier.filter(|it| it.position + TIMES_BEHIND_MAX >= last.position);
    if near.is_none() {
        segment.forget_times();
    }
    Ok(Some(near.filter(|it| it.position < last.position).unwrap_or(last)))
}

/// The batch of the last offset entry at or before the last time entry, if that one tells the truth.
fn before_last_time(
    segment: &Segment,
    file: &dyn File,
    bytes: u64,
    below: u32,
) -> io::Result<Option<Found>> {
    let Some(newest) = segment.last_time_where(|entry| entry.relative < below) else {
        return Ok(None);
    };
    let entry = segment.last_entry_where(|entry| entry.relative <= newest.relative);
    let Some(entry) = entry else { return Ok(None) };
    let Some((first, mut walk)) = segment.believe(file, entry, bytes)? else { return Ok(None) };
    let mut batch = first;
    while batch.header.last_offset() < segment.absolute(newest.relative) {
        match walk.step()? {
            Step::Batch(next) => batch = next,
            Step::End | Step::Bad => return Ok(None),
        }
    }
    let header = &batch.header;
    let told = header.last_offset() == segment.absolute(newest.relative)
        && header.max_timestamp == newest.timestamp;
    Ok(told.then_some(first))
}

/// The indexes keep what points below the batch at which the walk begins, and its offset entry: that one told the
/// truth, and the walk adds the rest.
fn cut_indexes(segment: &Segment, first: &Found) {
    let relative = segment.relative(first.header.base_offset).unwrap_or(0);
    segment
        .offsets_mut()
        .cut(&segment.offset_file(), |entry| u64::from(entry.position) <= first.position);
    segment.times_mut().cut(&segment.time_file(), |entry| entry.relative < relative);
}
