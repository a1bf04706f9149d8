//! Finding a batch in a segment: by the index as a hint, by walking headers as the proof.
//!
//! Owns what happens when index or log turn out to be damaged: a wrong index is built again from the segment,
//! a damaged stretch of the log is remembered as a bad range.
//!
//! Invariant: what is found does not depend on what the index files hold.

use std::io;

use thalweg_protocol::batch::BatchHeader;
use thalweg_protocol::{Offset, TimestampMs};

use crate::fs::{File, would_wait};
use crate::index::{OffsetEntry, TimeEntry};
use crate::segment::{BadRange, Segment};
use crate::walk::{Damage, Found, Step, Walk, damage_at, is_intact, next_intact, total_bytes};

/// What lies at an offset.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "lives on the stack for one lookup")]
pub(crate) enum Lookup<'a> {
    /// The first batch that ends at or above the offset; the walk stands behind it.
    Batch(Found, Walk<'a>),
    /// No batch reaches so far.
    End,
    /// The offset lies in a damaged range.
    Bad(BadRange),
}

impl Segment {
    /// Finds the first batch that ends at or above `offset`, among the first `end` bytes of the segment.
    /// `end_offset` is where the segment ends and the next begins.
    pub(crate) fn find<'a>(
        &self,
        file: &'a dyn File,
        offset: Offset,
        end: u64,
        end_offset: Offset,
    ) -> io::Result<Lookup<'a>> {
        if let Some(range) = self.bad().at(offset) {
            return Ok(Lookup::Bad(range));
        }
        let mut walk = self.walk_near(file, offset, end)?;
        loop {
            match walk.step()? {
                Step::Batch(found) if found.header.last_offset() < offset => {}
                Step::Batch(found) if !is_overlong(file, &found, end_offset)? => {
                    return Ok(Lookup::Batch(found, walk));
                }
                Step::End => return Ok(Lookup::End),
                step @ (Step::Batch(_) | Step::Bad) => {
                    let (range, good) = if let Step::Batch(Found { header, position }) = step {
                        let damage = Damage { from: header.base_offset, position };
                        self.quarantine_damage(file, damage, end, end_offset)?
                    } else {
                        self.quarantine_at(&walk, end_offset)?
                    };
                    let Some(good) = good.filter(|_| range.next_good <= offset) else {
                        return Ok(Lookup::Bad(range));
                    };
                    walk = Walk::new(file, good.position, end, good.header.base_offset);
                }
            }
        }
    }

    /// Remembers the damage that made `walk` stop; also says which batch comes behind it in this segment.
    pub(crate) fn quarantine_at(
        &self,
        walk: &Walk<'_>,
        end_offset: Offset,
    ) -> io::Result<(BadRange, Option<Found>)> {
        if !walk.file().may_wait() {
            // Looking for the next good batch reads everything behind the damage.
            return Err(would_wait());
        }
        self.quarantine_damage(walk.file(), damage_at(walk)?, walk.end(), end_offset)
    }

    /// Remembers damage among the first `end` bytes; also says which batch comes behind it in this segment.
    pub(crate) fn quarantine_damage(
        &self,
        file: &dyn File,
        damage: Damage,
        end: u64,
        end_offset: Offset,
    ) -> io::Result<(BadRange, Option<Found>)> {
        let Damage { from, position } = damage;
        let good = next_intact(file, position + 1, end, from, end_offset)?;
        let next_good = good.map_or(end_offset, |found| found.header.base_offset);
        let range = BadRange { from, next_good };
        self.bad().add(range);
        Ok((range, good))
    }

    /// A walk that begins at a batch which lies at or before the one that holds `offset`.
    fn walk_near<'a>(&self, file: &'a dyn File, offset: Offset, end: u64) -> io::Result<Walk<'a>> {
        let wanted = self.relative(offset).unwrap_or(i32::MAX.cast_unsigned());
        let from_start = || Walk::new(file, 0, end, self.base_offset());
        let Some(entry) = self.last_entry_for(file, |entry| entry.relative <= wanted)? else {
            if self.lacks_index(end) {
                self.rebuild_index(file, end)?;
            }
            return Ok(from_start());
        };
        if let Some((found, mut walk)) = self.believe(file, entry, end)? {
            walk.back_to(&found);
            return Ok(walk);
        }
        self.rebuild_index(file, end)?;
        Ok(from_start())
    }

    /// The batch that an entry points to, if the entry tells the truth; the walk stands behind it.
    pub(crate) fn believe<'a>(
        &self,
        file: &'a dyn File,
        entry: OffsetEntry,
        end: u64,
    ) -> io::Result<Option<(Found, Walk<'a>)>> {
        let position = u64::from(entry.position);
        if position >= end {
            return Ok(None);
        }
        let mut walk = Walk::new(file, position, end, self.base_offset()).at_any();
        Ok(match walk.step()? {
            Step::Batch(found) if found.header.last_offset() == self.absolute(entry.relative) => {
                Some((found, walk))
            }
            _ => None,
        })
    }

    /// Whether the segment is too long for having so few entries.
    fn lacks_index(&self, end: u64) -> bool {
        /// Beyond this a walk from the start is worth an index.
        const UNINDEXED_MAX: u64 = 1024 * 1024;
        end > UNINDEXED_MAX && self.offsets().len() == 0
    }

    /// Builds both indexes again from the first `end` bytes of the segment, around damage.
    pub(crate) fn rebuild_index(&self, file: &dyn File, end: u64) -> io::Result<()> {
        if !file.may_wait() {
            return Err(would_wait());
        }
        let mut builder = IndexBuilder::new(REBUILT_INTERVAL_BYTES);
        let mut walk = Walk::new(file, 0, end, self.base_offset());
        loop {
            match walk.step()? {
                Step::Batch(found) => builder.add(self, &found),
                Step::End => break,
                Step::Bad => {
                    let Damage { from, position } = damage_at(&walk)?;
                    let any = Offset::new(i64::MAX);
                    let good = next_intact(file, position + 1, end, from, any)?;
                    let Some(good) = good else { break };
                    walk = Walk::new(file, good.position, end, good.header.base_offset);
                }
            }
        }
        builder.add_time();
        self.take_index(builder, end);
        Ok(())
    }

    /// Makes the time index reliable, if it is not.
    pub(crate) fn learn_times(&self, file: &dyn File) -> io::Result<()> {
        if self.knows_times() { Ok(()) } else { self.rebuild_index(file, self.visible()) }
    }

    /// Puts rebuilt entries in the place of those that point below `end`.
    pub(crate) fn take_index(&self, builder: IndexBuilder, end: u64) {
        let IndexBuilder { offsets, times, newest, .. } = builder;
        let last = offsets.last().map_or(0, |entry| entry.relative);
        let newest = newest.map_or(TimestampMs::NONE, |entry: TimeEntry| entry.timestamp);
        self.offsets_mut()
            .replace(&self.offset_file(), offsets, |entry| u64::from(entry.position) >= end);
        self.times_mut().replace(&self.time_file(), times, |entry| {
            entry.relative > last && entry.timestamp > newest
        });
        self.know_times(newest);
    }
}

/// Whether a batch is damaged such that it claims offsets of what comes behind it.
fn is_overlong(file: &dyn File, found: &Found, end_offset: Offset) -> io::Result<bool> {
    let header = &found.header;
    if header.base_offset >= end_offset || header.last_offset() < end_offset {
        return Ok(false);
    }
    if !file.may_wait() {
        return Err(would_wait());
    }
    // The end may lie within a batch, for whoever looks at a part of a segment only.
    Ok(!is_intact(file, found, &mut Vec::new())?)
}

/// The interval of rebuilt indexes; the usual one.
const REBUILT_INTERVAL_BYTES: u64 = 4096;

/// Gathers index entries along a walk.
#[derive(Debug)]
pub(crate) struct IndexBuilder {
    interval_bytes: u64,
    since_entry: u64,
    offsets: Vec<OffsetEntry>,
    times: Vec<TimeEntry>,
    newest: Option<TimeEntry>,
}

impl IndexBuilder {
    pub(crate) const fn new(interval_bytes: u64) -> Self {
        Self {
            interval_bytes,
            since_entry: 0,
            offsets: Vec::new(),
            times: Vec::new(),
            newest: None,
        }
    }

    /// Takes note of the next batch of the segment.
    pub(crate) fn add(&mut self, segment: &Segment, found: &Found) {
        let header: &BatchHeader = &found.header;
        let Some(relative) = segment.relative(header.last_offset()) else { return };
        let Ok(position) = u32::try_from(found.position) else { return };
        let timestamp = header.max_timestamp;
        if self.newest.is_none_or(|newest| timestamp > newest.timestamp) && timestamp.get() >= 0 {
            self.newest = Some(TimeEntry { timestamp, relative });
        }
        if self.since_entry > self.interval_bytes {
            self.offsets.push(OffsetEntry { relative, position });
            self.add_time();
            self.since_entry = 0;
        }
        self.since_entry += total_bytes(header);
    }

    /// The largest timestamp gets its entry if it has none yet.
    pub(crate) fn add_time(&mut self) {
        let last = self.times.last().map(|entry| entry.timestamp);
        let rises = |entry: &TimeEntry| last.is_none_or(|last| entry.timestamp > last);
        self.times.extend(self.newest.filter(rises));
    }

    /// All entries, for a segment that has none yet.
    pub(crate) fn into_entries(self) -> (Vec<OffsetEntry>, Vec<TimeEntry>) {
        (self.offsets, self.times)
    }

    /// The largest timestamp and the batch that has it.
    pub(crate) const fn newest(&self) -> Option<TimeEntry> {
        self.newest
    }
}

impl Segment {
    /// Adds what was gathered behind the entries that are there; a closed segment writes its files at once.
    pub(crate) fn append_index(&self, builder: IndexBuilder, closed: bool) {
        let changed = !builder.offsets.is_empty() || !builder.times.is_empty();
        for entry in builder.times {
            self.index_time(entry);
        }
        for entry in builder.offsets {
            self.index_offset(entry);
        }
        if closed && changed {
            self.flush_indexes();
        }
    }
}
