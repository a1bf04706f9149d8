//! Carries out what a restart decides: walks the segments, keeps, quarantines or cuts.
//!
//! Owns the walk over a log that is opened. It begins at the recovery point, found by the index, and so does not
//! grow with the log; of older segments it looks at the last batches only. What it keeps above the
//! recovery point after a crash is written again byte for byte and synced, because a sync that failed
//! before the crash leaves pages that look clean and are not on the disk.

use std::io;
use std::sync::Arc;

use thalweg_protocol::{Offset, TimestampMs};

use crate::defects::{Defect, planted};
use crate::epoch::EpochTable;
use crate::find::IndexBuilder;
use crate::folder::{FileKind, FileName};
use crate::fs::File;
use crate::index::Sparse;
use crate::recovery::{After, Case, Decision, Next, Place, Seen, Stop, decide};
use crate::segment::{BadRange, Home, Segment};
use crate::walk::{Found, Step, Walk, is_intact, next_intact, total_bytes};

/// A segment that is not longer may well have no index files yet.
const UNINDEXED_MAX: u64 = 2 * 1024 * 1024;

/// How much of a kept tail is written again at one time.
const REWRITE_BYTES: u64 = 1024 * 1024;

/// What opening a log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Batches above the recovery point that were checked and kept.
    pub kept_batches: u64,
    /// Their bytes.
    pub kept_bytes: u64,
    /// Bytes that were cut off behind the last good batch; a copy lies beside the log as `<offset>.cut`.
    pub cut_bytes: u64,
    /// Good batches were among what was cut: the replica may have lost a suffix.
    pub may_have_lost_suffix: bool,
    /// Ranges that are damaged though they had been synced; nothing of them was removed.
    pub bad_ranges: Vec<BadRange>,
    /// Segments whose indexes were missing or wrong and were built again.
    pub rebuilt_indexes: u64,
}

/// One data file, as it was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DataFile {
    pub(crate) base_offset: Offset,
    pub(crate) bytes: u64,
}

/// The walk over a log that is opened.
#[derive(Debug)]
pub(crate) struct Recovery<'a> {
    pub(crate) home: &'a Arc<Home>,
    pub(crate) stop: Stop,
    /// Everything below was synced.
    pub(crate) synced: Offset,
    /// What lies below was deleted and may be gone.
    pub(crate) log_start: Offset,
    pub(crate) map_bytes: u64,
    pub(crate) files: Vec<DataFile>,
    pub(crate) epochs: EpochTable,
    pub(crate) segments: Vec<Arc<Segment>>,
    /// Where the log ends, as far as it was walked.
    pub(crate) log_end: Offset,
    /// The log goes on in a new segment at its end.
    pub(crate) resumes: bool,
    pub(crate) report: RecoveryReport,
}

/// How a segment's walk ended.
enum Ended {
    /// The next segment continues the log.
    GoOn,
    /// The log ends in this segment.
    Here,
}

/// The walk through one segment.
struct Progress<'a> {
    segment: Segment,
    file: &'a dyn File,
    bytes: u64,
    next: Option<Offset>,
    walk: Walk<'a>,
    builder: IndexBuilder,
    /// Where the batches above the recovery point begin.
    above_from: Option<u64>,
    buffer: Vec<u8>,
}

impl Recovery<'_> {
    /// Below this nothing is cut: it was synced, or deleted, and its offsets were given out.
    fn point(&self) -> Offset {
        self.synced.max(self.log_start)
    }

    /// Walks all segments.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        for place in 0..self.files.len() {
            if let Ended::Here = self.recover_segment(place)? {
                break;
            }
        }
        Ok(())
    }

    fn recover_segment(&mut self, place: usize) -> io::Result<Ended> {
        let Some(DataFile { base_offset, bytes }) = self.files.get(place).copied() else {
            return Ok(Ended::Here);
        };
        let next = self.files.get(place + 1).map(|file| file.base_offset);
        let segment = Segment::existing(self.home, base_offset, bytes, self.map_bytes)?;
        let file = segment.file()?;
        let (from, walk) = self.enter(&segment, &*file, bytes, next)?;
        cut_indexes(&segment, from, walk.expected());
        let mut progress = Progress {
            segment,
            file: &*file,
            bytes,
            next,
            walk,
            builder: IndexBuilder::new(4096),
            above_from: None,
            buffer: Vec::new(),
        };
        let decision = self.walk_segment(place, &mut progress)?;
        self.carry_out(place, progress, decision)
    }

    /// Where the walk through a segment begins: at an index entry at or below the recovery point that tells the
    /// truth, else at the start.
    fn enter<'b>(
        &mut self,
        segment: &Segment,
        file: &'b dyn File,
        bytes: u64,
        next: Option<Offset>,
    ) -> io::Result<(u64, Walk<'b>)> {
        let base = segment.base_offset();
        let known = next.map_or(self.synced, |next| next.min(self.synced));
        if known > base && bytes > 0 && load_indexes(segment) {
            if let Some(found) = entry_point(segment, file, bytes, known)? {
                let base = found.header.base_offset;
                return Ok((
                    found.position,
                    Walk::new(file, found.position, bytes, base).gapless(),
                ));
            }
            self.report.rebuilt_indexes += u64::from(segment.offsets().len() > 0);
            *segment.offsets_mut() = Sparse::new();
            *segment.times_mut() = Sparse::new();
        } else if known > base && bytes > UNINDEXED_MAX {
            self.report.rebuilt_indexes += 1;
        }
        Ok((0, Walk::new(file, 0, bytes, base).gapless()))
    }

    /// Walks to where the segment does not continue; the answer is what to do there.
    fn walk_segment(&mut self, place: usize, at: &mut Progress<'_>) -> io::Result<Stopped> {
        loop {
            let position = at.walk.position();
            let expected = at.walk.expected();
            let mut step = at.walk.step()?;
            if let Step::Batch(found) = step {
                let ruled_out = at.next.is_some_and(|next| found.header.last_offset() >= next);
                if ruled_out {
                    step = Step::End;
                } else if self.keeps(at, &found)? {
                    continue;
                } else {
                    step = Step::Bad { position };
                }
            }
            let bad = matches!(step, Step::Bad { .. });
            let good = if bad { self.good_behind(at, position, expected)? } else { None };
            let case = self.case(place, at, expected, bad, good.is_some())?;
            let decision = decide(&case);
            if decision == Decision::QuarantineToGood
                && let Some(good) = good
            {
                self.quarantine(&at.segment, expected, good.header.base_offset);
                let base = good.header.base_offset;
                at.walk = Walk::new(at.file, good.position, at.bytes, base).gapless();
                continue;
            }
            return Ok(Stopped { decision, position, expected });
        }
    }

    /// Takes the batch into the log, if it may belong to it.
    fn keeps(&mut self, at: &mut Progress<'_>, found: &Found) -> io::Result<bool> {
        let header = &found.header;
        if header.last_offset() >= self.synced {
            if !planted(Defect::IgnoreCrcOnRecovery) && !is_intact(at.file, found, &mut at.buffer)?
            {
                return Ok(false);
            }
            if self.epochs.assign(header.leader_epoch, header.base_offset).is_err() {
                return Ok(false);
            }
            at.above_from.get_or_insert(found.position);
            self.report.kept_batches += 1;
            self.report.kept_bytes += total_bytes(header);
        }
        at.builder.add(&at.segment, found);
        Ok(true)
    }

    fn good_behind(
        &self,
        at: &Progress<'_>,
        position: u64,
        expected: Offset,
    ) -> io::Result<Option<Found>> {
        let end_offset = at.next.unwrap_or(Offset::new(i64::MAX));
        next_intact(at.file, position + 1, at.bytes, expected, end_offset)
    }

    fn case(
        &self,
        place: usize,
        at: &Progress<'_>,
        expected: Offset,
        bad: bool,
        good_here: bool,
    ) -> io::Result<Case> {
        let below = expected < self.point();
        let tail = !below && self.stop == Stop::Crash;
        let good = good_here || (tail && self.good_in_later_segments(place, expected)?);
        Ok(Case {
            stop: self.stop,
            place: if below { Place::Below } else { Place::Above },
            seen: if bad { Seen::Bad } else { Seen::End },
            after: if good { After::Good } else { After::Nothing },
            next: match at.next {
                None => Next::Missing,
                Some(next) if next == expected => Next::Follows,
                Some(_) => Next::Later,
            },
        })
    }

    fn good_in_later_segments(&self, place: usize, expected: Offset) -> io::Result<bool> {
        for file in self.files.iter().skip(place + 1) {
            let name = FileName::new(file.base_offset, FileKind::Log);
            let open = self.home.fs.open(&name.path(&self.home.folder))?;
            let any = Offset::new(i64::MAX);
            if next_intact(&*open, 0, file.bytes, expected, any)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn quarantine(&mut self, segment: &Segment, from: Offset, next_good: Offset) {
        if next_good <= self.log_start {
            return;
        }
        let range = BadRange { from, next_good };
        segment.quarantine(range);
        self.report.bad_ranges.push(range);
    }

    fn carry_out(
        &mut self,
        place: usize,
        mut at: Progress<'_>,
        stopped: Stopped,
    ) -> io::Result<Ended> {
        let Stopped { decision, position, expected } = stopped;
        self.log_end = expected;
        let mut ended = Ended::Here;
        match decision {
            Decision::NextSegment => {
                if at.bytes > position {
                    // Left behind by a cut that waited for its readers.
                    at.file.set_length(position)?;
                }
                ended = Ended::GoOn;
            }
            Decision::QuarantineToNextSegment => {
                let next = at.next.unwrap_or(expected);
                self.quarantine(&at.segment, expected, next);
                ended = Ended::GoOn;
            }
            Decision::ResumeAtRecoveryPoint => {
                self.quarantine(&at.segment, expected, self.point());
                self.log_end = self.point();
                self.resumes = true;
            }
            Decision::CutTail | Decision::CutTailAndMark => {
                self.report.may_have_lost_suffix |= decision == Decision::CutTailAndMark;
                self.cut(place, &at, position, expected)?;
            }
            Decision::Finish | Decision::Keep | Decision::QuarantineToGood => {}
        }
        at.segment.publish_recovered(position);
        self.rewrite(&at, position)?;
        at.builder.add_time();
        let newest = at.builder.newest();
        let closed = matches!(ended, Ended::GoOn);
        at.segment.append_index(at.builder, closed);
        let known = at.segment.last_time();
        let largest = newest.into_iter().chain(known).map(|entry| entry.timestamp).max();
        at.segment.note_times(largest.unwrap_or(TimestampMs::NONE), TimestampMs::NONE);
        self.segments.push(Arc::new(at.segment));
        Ok(ended)
    }

    /// Writes the kept tail again and syncs it: its pages may look clean after a failed sync.
    fn rewrite(&self, at: &Progress<'_>, end: u64) -> io::Result<()> {
        let Some(mut from) = at.above_from else {
            return Ok(());
        };
        if planted(Defect::TrustCachedTail) {
            return Ok(());
        }
        let mut buffer = Vec::new();
        while from < end {
            let count = (end - from).min(REWRITE_BYTES);
            buffer.resize(usize::try_from(count).map_err(io::Error::other)?, 0);
            if at.file.read_at(from, &mut buffer)? < buffer.len() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            at.file.write_at(from, &[&buffer])?;
            from += count;
        }
        at.file.sync()
    }

    /// Cuts the log at `position` of this segment, after copying what is cut; later segments go as a whole.
    fn cut(
        &mut self,
        place: usize,
        at: &Progress<'_>,
        position: u64,
        expected: Offset,
    ) -> io::Result<()> {
        let cut_bytes = at.bytes.saturating_sub(position);
        if cut_bytes > 0 {
            self.copy_aside(at.file, position, at.bytes, expected)?;
            at.file.set_length(position)?;
            at.file.sync()?;
            self.report.cut_bytes += cut_bytes;
        }
        for file in self.files.iter().skip(place + 1) {
            let path = |kind| FileName::new(file.base_offset, kind).path(&self.home.folder);
            self.home.fs.rename(&path(FileKind::Log), &path(FileKind::Cut))?;
            self.report.cut_bytes += file.bytes;
            for kind in [FileKind::OffsetIndex, FileKind::TimeIndex] {
                // A hint without its segment is removed at the next start, if not now.
                drop(self.home.fs.remove(&path(kind)));
            }
        }
        self.home.fs.sync_folder(&self.home.folder)
    }

    fn copy_aside(&self, file: &dyn File, from: u64, end: u64, offset: Offset) -> io::Result<()> {
        let fs = &*self.home.fs;
        let path = FileName::new(offset, FileKind::Cut).path(&self.home.folder);
        if fs.exists(&path) {
            fs.remove(&path)?;
        }
        let target = fs.create(&path)?;
        let mut buffer = Vec::new();
        let (mut position, mut written) = (from, 0);
        while position < end {
            let count = (end - position).min(REWRITE_BYTES);
            buffer.resize(usize::try_from(count).map_err(io::Error::other)?, 0);
            let read = file.read_at(position, &mut buffer)?;
            let part = buffer.get(..read).unwrap_or_default();
            target.write_at(written, &[part])?;
            position += count;
            written += count;
        }
        target.sync()
    }
}

/// Where a segment did not continue, and what to do there.
struct Stopped {
    decision: Decision,
    position: u64,
    expected: Offset,
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

/// The batch of the last index entry below `known` that does not lie behind the last time entry: so the walk sees
/// every batch that might raise the largest timestamp. `None` when an entry does not tell the truth.
fn entry_point(
    segment: &Segment,
    file: &dyn File,
    bytes: u64,
    known: Offset,
) -> io::Result<Option<Found>> {
    let below = segment.relative(known).unwrap_or(u32::MAX);
    let newest = segment.last_time_where(|entry| entry.relative < below);
    let Some(newest) = newest else { return Ok(None) };
    let entry = segment.last_entry_where(|entry| entry.relative <= newest.relative);
    let Some(entry) = entry else { return Ok(None) };
    let Some((found, mut walk)) = segment.believe(file, &entry, bytes)? else {
        return Ok(None);
    };
    let mut batch = found;
    while batch.header.last_offset() < segment.absolute(newest.relative) {
        match walk.step()? {
            Step::Batch(next) => batch = next,
            Step::End | Step::Bad { .. } => return Ok(None),
        }
    }
    let header = &batch.header;
    let told = header.last_offset() == segment.absolute(newest.relative)
        && header.max_timestamp == newest.timestamp;
    Ok(told.then_some(found))
}

/// The indexes keep what points below the walk's beginning, and its first batch.
fn cut_indexes(segment: &Segment, from: u64, expected: Offset) {
    let relative = segment.relative(expected).unwrap_or(0);
    segment
        .offsets_mut()
        .cut(&segment.offset_file(), |entry| u64::from(entry.position) <= from && from > 0);
    segment.times_mut().cut(&segment.time_file(), |entry| entry.relative < relative);
}

/// A file of an index or a snapshot that can be removed when its log is gone.
pub(crate) const fn goes_with_its_log(kind: FileKind) -> bool {
    matches!(kind, FileKind::OffsetIndex | FileKind::TimeIndex | FileKind::TransactionIndex)
}
