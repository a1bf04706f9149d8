//! What stays of each batch, and the new data file made of it.

use std::collections::HashSet;

use thalweg_protocol::batch::{
    Batch, BatchHeader, BatchRewriter, INFLATED_BYTES_MAX, RecordRef, Records, Scratch,
    without_records,
};
use thalweg_protocol::{Offset, TimestampMs};

use super::error::CompactionError;
use super::key_map::KeyMap;
use super::output::Output;
use super::run::Compacted;
use super::source::Source;
use crate::defects::{Defect, planted};
use crate::segment::Segment;

/// What a pass goes by.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    /// The last offset of each key between the offset where the pass began to look and `map_end`.
    pub(super) keys: &'a KeyMap,
    /// Above it nothing is known of the keys.
    pub(super) map_end: Offset,
    /// Last offsets of the batches that the producers' state is made of.
    pub(super) remembered: &'a HashSet<Offset>,
    pub(super) now: TimestampMs,
    pub(super) delete_retention_ms: i64,
}

/// What stays of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// All of it, byte for byte.
    Whole,
    /// The records that were marked; with a horizon, that of its tombstones.
    Part { horizon: Option<TimestampMs> },
    /// Its header: the state of its producer is made of it.
    Header,
    /// Its offsets.
    Nothing,
}

/// Memory that is used again from batch to batch.
#[derive(Debug, Default)]
pub(super) struct Rewrite {
    scratch: Scratch,
    rewriter: BatchRewriter,
    /// Which of the batch's records stay, in their order.
    stays: Vec<bool>,
}

impl Rewrite {
    /// Writes what stays of `source` behind what `output` holds; `first` is the segment that begins where the new
    /// one does, `segment` the one that is read. `pace` hears of each batch.
    pub(super) fn segment(
        &mut self,
        source: &mut Source,
        segment: &Segment,
        rules: &Rules<'_>,
        to: (&mut Output, &Segment),
        sum: &mut Compacted,
        pace: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), CompactionError> {
        let (output, first) = to;
        while let Some(batch) = source.next()? {
            let header = &batch.header;
            let bytes = u64::try_from(header.total_bytes()).unwrap_or(u64::MAX);
            sum.read_bytes += bytes;
            let records = self.records(&batch, source)?;
            let verdict = match &records {
                Some(records) => self.judge(header, records, segment, rules, sum, source)?,
                None => empty_batch(header, rules),
            };
            let before = output.bytes();
            let written = match (verdict, records) {
                (Verdict::Whole, _) | (Verdict::Part { .. }, None) => {
                    output.push(first, |target| {
                        target.extend_from_slice(batch.bytes());
                        *header
                    })
                }
                (Verdict::Part { horizon }, Some(records)) => {
                    output.is_changed = true;
                    self.begin(header, &records, horizon);
                    output.push(first, |target| self.rewriter.finish(target))
                }
                (Verdict::Header, _) => {
                    output.is_changed |= header.record_count > 0;
                    output.push(first, |target| {
                        let (header, head) = without_records(header);
                        target.extend_from_slice(&head);
                        header
                    })
                }
                (Verdict::Nothing, _) => output.push_hole(first, header),
            };
            written.map_err(|error| CompactionError::io("write", output.path(), error))?;
            if !pace(bytes + output.bytes().saturating_sub(before)) {
                return Err(CompactionError::Stopped);
            }
        }
        Ok(())
    }

    /// The batch's records; none where there are none, or where compaction does not look: at markers and at
    /// records of transactions, of which it cannot tell whether they count.
    pub(super) fn records(
        &mut self,
        batch: &Batch,
        source: &Source,
    ) -> Result<Option<Records>, CompactionError> {
        if batch.header.record_count <= 0 || !has_plain_records(&batch.header) {
            return Ok(None);
        }
        let records = batch.records_within(INFLATED_BYTES_MAX, &mut self.scratch);
        records.map(Some).map_err(|it| source.corrupt(&it))
    }

    /// Decides about each record, then about the batch.
    fn judge(
        &mut self,
        header: &BatchHeader,
        records: &Records,
        segment: &Segment,
        rules: &Rules<'_>,
        sum: &mut Compacted,
        source: &Source,
    ) -> Result<Verdict, CompactionError> {
        self.stays.clear();
        let expired = has_expired(header, segment, rules);
        let (mut removed, mut tombstones) = (0_u64, 0_u64);
        for record in records {
            let record = record.map_err(|it| source.corrupt(&it))?;
            let is_tombstone = record.key.is_some() && record.value.is_none();
            let stays = !(is_superseded(&record, rules) || (is_tombstone && expired));
            self.stays.push(stays);
            removed += u64::from(!stays);
            tombstones += u64::from(stays && is_tombstone);
            sum.removed_tombstones += u64::from(!stays && is_tombstone);
        }
        sum.removed_records += removed;
        let has_horizon = header.attributes.has_delete_horizon();
        let needs_horizon = tombstones > 0 && !has_horizon && header.last_offset() < rules.map_end;
        let horizon = needs_horizon.then(|| rules.now.plus(rules.delete_retention_ms));
        if self.stays.iter().all(|stays| !stays) {
            return Ok(empty_batch(header, rules));
        }
        let is_whole = removed == 0 && !needs_horizon;
        Ok(if is_whole { Verdict::Whole } else { Verdict::Part { horizon } })
    }

    /// Has the rewriter hold the records that stay.
    fn begin(&mut self, header: &BatchHeader, records: &Records, horizon: Option<TimestampMs>) {
        self.rewriter.begin(header, horizon);
        for (record, stays) in records.iter().flatten().zip(&self.stays) {
            if *stays && !self.rewriter.keep(&record) {
                // A time so far away that no horizon can stand beside it: these tombstones stay for good.
                return self.begin(header, records, None);
            }
        }
    }
}

/// What stays of a batch without records.
fn empty_batch(header: &BatchHeader, rules: &Rules<'_>) -> Verdict {
    if !has_plain_records(header) {
        Verdict::Whole
    } else if rules.remembered.contains(&header.last_offset()) && header.is_idempotent() {
        Verdict::Header
    } else {
        Verdict::Nothing
    }
}

const fn has_plain_records(header: &BatchHeader) -> bool {
    !header.attributes.is_control() && !header.attributes.is_transactional()
}

/// Whether a later record has the same key. One without a key has no such.
fn is_superseded(record: &RecordRef<'_>, rules: &Rules<'_>) -> bool {
    let latest = record.key.and_then(|key| rules.keys.latest(key));
    latest.is_some_and(|latest| latest > record.offset)
}

/// Whether the batch's tombstones have stayed for long enough.
fn has_expired(header: &BatchHeader, segment: &Segment, rules: &Rules<'_>) -> bool {
    if planted(Defect::HorizonFromFileTime) {
        return segment.newest().plus(rules.delete_retention_ms) <= rules.now;
    }
    let has_horizon = header.attributes.has_delete_horizon();
    planted(Defect::DropTombstoneEarly) || (has_horizon && header.base_timestamp <= rules.now)
}
