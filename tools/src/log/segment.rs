//! The batches of a segment one after the other, and the ranges between them that are no batches.
//!
//! Behind damage every byte is tried as the start of a batch: a damaged length leads nowhere, and one bad batch
//! must not hide the good ones behind it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use thalweg_protocol::Offset;
use thalweg_protocol::batch::{Batch, BatchHeader, HEADER_BYTES};

/// Read at once.
const WINDOW_BYTES: usize = 256 * 1024;

/// The place of the magic byte in a batch.
const MAGIC_AT: usize = 16;

/// What comes next in a segment.
#[derive(Debug)]
pub(super) enum Step {
    /// A batch whose checksum is right.
    Batch(Found),
    /// Bytes that are no batch.
    Bad(BadRange),
}

/// A batch and where it lies.
#[derive(Debug)]
pub(super) struct Found {
    /// The byte at which it begins.
    pub(super) position: u64,
    /// The whole batch.
    pub(super) batch: Batch,
}

/// Bytes that are no batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadRange {
    /// The first byte.
    pub(super) from: u64,
    /// The byte behind the last.
    pub(super) to: u64,
    /// What is wrong with the first of them.
    pub(super) reason: String,
    /// The offset that was expected here; -1 when nothing came before.
    pub(super) expected: Offset,
    /// Whether no good batch follows.
    pub(super) is_tail: bool,
}

/// Walks over a segment's file.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    position: u64,
    end: u64,
    expected: Offset,
    window: Vec<u8>,
    window_at: u64,
}

impl Segment {
    /// Begins at the first byte.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let end = file.metadata()?.len();
        Ok(Self {
            file,
            position: 0,
            end,
            expected: Offset::NONE,
            window: Vec::new(),
            window_at: 0,
        })
    }

    /// Where the next batch begins.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// The file's length.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// The next batch or the next range without one; `None` at the end.
    pub(super) fn step(&mut self) -> io::Result<Option<Step>> {
        if self.position >= self.end {
            return Ok(None);
        }
        let from = self.position;
        match self.batch_at(from)? {
            Ok(batch) => {
                self.pass(&batch);
                Ok(Some(Step::Batch(Found { position: from, batch })))
            }
            Err(reason) => {
                let to = self.next_good(from + 1)?;
                self.position = to;
                let (expected, is_tail) = (self.expected, to == self.end);
                Ok(Some(Step::Bad(BadRange { from, to, reason, expected, is_tail })))
            }
        }
    }

    fn pass(&mut self, batch: &Batch) {
        self.position += u64::try_from(batch.header.total_bytes()).unwrap_or(u64::MAX);
        self.expected = batch.header.next_offset();
    }

    /// The batch at a position, or why there is none.
    fn batch_at(&mut self, position: u64) -> io::Result<Result<Batch, String>> {
        let left = self.end - position;
        let head = self.bytes(position, HEADER_BYTES)?;
        if head.len() < HEADER_BYTES {
            return Ok(Err(format!("{left} bytes are left, a batch has at least {HEADER_BYTES}")));
        }
        if head.iter().all(|byte| *byte == 0) {
            return Ok(Err("zeros".to_owned()));
        }
        let header = match BatchHeader::decode(head) {
            Ok(header) => header,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let total = header.total_bytes();
        if header.magic != 2 {
            let magic = header.magic;
            return Ok(Err(format!("magic {magic}: this release reads batches of magic 2 only")));
        }
        if header.base_offset < self.expected {
            let (found, expected) = (header.base_offset, self.expected);
            return Ok(Err(format!("base offset {found} where {expected} or more was expected")));
        }
        if u64::try_from(total).is_ok_and(|total| total > left) {
            return Ok(Err(format!("a batch of {total} bytes, of which {left} are there")));
        }
        let bytes = Bytes::copy_from_slice(self.bytes(position, total)?);
        let batch = Batch::decode(&bytes).and_then(|batch| batch.verify_checksum().map(|()| batch));
        Ok(batch.map_err(|error| error.to_string()))
    }

    /// Up to `count` bytes at `position`; fewer at the end of the file.
    fn bytes(&mut self, position: u64, count: usize) -> io::Result<&[u8]> {
        let at = position.checked_sub(self.window_at).and_then(|at| usize::try_from(at).ok());
        let at = match at {
            Some(at) if at.saturating_add(count) <= self.window.len() => at,
            _ => {
                self.fill(position, count.max(WINDOW_BYTES))?;
                0
            }
        };
        let end = self.window.len().min(at.saturating_add(count));
        Ok(self.window.get(at..end).unwrap_or_default())
    }

    fn fill(&mut self, position: u64, count: usize) -> io::Result<()> {
        let left = usize::try_from(self.end.saturating_sub(position)).unwrap_or(usize::MAX);
        self.window.resize(count.min(left), 0);
        self.window_at = position;
        let mut filled = 0;
        while let Some(rest) = self.window.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = position + u64::try_from(filled).map_err(io::Error::other)?;
            match self.file.read_at(rest, at) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.window.truncate(filled);
        Ok(())
    }

    /// Where the next good batch begins, from `from` on; the end if there is none.
    fn next_good(&mut self, from: u64) -> io::Result<u64> {
        let header_bytes = u64::try_from(HEADER_BYTES).map_err(io::Error::other)?;
        let mut position = from;
        while position + header_bytes <= self.end {
            let block = self.bytes(position, WINDOW_BYTES / 2)?;
            let candidates = block.windows(HEADER_BYTES);
            // One byte sorts out nearly everything.
            let found = candidates.enumerate().find_map(|(place, head)| {
                let is_batch = head.get(MAGIC_AT) == Some(&2)
                    && head.first().is_some_and(|byte| *byte < 128)
                    && BatchHeader::decode(head).is_ok_and(|header| header.record_count >= 0);
                is_batch.then_some(place)
            });
            let skipped = found.unwrap_or(block.len() + 1 - HEADER_BYTES);
            position += u64::try_from(skipped).map_err(io::Error::other)?;
            if found.is_some() {
                if self.batch_at(position)?.is_ok() {
                    return Ok(position);
                }
                position += 1;
            }
        }
        Ok(self.end)
    }
}
