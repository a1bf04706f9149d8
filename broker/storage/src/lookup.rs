//! Finding records by time.
//!
//! Owns the search: the time index names a batch to begin at, headers lead to the batch, and the batch is
//! inflated to find the record. Timestamps need not rise from record to record, so the answer is the first
//! record, in the order of offsets, that is not older than asked.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use thalweg_protocol::batch::Batch;
use thalweg_protocol::{LeaderEpoch, Offset, TimestampMs};

use crate::error::ReadError;
use crate::find::Lookup;
use crate::reader::LogReader;
use crate::segment::Segment;
use crate::visit::visit;
use crate::walk::{Found, total_bytes};

/// A record that was found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOffset {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp.
    pub timestamp: TimestampMs,
    /// The leader epoch of its batch.
    pub leader_epoch: LeaderEpoch,
}

impl LogReader {
    /// The first record below `below` whose timestamp is `time` or later; `None` if there is none. May wait
    /// for the disk.
    pub fn offset_at_time(
        &self,
        time: TimestampMs,
        below: Offset,
    ) -> Result<Option<TimedOffset>, ReadError> {
        let (log_start, log_end) = (self.log_start(), self.log_end());
        let segments = self.segments();
        let candidates = segments.as_slice().iter().enumerate();
        let mut found = None;
        for (place, segment) in candidates.skip(segments.place_of(log_start).unwrap_or(0)) {
            learn_times(segment)?;
            if segment.newest() >= time {
                found = Some((place, segment));
                break;
            }
        }
        let Some((place, segment)) = found else { return Ok(None) };
        let end_offset = segments.end_of(place, log_end);
        let floor = time_floor(segment, time, end_offset)
            .map_err(|error| ReadError::io("search by time in", &segment.log_path(), error))?;
        let from = floor.max(log_start);
        let below = below.min(log_end);
        let mut answer = Ok(None);
        let seen = visit(&segments, from, log_end, |segment, found| {
            if found.header.base_offset >= below {
                return ControlFlow::Break(());
            }
            if found.header.max_timestamp < time {
                return ControlFlow::Continue(());
            }
            let wanted =
                |offset, timestamp| offset >= log_start && offset < below && timestamp >= time;
            match first_record(segment, found, wanted) {
                Ok(None) => ControlFlow::Continue(()),
                other => {
                    answer = other;
                    ControlFlow::Break(())
                }
            }
        });
        seen.map_err(|error| ReadError::io("search by time", self.folder(), error))?;
        answer
    }

    /// The record with the largest timestamp, the first of several; `None` in an empty log. May wait for the
    /// disk.
    pub fn max_timestamp(&self, below: Offset) -> Result<Option<TimedOffset>, ReadError> {
        let (log_start, log_end) = (self.log_start(), self.log_end());
        let below = below.min(log_end);
        let segments = self.segments();
        let first = segments.place_of(log_start).unwrap_or(0);
        let held = segments.as_slice().iter().skip(first);
        held.clone().try_for_each(|segment| learn_times(segment))?;
        let Some(newest) = held.clone().map(|segment| segment.newest()).max() else {
            return Ok(None);
        };
        // What lies above `below` or under the log start may have been the largest: then all is looked at.
        let place = held.clone().position(|segment| segment.newest() == newest).unwrap_or(0);
        let from = segments.get(first + place).map_or(log_start, |segment| segment.base_offset());
        let best = self.largest_from(from.max(log_start), log_start, below)?;
        match best {
            Some(best) if best.timestamp >= newest => Ok(Some(best)),
            _ => self.largest_from(log_start, log_start, below),
        }
    }

    fn largest_from(
        &self,
        from: Offset,
        log_start: Offset,
        below: Offset,
    ) -> Result<Option<TimedOffset>, ReadError> {
        let segments = self.segments();
        let mut best: Option<TimedOffset> = None;
        let mut failed = Ok(());
        let seen = visit(&segments, from, below, |segment, found| {
            let header = &found.header;
            let above = |timestamp| best.is_none_or(|best| timestamp > best.timestamp);
            if !above(header.max_timestamp) {
                return ControlFlow::Continue(());
            }
            // A batch that reaches out of the range may have its largest timestamp out there.
            match largest_record(segment, found, log_start, below) {
                Ok(Some(record)) if above(record.timestamp) => best = Some(record),
                Ok(_) => {}
                Err(error) => {
                    failed = Err(error);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
        seen.map_err(|error| ReadError::io("search by time", self.folder(), error))?;
        failed.map(|()| best)
    }
}

/// Makes sure that the segment's times can be relied on.
fn learn_times(segment: &Segment) -> Result<(), ReadError> {
    let learned = segment.knows_times() || segment.is_retired();
    let learn = || segment.learn_times(&*segment.file()?);
    if learned { Ok(()) } else { learn() }
        .map_err(|error| ReadError::io("read the times of", &segment.log_path(), error))
}

/// Everything below this offset of the segment is older than `time`. The index entry that says so is believed
/// only if its batch says the same.
fn time_floor(segment: &Segment, time: TimestampMs, end_offset: Offset) -> io::Result<Offset> {
    let older = segment.last_time_where(|entry| entry.timestamp < time);
    let Some(entry) = older else { return Ok(segment.base_offset()) };
    let offset = segment.absolute(entry.relative);
    let (file, end) = (segment.file()?, segment.visible());
    if let Lookup::Batch(found, _) = segment.find(&*file, offset, end, end_offset)?
        && found.header.last_offset() == offset
        && found.header.max_timestamp == entry.timestamp
    {
        return Ok(offset.next());
    }
    segment.rebuild_index(&*file, end)?;
    Ok(segment.base_offset())
}

fn first_record(
    segment: &Arc<Segment>,
    found: &Found,
    wanted: impl Fn(Offset, TimestampMs) -> bool,
) -> Result<Option<TimedOffset>, ReadError> {
    let batch = load(segment, found)?;
    let damaged = |_| corrupt(segment, found);
    let records = batch.records().map_err(damaged)?;
    for record in &records {
        let record = record.map_err(damaged)?;
        if wanted(record.offset, record.timestamp) {
            return Ok(Some(TimedOffset {
                offset: record.offset,
                timestamp: record.timestamp,
                leader_epoch: found.header.leader_epoch,
            }));
        }
    }
    Ok(None)
}

fn largest_record(
    segment: &Arc<Segment>,
    found: &Found,
    log_start: Offset,
    below: Offset,
) -> Result<Option<TimedOffset>, ReadError> {
    let batch = load(segment, found)?;
    let damaged = |_| corrupt(segment, found);
    let records = batch.records().map_err(damaged)?;
    let mut largest: Option<TimestampMs> = None;
    for record in &records {
        let record = record.map_err(damaged)?;
        if record.offset >= log_start && record.offset < below {
            largest = largest.max(Some(record.timestamp));
        }
    }
    let Some(largest) = largest else { return Ok(None) };
    first_record(segment, found, |offset, timestamp| {
        offset >= log_start && offset < below && timestamp == largest
    })
}

/// Reads a whole batch, by `read_at`: its bytes are looked at here, and a map may not be.
fn load(segment: &Segment, found: &Found) -> Result<Batch, ReadError> {
    let read = || {
        let bytes = usize::try_from(total_bytes(&found.header)).map_err(io::Error::other)?;
        let mut buffer = vec![0; bytes];
        let read = segment.file()?.read_at(found.position, &mut buffer)?;
        buffer.truncate(read);
        Ok(Bytes::from(buffer))
    };
    let bytes = read().map_err(|error| ReadError::io("read", &segment.log_path(), error))?;
    let batch = Batch::decode(&bytes).map_err(|_| corrupt(segment, found))?;
    batch.verify_checksum().map_err(|_| corrupt(segment, found))?;
    Ok(batch)
}

fn corrupt(segment: &Segment, found: &Found) -> ReadError {
    ReadError::Corrupt {
        path: segment.log_path(),
        from: found.header.base_offset,
        next_good: found.header.next_offset(),
    }
}
