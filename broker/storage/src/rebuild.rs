//! What a log knows besides its batches, told by the batches: producers and epochs.
//!
//! Owns the rebuilding at a start and after a cut: the newest producer snapshot that is still true, and the
//! headers behind it.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use thalweg_protocol::{Offset, TimestampMs};

use crate::append::producer_batch;
use crate::defects::{Defect, planted};
use crate::epoch::EpochTable;
use crate::folder::FileKind;
use crate::log::Log;
use crate::producer::ProducerTable;
use crate::segments::Segments;
use crate::visit::visit;

/// The largest producer snapshot that is read.
const SNAPSHOT_BYTES_MAX: usize = 256 * 1024 * 1024;

impl Log {
    /// Loads the newest snapshot at or below the log end and records the batches behind it. Snapshots above
    /// the end, and damaged ones, are removed, durably: one that came back when the log has grown past it again would
    /// tell of batches that were cut.
    pub(crate) fn load_producers(&mut self, now: TimestampMs) -> io::Result<()> {
        let log_end = self.log_end();
        let fs = Arc::clone(&self.shared.home.fs);
        let (mut from, mut removed) = (None, false);
        self.producers = ProducerTable::new();
        for offset in self.snapshot_offsets().into_iter().rev() {
            let path = self.path_of(offset, FileKind::Snapshot);
            let load = || {
                let bytes = fs.read_small(&path, SNAPSHOT_BYTES_MAX).ok()?;
                ProducerTable::decode_snapshot(&bytes).ok()
            };
            if offset <= log_end
                && let Some(table) = load()
            {
                self.producers = table;
                from = Some(offset);
                break;
            }
            removed = true;
            drop(fs.remove(&path));
        }
        if removed {
            fs.sync_folder(&self.shared.home.folder)?;
        }
        let segments = self.shared.segments.load_full();
        let from = from.unwrap_or_else(|| self.log_start());
        let (producers, producers_max) = (&mut self.producers, self.options.producers_max);
        let mut walked = 0;
        visit(&segments, from, log_end, |_, found| {
            if !planted(Defect::ForgetProducerState)
                && let Some(batch) = producer_batch(&found.header)
            {
                producers.record(&batch, found.header.last_offset(), now, producers_max);
            }
            walked += found.end() - found.position;
            ControlFlow::Continue(())
        })?;
        self.since_snapshot = walked;
        Ok(())
    }
}

/// The epochs as the batches tell them, when their file is missing or damaged.
pub(crate) fn epochs_from_batches(segments: &Segments, log_end: Offset) -> io::Result<EpochTable> {
    let mut epochs = EpochTable::new();
    visit(segments, Offset::ZERO, log_end, |_, found| {
        // A batch of an older epoch is damage that the readers will meet.
        drop(epochs.assign(found.header.leader_epoch, found.header.base_offset));
        ControlFlow::Continue(())
    })?;
    Ok(epochs)
}
