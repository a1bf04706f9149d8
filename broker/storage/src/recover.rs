//! Carries out what a restart decides: walks the segments, keeps, quarantines or cuts.
//!
//! Owns the walk over a log that is opened. It begins at the recovery point, found by the index, and so does not
//! grow with the log; of older segments it looks at the last batches only. What it keeps above the
//! recovery point after a crash is written again byte for byte and synced, because a sync that failed
//! before the crash leaves pages that look clean and are not on the disk.

mod outcome;

use std::io;
use std::sync::Arc;

use thalweg_protocol::Offset;

use crate::defects::{Defect, planted};
use crate::enter::enter;
use crate::epoch::EpochTable;
use crate::find::IndexBuilder;
use crate::folder::{FileKind, FileName};
use crate::fs::File;
use crate::open::Believed;
use crate::recovery::{After, Case, Decision, Next, Place, Seen, Stop, decide};
use crate::segment::{BadRange, Home, Segment};
use crate::walk::{Damage, Found, Step, Walk, damage_at, is_intact, next_intact, total_bytes};

/// What opening a log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Batches above the recovery point that were checked and kept.
    pub kept_batches: u64,
    /// Their bytes.
    pub kept_bytes: u64,
    /// Bytes that were cut off behind the last good batch; a copy lies beside the log as `<offset>.cut`.
    pub cut_bytes: u64,
    /// How many of them could not be copied, because the disk is full.
    pub cut_bytes_lost: u64,
    /// Good batches were among what was cut: the replica may have lost a suffix.
    pub may_have_lost_suffix: bool,
    /// Ranges that are damaged though they had been synced; nothing of them was removed.
    pub bad_ranges: Vec<BadRange>,
    /// Exchanges of compacted segments that a crash had interrupted and that were finished.
    pub finished_exchanges: u64,
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
    home: &'a Arc<Home>,
    stop: Stop,
    /// Everything below was synced.
    synced: Offset,
    /// What lies below was deleted and may be gone.
    log_start: Offset,
    map_bytes: u64,
    files: Vec<DataFile>,
    pub(crate) epochs: EpochTable,
    pub(crate) segments: Vec<Arc<Segment>>,
    /// Where the log ends, as far as it was walked.
    pub(crate) log_end: Offset,
    /// The epochs below the recovery point, as their file tells; `None` without a file.
    known_epochs: Option<EpochTable>,
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

impl<'a> Recovery<'a> {
    pub(crate) fn new(
        home: &'a Arc<Home>,
        files: Vec<DataFile>,
        known_epochs: Option<EpochTable>,
        believed: &Believed,
        map_bytes: u64,
    ) -> Self {
        let Believed { recovery_point: synced, log_start, clean, .. } = *believed;
        Self {
            home,
            stop: if clean { Stop::Clean } else { Stop::Crash },
            synced,
            log_start,
            map_bytes,
            log_end: files.first().map_or(synced.max(log_start), |file| file.base_offset),
            files,
            epochs: known_epochs.clone().unwrap_or_default(),
            segments: Vec::new(),
            known_epochs,
            resumes: false,
            report: RecoveryReport::default(),
        }
    }

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
        let known = next.map_or(self.synced, |next| next.min(self.synced));
        let entered = enter(&segment, &*file, bytes, known)?;
        self.report.rebuilt_indexes += u64::from(entered.rebuilds);
        let walk = entered.walk;
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

    /// Walks to where the segment does not continue; the answer is what to do there.
    fn walk_segment(&mut self, place: usize, at: &mut Progress<'_>) -> io::Result<Stopped> {
        loop {
            let Some(damage) = self.next_damage(at)? else { continue };
            let Stand { bad, damage: Damage { from: expected, position } } = damage;
            let good = if bad { good_behind(at, position, expected)? } else { None };
            let case = self.case(place, at, expected, bad, good.is_some())?;
            let decision = decide(case);
            if decision == Decision::QuarantineToGood
                && let Some(good) = good
            {
                self.quarantine(&at.segment, expected, good.header.base_offset);
                let base = good.header.base_offset;
                at.walk = Walk::new(at.file, good.position, at.bytes, base);
                continue;
            }
            return Ok(Stopped { decision, position, expected });
        }
    }

    /// One step of the walk: `None` when it went on, else where it stands.
    fn next_damage(&mut self, at: &mut Progress<'_>) -> io::Result<Option<Stand>> {
        let here = Damage { from: at.walk.expected(), position: at.walk.position() };
        let stand = |bad, damage| Ok(Some(Stand { bad, damage }));
        match at.walk.step()? {
            // Cut off before: the next segment counts.
            Step::Batch(found) if at.next.is_some_and(|next| found.header.base_offset >= next) => {
                stand(false, here)
            }
            Step::Batch(found) => {
                let overlaps = at.next.is_some_and(|next| found.header.last_offset() >= next);
                if !overlaps && self.keeps(at, &found)? { Ok(None) } else { stand(true, here) }
            }
            Step::Bad => stand(true, damage_at(&at.walk)?),
            // A last batch with a damaged last offset seems to leave a gap behind it.
            Step::End if at.next.unwrap_or(self.synced) != here.from => {
                let damage = damage_at(&at.walk)?;
                stand(damage.position != here.position, damage)
            }
            Step::End => stand(false, here),
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
            // A hole may begin below the log start, to which its epoch was trimmed.
            let is_known = self.epochs.latest() == Some(header.leader_epoch)
                && header.base_offset < self.log_start;
            let assign = |epochs: &mut EpochTable| {
                epochs.assign(header.leader_epoch, header.base_offset).is_ok()
            };
            if !is_known && !assign(&mut self.epochs) {
                return Ok(false);
            }
            at.above_from.get_or_insert(found.position);
            self.report.kept_batches += 1;
            self.report.kept_bytes += total_bytes(header);
        } else if !self.has_known_epoch(found) {
            return Ok(false);
        }
        at.builder.add(&at.segment, found);
        Ok(true)
    }

    /// The checksum does not cover the leader epoch: the epochs' own file tells whether it is right.
    fn has_known_epoch(&self, found: &Found) -> bool {
        let known = self.known_epochs.as_ref();
        let known = known.and_then(|epochs| epochs.epoch_at(found.header.base_offset));
        known.is_none_or(|epoch| epoch == found.header.leader_epoch)
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
        segment.bad().add(range);
        self.report.bad_ranges.push(range);
    }
}

/// The next intact batch of the segment behind `position`.
fn good_behind(at: &Progress<'_>, position: u64, expected: Offset) -> io::Result<Option<Found>> {
    let end_offset = at.next.unwrap_or(Offset::new(i64::MAX));
    next_intact(at.file, position + 1, at.bytes, expected, end_offset)
}

/// Where the walk stands when it does not go on.
struct Stand {
    /// Something is there that does not continue the log; else the segment ends.
    bad: bool,
    damage: Damage,
}

/// Where a segment did not continue, and what to do there.
#[derive(Clone, Copy)]
struct Stopped {
    decision: Decision,
    position: u64,
    expected: Offset,
}
