//! Which batches the producers' state is made of: these stay when they have lost their records.

use std::collections::HashSet;
use std::io;
use std::ops::ControlFlow;

use thalweg_protocol::{Offset, ProducerId, TimestampMs};

use crate::append::producer_batch;
use crate::defects::{Defect, planted};
use crate::producer::ProducerTable;
use crate::segments::Segments;
use crate::visit::visit;

/// The last offsets of the batches below `end` that a restart, or a cut at or above `end`, would remember of the
/// producers in `known`. What is not known any more has expired.
pub(super) fn remembered_batches(
    segments: &Segments,
    end: Offset,
    known: &HashSet<ProducerId>,
) -> io::Result<HashSet<Offset>> {
    let mut table = ProducerTable::new();
    visit(segments, Offset::ZERO, end, |_, found| {
        if found.header.base_offset >= end {
            return ControlFlow::Break(());
        }
        if let Some(batch) = producer_batch(&found.header)
            && known.contains(&batch.producer)
        {
            table.record(&batch, found.header.last_offset(), TimestampMs::NONE, usize::MAX);
        }
        ControlFlow::Continue(())
    })?;
    if planted(Defect::LoseEmptiedProducers) {
        table.clear();
    }
    let batches = known.iter().filter_map(|producer| table.batches(*producer));
    Ok(batches.flat_map(|(_, batches)| batches.iter().map(|batch| batch.last_offset)).collect())
}
