//! Reads the batches of a closed segment one after the other, each checked.
//!
//! Compaction copies what it reads over the only other copy on this disk: so nothing passes that is damaged or
//! does not follow what was before.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use thalweg_protocol::Offset;
use thalweg_protocol::batch::{Batch, BatchHeader, HEADER_BYTES};

use super::error::CompactionError;
use crate::fs::File;
use crate::segment::Segment;
use crate::walk::{Found, continues};

/// What is read at once.
const PIECE_BYTES: usize = 1024 * 1024;

/// The batches of one segment.
pub(super) struct Source {
    file: Arc<dyn File>,
    path: PathBuf,
    position: u64,
    end: u64,
    expected: Offset,
    /// What was read ahead, from `position` on.
    ahead: Bytes,
}

impl Source {
    /// The batches of `segment` from its start.
    pub(super) fn open(segment: &Segment) -> Result<Self, CompactionError> {
        let path = segment.log_path();
        let file = segment.file().map_err(|error| CompactionError::io("read", &path, error))?;
        let (end, expected) = (segment.visible(), segment.base_offset());
        if let Some(range) = segment.bad().all().first() {
            let reason = format!("offsets {} to {} are damaged", range.from, range.next_good);
            return Err(CompactionError::Corrupt { path, position: 0, reason });
        }
        Ok(Self { file, path, position: 0, end, expected, ahead: Bytes::new() })
    }

    /// Goes to the batch at `found`, which lies in this segment.
    pub(super) fn skip_to(&mut self, found: &Found) {
        self.position = found.position;
        self.expected = found.header.base_offset;
        self.ahead = Bytes::new();
    }

    /// The offset at which the next batch begins.
    pub(super) const fn expected(&self) -> Offset {
        self.expected
    }

    /// The next batch; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Batch>, CompactionError> {
        if self.position >= self.end {
            return Ok(None);
        }
        self.fill(HEADER_BYTES)?;
        let header = BatchHeader::decode(&self.ahead).map_err(|it| self.corrupt(&it))?;
        let found = Found { position: self.position, header };
        if !continues(&found, self.expected, true, self.end) {
            return Err(self.corrupt(&format_args!(
                "a batch from {} to {} does not follow offset {}",
                header.base_offset,
                header.last_offset(),
                self.expected
            )));
        }
        self.fill(header.total_bytes())?;
        let batch = Batch::decode(&self.ahead).map_err(|it| self.corrupt(&it))?;
        batch.verify_checksum().map_err(|it| self.corrupt(&it))?;
        let _ = self.ahead.split_to(header.total_bytes());
        self.position = found.end();
        self.expected = header.next_offset();
        Ok(Some(batch))
    }

    /// The batch that was taken last is not what it should be.
    pub(super) fn corrupt(&self, reason: &dyn std::fmt::Display) -> CompactionError {
        let (path, position) = (self.path.clone(), self.position);
        CompactionError::Corrupt { path, position, reason: reason.to_string() }
    }

    /// Has at least `bytes` bytes at hand, if there are so many.
    fn fill(&mut self, bytes: usize) -> Result<(), CompactionError> {
        if self.ahead.len() >= bytes {
            return Ok(());
        }
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let mut piece = vec![0; PIECE_BYTES.max(bytes).min(left)];
        let read = self.file.read_at(self.position, &mut piece);
        let read = read.map_err(|error| CompactionError::io("read", &self.path, error))?;
        if read < piece.len() {
            let short = io::ErrorKind::UnexpectedEof.into();
            return Err(CompactionError::io("read", &self.path, short));
        }
        self.ahead = Bytes::from(piece);
        Ok(())
    }
}
