//! Reading: from an offset to bytes of a segment's map, without a copy and without the writer's lock.
//!
//! Owns the choice of the bytes: whole batches, from the one that holds the offset up to a limit. Never
//! returns bytes at or above the log end that it saw. Who must not wait for the disk uses [`LogReader::read_now`],
//! which looks for the batch in memory only, and asks [`Read::is_cold`] before it touches the bytes; what is cold
//! a reading thread reads, and [`populate`](Read::populate)s.

use std::sync::Arc;
use std::{fmt, io};

use bytes::Bytes;
use thalweg_protocol::Offset;

use crate::deleted::Hold;
use crate::epoch::EpochTable;
use crate::error::ReadError;
use crate::find::Lookup;
use crate::fs::{File, Map};
use crate::reader::LogReader;
use crate::segment::{BadRange, Segment};
use crate::walk::{Found, Step, Walk};

/// Whole batches, as they lie in the log. The bytes stay valid and unchanged as long as they are held,
/// whatever happens to the log.
#[derive(Clone)]
pub struct Read {
    bytes: Bytes,
    /// The base offset of the first batch.
    base: Offset,
    next: Offset,
    place: Option<(Arc<dyn Map>, usize)>,
    hold: Option<Hold>,
}

impl Read {
    /// Nothing: `from` is where the next read begins.
    pub const fn empty(from: Offset) -> Self {
        Self { bytes: Bytes::new(), base: from, next: from, place: None, hold: None }
    }

    /// The batches; empty when there is nothing yet. The first one may begin below the offset that was asked
    /// for: it holds it.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The batches.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// The offset after the last record: where the next read begins.
    pub const fn next(&self) -> Offset {
        self.next
    }

    /// How many offsets the batches span: their records, unless some were compacted away.
    pub fn span(&self) -> u64 {
        u64::try_from(self.next.get() - self.base.get()).unwrap_or_default()
    }

    /// What the bytes keep from being given back to the disk; nothing when there are none.
    pub fn hold(&self) -> Option<Hold> {
        self.hold.clone().filter(|_| !self.bytes.is_empty())
    }

    /// Whether touching the bytes may wait for the disk.
    pub fn is_cold(&self) -> bool {
        let resident = |(map, at): &(Arc<dyn Map>, usize)| map.is_resident(*at, self.bytes.len());
        !self.place.as_ref().is_none_or(resident)
    }

    /// Reads the bytes into memory; waits for the disk.
    pub fn populate(&self) -> io::Result<()> {
        self.place.as_ref().map_or(Ok(()), |(map, at)| map.populate(*at, self.bytes.len()))
    }
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read")
            .field("bytes", &self.bytes.len())
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// What a read is bounded by.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    bytes_max: u64,
    below: Offset,
    at_least_one: bool,
}

impl LogReader {
    /// Whole batches from the one that holds `from`, below the offset `below` (usually the high watermark), of
    /// at most `bytes_max` bytes; with `at_least_one`, one batch even if it is larger. Ends with the
    /// segment, so that what is there is not always all that there is. May wait for the disk.
    pub fn read(
        &self,
        from: Offset,
        bytes_max: usize,
        below: Offset,
        at_least_one: bool,
    ) -> Result<Read, ReadError> {
        let read = self.read_by(from, bytes_max, below, at_least_one, Segment::file)?;
        Ok(read.unwrap_or_else(|| Read::empty(from)))
    }

    /// The same without waiting for the disk: nothing when finding the batches would.
    pub fn read_now(
        &self,
        from: Offset,
        bytes_max: usize,
        below: Offset,
        at_least_one: bool,
    ) -> Result<Option<Read>, ReadError> {
        self.read_by(from, bytes_max, below, at_least_one, Segment::resident_file)
    }

    fn read_by(
        &self,
        from: Offset,
        bytes_max: usize,
        below: Offset,
        at_least_one: bool,
        open: Open,
    ) -> Result<Option<Read>, ReadError> {
        // The end before the list: the list then holds every segment below this end.
        let (log_start, log_end) = (self.log_start(), self.log_end());
        if from < log_start || from > log_end {
            return Err(ReadError::OutOfRange { offset: from, log_start, log_end });
        }
        let below = below.min(self.readable_end(log_end));
        if from >= below {
            return Ok(Some(Read::empty(from)));
        }
        let bytes_max = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        let bounds = Bounds { bytes_max, below, at_least_one };
        match self.read_within(from, &bounds, log_end, open)? {
            InLog::Read(read) => Ok(Some(read)),
            InLog::Cold => Ok(None),
            InLog::Nothing => self.nothing_at(from).map(Some),
        }
    }

    /// Nothing was found where something had been: a cut or a deletion in between has taken it.
    fn nothing_at(&self, from: Offset) -> Result<Read, ReadError> {
        let (log_start, log_end) = (self.log_start(), self.log_end());
        if from < log_start || from > log_end {
            return Err(ReadError::OutOfRange { offset: from, log_start, log_end });
        }
        Ok(Read::empty(from))
    }

    /// A failed directory serves what was synced: the rest may be gone after the restart.
    pub(crate) fn readable_end(&self, log_end: Offset) -> Offset {
        if self.dir().is_offline() { log_end.min(self.synced_end()) } else { log_end }
    }

    fn read_within(
        &self,
        from: Offset,
        bounds: &Bounds,
        log_end: Offset,
        open: Open,
    ) -> Result<InLog, ReadError> {
        let segments = self.segments();
        let Some(place) = segments.place_of(from) else { return Ok(InLog::Nothing) };
        let Some(segment) = segments.get(place) else { return Ok(InLog::Nothing) };
        let end_offset = segments.end_of(place, log_end);
        let path = || segment.log_path();
        let epochs = self.shared.epochs.load();
        // Before the file: bytes that became visible are in it.
        let visible = segment.visible();
        let read = open(segment).and_then(|file| {
            read_segment(segment, &*file, visible, from, bounds, end_offset, &epochs)
        });
        let read = match read {
            // Deleted or cut off meanwhile; the log start or the log end tells.
            Err(_) if segment.is_retired() => return Ok(InLog::Nothing),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(InLog::Cold),
            other => other.map_err(|error| ReadError::io("read", &path(), error))?,
        };
        match read {
            InSegment::Read(mut read) => {
                read.hold = Some(Hold::new(segment, self.dir()));
                Ok(InLog::Read(read))
            }
            InSegment::Nothing => Ok(InLog::Nothing),
            // A cut in between has changed the epochs under our eyes.
            InSegment::Bad(_) if self.log_end() < log_end => Ok(InLog::Nothing),
            InSegment::Bad(range) => Err(ReadError::Corrupt {
                path: path(),
                from,
                next_good: range.next_good.min(log_end),
            }),
        }
    }
}

/// How a segment's file is opened: to wait for the disk, or not to.
type Open = fn(&Segment) -> io::Result<Arc<dyn File>>;

/// What the log gave.
enum InLog {
    Read(Read),
    Nothing,
    /// The disk would have to be waited for.
    Cold,
}

/// What a segment gave.
enum InSegment {
    Read(Read),
    Nothing,
    Bad(BadRange),
}

fn read_segment(
    segment: &Segment,
    file: &dyn File,
    visible: u64,
    from: Offset,
    bounds: &Bounds,
    end_offset: Offset,
    epochs: &EpochTable,
) -> io::Result<InSegment> {
    let (first, walk) = match segment.find(file, from, visible, end_offset)? {
        Lookup::Batch(first, walk) => (first, walk),
        Lookup::End => return Ok(InSegment::Nothing),
        Lookup::Bad(range) => return Ok(InSegment::Bad(range)),
    };
    if let Some(range) = wrong_epoch(&first, epochs) {
        segment.bad().add(range);
        return Ok(InSegment::Bad(range));
    }
    if first.header.last_offset() >= end_offset {
        // Its checksum says that it was written so, and yet others hold the offsets: whoever waited for all of it would wait
        // for ever.
        let from = first.header.base_offset;
        return Ok(InSegment::Bad(BadRange { from, next_good: end_offset }));
    }
    let limit = first.position.saturating_add(bounds.bytes_max);
    let too_large = first.end() > limit && !bounds.at_least_one;
    if first.header.last_offset() >= bounds.below || too_large {
        return Ok(InSegment::Read(Read::empty(from)));
    }
    // What is damaged further on ends the read before it.
    let bad = segment.bad().next_from(from);
    let below = bad.map_or(bounds.below, |bad| bounds.below.min(bad));
    let (last, damaged) = last_within(segment, first, walk, limit, below)?;
    if let Some(walk) = damaged
        && segment.bad().at(first.header.base_offset).is_none()
    {
        // Damage that nobody knew of: once it is known, the read ends before it, or says so.
        segment.quarantine_at(&walk, end_offset)?;
        return read_segment(segment, file, visible, from, bounds, end_offset, epochs);
    }
    let (position, bytes) = (first.position, last.end() - first.position);
    let (slice, map) = segment.slice(position, bytes)?;
    let at = usize::try_from(position).map_err(io::Error::other)?;
    Ok(InSegment::Read(Read {
        bytes: slice,
        base: first.header.base_offset,
        next: last.header.next_offset(),
        place: Some((map, at)),
        hold: None,
    }))
}

/// The damaged range that a batch is when its leader epoch, which no checksum covers, is not that of its offset.
pub(crate) fn wrong_epoch(found: &Found, epochs: &EpochTable) -> Option<BadRange> {
    let (from, next_good) = (found.header.base_offset, found.header.next_offset());
    let known = epochs.epoch_at(from)?;
    (known != found.header.leader_epoch).then_some(BadRange { from, next_good })
}

/// The last batch that ends at or below the byte `limit` and below the offset `below`; `first` at least. Also the
/// walk, when damage ended it.
fn last_within<'a>(
    segment: &Segment,
    first: Found,
    walk: Walk<'a>,
    limit: u64,
    below: Offset,
) -> io::Result<(Found, Option<Walk<'a>>)> {
    let mut last = first;
    let mut walk = walk;
    if let Some((found, further)) = jump(segment, &walk, limit, below)? {
        last = found;
        walk = further;
    }
    loop {
        // Also where known damage begins.
        if walk.expected() >= below {
            return Ok((last, None));
        }
        match walk.step()? {
            Step::Batch(found) if found.end() <= limit && found.header.last_offset() < below => {
                last = found;
            }
            Step::Batch(_) | Step::End => return Ok((last, None)),
            Step::Bad => return Ok((last, Some(walk))),
        }
    }
}

/// Goes ahead by the index, when it knows a batch further on that is still within the bounds.
fn jump<'a>(
    segment: &Segment,
    walk: &Walk<'a>,
    limit: u64,
    below: Offset,
) -> io::Result<Option<(Found, Walk<'a>)>> {
    let mut limit_position = limit;
    // The last batch may begin below the limit and end above it; the entry before it then serves.
    for _ in 0..2 {
        let entry = segment.last_entry_for(walk.file(), |entry| {
            u64::from(entry.position) <= limit_position && segment.absolute(entry.relative) < below
        })?;
        let Some(entry) = entry.filter(|entry| u64::from(entry.position) > walk.position()) else {
            return Ok(None);
        };
        let found = segment.believe(walk.file(), entry, walk.end())?;
        if found.as_ref().is_none_or(|(found, _)| found.end() <= limit) {
            return Ok(found);
        }
        limit_position = u64::from(entry.position).saturating_sub(1);
    }
    Ok(None)
}
