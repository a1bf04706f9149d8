//! The new data file: batches are gathered and written in pieces, holes are drawn together.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thalweg_protocol::batch::{Attributes, BatchHeader, HEADER_BYTES, MAGIC, without_records};
use thalweg_protocol::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use crate::defects::{Defect, planted};
use crate::find::IndexBuilder;
use crate::fs::{File, FileSystem};
use crate::segment::Segment;
use crate::walk::Found;

/// What is written at once.
const PIECE_BYTES: usize = 1024 * 1024;

/// Offsets without a record, to be written as one batch.
#[derive(Clone, Copy, Debug)]
struct Hole {
    from: Offset,
    next: Offset,
    epoch: LeaderEpoch,
    /// Batches of the old segments that it stands for.
    batches: u32,
    /// One of them had records, or was kept for its producer.
    is_new: bool,
}

/// A data file under way. It is no part of the log before it was exchanged for the old ones.
pub(super) struct Output {
    file: Arc<dyn File>,
    path: PathBuf,
    written: u64,
    piece: Vec<u8>,
    hole: Option<Hole>,
    pub(super) index: IndexBuilder,
    /// The new file differs from the old one.
    pub(super) is_changed: bool,
}

impl Output {
    /// Creates the file, in the place of one that a run has left there.
    pub(super) fn create(
        fs: &dyn FileSystem,
        path: &Path,
        index_interval_bytes: u32,
    ) -> io::Result<Self> {
        if fs.exists(path) {
            fs.remove(path)?;
        }
        Ok(Self {
            file: fs.create(path)?,
            path: path.to_owned(),
            written: 0,
            piece: Vec::new(),
            hole: None,
            index: IndexBuilder::new(u64::from(index_interval_bytes)),
            is_changed: false,
        })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes so far, without a hole that is not written yet.
    pub(super) fn bytes(&self) -> u64 {
        self.written + u64::try_from(self.piece.len()).unwrap_or(u64::MAX)
    }

    /// Adds a batch; `fill` writes it behind what is there. `first` is the segment that begins where the new one
    /// does.
    pub(super) fn push(
        &mut self,
        first: &Segment,
        fill: impl FnOnce(&mut Vec<u8>) -> BatchHeader,
    ) -> io::Result<()> {
        self.put_hole(first)?;
        self.put(first, fill)
    }

    /// Instead of this batch there is nothing but its offsets.
    pub(super) fn push_hole(&mut self, first: &Segment, header: &BatchHeader) -> io::Result<()> {
        let was_hole = header.record_count == 0 && !header.is_idempotent();
        let epochs = !planted(Defect::HoleAcrossEpochs);
        if let Some(hole) = &mut self.hole
            && (hole.epoch == header.leader_epoch || !epochs)
            && header.next_offset().since(hole.from) <= i64::from(i32::MAX)
        {
            hole.next = header.next_offset();
            hole.batches += 1;
            hole.is_new |= !was_hole;
            return Ok(());
        }
        self.put_hole(first)?;
        self.hole = Some(Hole {
            from: header.base_offset,
            next: header.next_offset(),
            epoch: header.leader_epoch,
            batches: 1,
            is_new: !was_hole,
        });
        Ok(())
    }

    /// Writes what is left; the file is on stable storage then.
    pub(super) fn finish(&mut self, first: &Segment) -> io::Result<()> {
        self.put_hole(first)?;
        self.write_out()?;
        self.index.add_time();
        if planted(Defect::SwapWithoutSync) { Ok(()) } else { self.file.sync() }
    }

    fn put_hole(&mut self, first: &Segment) -> io::Result<()> {
        let Some(hole) = self.hole.take() else { return Ok(()) };
        self.is_changed |= hole.is_new || hole.batches > 1;
        let delta = hole.next.since(hole.from) - 1;
        let covers = BatchHeader {
            base_offset: hole.from,
            length: 0,
            leader_epoch: hole.epoch,
            magic: MAGIC,
            crc: 0,
            attributes: Attributes::default(),
            last_offset_delta: i32::try_from(delta).expect("a hole is bounded as it grows"),
            base_timestamp: TimestampMs::NONE,
            max_timestamp: TimestampMs::NONE,
            producer: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: Sequence::NONE,
            record_count: 0,
        };
        self.put(first, |target| {
            let (header, head): (_, [u8; HEADER_BYTES]) = without_records(&covers);
            target.extend_from_slice(&head);
            header
        })
    }

    fn put(
        &mut self,
        first: &Segment,
        fill: impl FnOnce(&mut Vec<u8>) -> BatchHeader,
    ) -> io::Result<()> {
        let position = self.bytes();
        let header = fill(&mut self.piece);
        self.index.add(first, &Found { position, header });
        if self.piece.len() >= PIECE_BYTES { self.write_out() } else { Ok(()) }
    }

    fn write_out(&mut self) -> io::Result<()> {
        let piece = std::mem::take(&mut self.piece);
        self.file.write_at(self.written, &[&piece])?;
        self.written += u64::try_from(piece.len()).map_err(io::Error::other)?;
        self.piece = piece;
        self.piece.clear();
        Ok(())
    }
}
