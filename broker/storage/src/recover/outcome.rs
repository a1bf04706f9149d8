//! Carries out what was decided where a segment stopped: cuts, keeps, goes on behind.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use thalweg_protocol::{Offset, TimestampMs};

use super::{Ended, Progress, Recovery, Stopped};
use crate::defects::{Defect, planted};
use crate::fs::File;
use crate::recovery::{Decision, Stop};
use crate::tail::{copy_aside, remove_old_cuts, rewrite, set_aside};

impl Recovery<'_> {
    pub(super) fn carry_out(
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
                self.cut(place, at.file, position..at.bytes, expected)?;
            }
            Decision::Finish | Decision::Keep | Decision::QuarantineToGood => {
                if self.stop == Stop::Crash {
                    // Blocks that were reserved behind the end outlive a crash, and thousands of logs may never be
                    // written to again. What cannot be given back now goes when the segment is closed.
                    drop(at.file.set_length(at.bytes));
                }
            }
        }
        at.segment.publish_recovered(position);
        if let Some(from) = at.above_from
            && !planted(Defect::TrustCachedTail)
        {
            rewrite(at.file, from, position)?;
        }
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

    /// Cuts `range` off the segment at `place`, after copying it; later segments go as a whole.
    fn cut(
        &mut self,
        place: usize,
        file: &dyn File,
        range: Range<u64>,
        expected: Offset,
    ) -> io::Result<()> {
        let cut_bytes = range.end.saturating_sub(range.start);
        let mut aside = Vec::new();
        if cut_bytes > 0 {
            aside.push(expected);
            let position = range.start;
            let copied = copy_aside(self.home, file, range, expected)?;
            self.report.cut_bytes_lost += if copied { 0 } else { cut_bytes };
            file.set_length(position)?;
            file.sync()?;
            self.report.cut_bytes += cut_bytes;
        }
        for later in self.files.iter().skip(place + 1) {
            set_aside(self.home, later.base_offset)?;
            aside.push(later.base_offset);
            self.report.cut_bytes += later.bytes;
        }
        remove_old_cuts(self.home, &aside);
        self.home.fs.sync_folder(&self.home.folder)
    }
}
