//! Looking for damage before somebody reads it: closed segments, batch by batch, a piece at a time.
//!
//! Owns the walk over what is on stable storage and changes no more. Each header must continue the one before, each
//! batch be what its checksum was made of, each leader epoch that of its offset. What is damaged is remembered as a
//! bad range: reads of it answer with the next good offset, everything else goes on, and nothing is removed.
//!
//! Never takes the writer's lock, and leaves in memory what was there and nothing else: an old segment does not drive out
//! what readers use.

use std::io;
use std::sync::Arc;

use thalweg_protocol::Offset;

use crate::epoch::EpochTable;
use crate::error::ReadError;
use crate::fs::File;
use crate::read::wrong_epoch;
use crate::reader::LogReader;
use crate::segment::{BadRange, Segment};
use crate::walk::{Damage, Found, Step, Walk, is_intact};

/// Where a scrub of one log goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubPlace {
    /// The segment's base offset.
    segment: Offset,
    /// The byte at which the next batch begins.
    position: u64,
    /// Its base offset.
    expected: Offset,
}

/// One piece of a scrub.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Bytes that were read and checked.
    pub bytes: u64,
    /// Damaged ranges that nobody knew of.
    pub found: Vec<BadRange>,
    /// Where to go on; nothing at the end of what can be checked now.
    pub next: Option<ScrubPlace>,
}

/// The walk through one segment.
struct Piece<'a> {
    segment: &'a Segment,
    file: &'a dyn File,
    end_offset: Offset,
    epochs: &'a EpochTable,
    done: Scrubbed,
}

impl LogReader {
    /// Checks about `bytes_max` bytes from `from` on (from the beginning without it) of the segments that are closed and
    /// on stable storage. Waits for the disk.
    pub fn scrub(&self, from: Option<ScrubPlace>, bytes_max: u64) -> Result<Scrubbed, ReadError> {
        let synced_end = self.synced_end();
        let segments = self.shared.segments.load_full();
        let list = segments.as_slice();
        let base = from.map_or(Offset::ZERO, |from| from.segment);
        let place = list.partition_point(|segment| segment.base_offset() < base);
        let (Some(segment), Some(next)) = (list.get(place), list.get(place + 1)) else {
            return Ok(Scrubbed::default());
        };
        let end_offset = next.base_offset();
        if end_offset > synced_end {
            return Ok(Scrubbed::default());
        }
        // The segment in which the last piece ended may have been deleted.
        let at = from.filter(|from| from.segment == segment.base_offset());
        let epochs = self.shared.epochs.load();
        let check = || {
            let file = file_of(segment)?;
            let done = Scrubbed::default();
            let piece = Piece { segment, file: &*file, end_offset, epochs: &epochs, done };
            piece.check(at, bytes_max)
        };
        let mut done = match check() {
            // Deleted or cut meanwhile.
            Err(_) if segment.is_retired() => Scrubbed::default(),
            other => other.map_err(|error| ReadError::io("scrub", &segment.log_path(), error))?,
        };
        let (segment, expected) = (end_offset, end_offset);
        done.next.get_or_insert(ScrubPlace { segment, position: 0, expected });
        Ok(done)
    }
}

impl Piece<'_> {
    fn check(mut self, at: Option<ScrubPlace>, bytes_max: u64) -> io::Result<Scrubbed> {
        let base = self.segment.base_offset();
        let start = at.unwrap_or(ScrubPlace { segment: base, position: 0, expected: base });
        let end = self.segment.visible();
        let was_resident = is_resident(self.file, start.position);
        let mut walk = Walk::new(self.file, start.position, end, start.expected);
        let mut buffer = Vec::new();
        while walk.position() - start.position < bytes_max {
            let damage = match walk.step()? {
                Step::Batch(found) if self.is_good(&found, &mut buffer)? => continue,
                Step::Batch(found) => {
                    Damage { from: found.header.base_offset, position: found.position }
                }
                Step::End => break,
                Step::Bad => Damage { from: walk.expected(), position: walk.position() },
            };
            let good = self.quarantine(damage, end)?;
            let Some(good) = good else {
                walk = Walk::new(self.file, end, end, self.end_offset);
                break;
            };
            walk = Walk::new(self.file, good.position, end, good.header.base_offset);
        }
        self.done.bytes = walk.position() - start.position;
        if !was_resident {
            self.file.forget(start.position, self.done.bytes);
        }
        let (position, expected) = (walk.position(), walk.expected());
        self.done.next =
            (position < end).then_some(ScrubPlace { segment: base, position, expected });
        Ok(self.done)
    }

    fn is_good(&self, found: &Found, buffer: &mut Vec<u8>) -> io::Result<bool> {
        Ok(is_intact(self.file, found, buffer)? && wrong_epoch(found, self.epochs).is_none())
    }

    /// Remembers what is damaged; says where good batches go on in this segment.
    fn quarantine(&mut self, damage: Damage, end: u64) -> io::Result<Option<Found>> {
        let known = self.segment.bad().all();
        let (range, good) =
            self.segment.quarantine_damage(self.file, damage, end, self.end_offset)?;
        if !known.contains(&range) {
            self.done.found.push(range);
        }
        Ok(good)
    }
}

/// The segment's file. One that is not open is opened beside the table of open files, whose places are for those
/// who read and write.
fn file_of(segment: &Segment) -> io::Result<Arc<dyn File>> {
    segment.slot().file_if_open().map_or_else(|| segment.fs().open(&segment.log_path()), Ok)
}

fn is_resident(file: &dyn File, position: u64) -> bool {
    file.read_now(position, &mut [0]).is_ok()
}
