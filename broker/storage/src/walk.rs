//! Walks the batch headers of a segment and checks that they continue each other.
//!
//! Owns the rules of continuity that the checksum does not cover: base offsets rise, a batch ends within the
//! written bytes, the layout is version 2. Reads by [`File::read_at`] in pieces of a few KiB, so that many
//! small batches cost one system call; never touches a map.

use std::io;

use thalweg_protocol::Offset;
use thalweg_protocol::batch::{BatchHeader, HEADER_BYTES, verify_checksum};

use crate::fs::File;

/// What is read at once: many small headers, or one header and little else.
const PIECE_BYTES: usize = 4096;

/// The bytes before the part that the length field counts.
const PREFIX_BYTES: u32 = 12;

/// A batch and where it lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// The byte at which it begins.
    pub(crate) position: u64,
    /// Its header.
    pub(crate) header: BatchHeader,
}

impl Found {
    /// The byte after its last.
    pub(crate) fn end(&self) -> u64 {
        self.position + total_bytes(&self.header)
    }
}

/// The size of a batch in a file.
pub(crate) fn total_bytes(header: &BatchHeader) -> u64 {
    u64::from(header.length) + u64::from(PREFIX_BYTES)
}

/// One step of a walk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A batch that continues the one before.
    Batch(Found),
    /// The walk has come to its end, exactly behind a batch.
    End,
    /// What lies at the walk's position is no batch, or none that could follow.
    Bad,
}

/// A walk through the headers of one file. After [`Step::End`] or [`Step::Bad`] it stays where it is.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    file: &'a dyn File,
    position: u64,
    end: u64,
    /// The next batch must not begin below.
    expected: Offset,
    /// Whether it must begin exactly there.
    gapless: bool,
    /// The batch before the walk's position, if the walk has seen it.
    previous: Option<Found>,
    piece: Box<[u8; PIECE_BYTES]>,
    piece_at: u64,
    piece_bytes: usize,
}

impl<'a> Walk<'a> {
    /// Walks from `position`, where a batch begins, to `end`; each batch begins exactly where the one before
    /// ended, the first at `expected`.
    pub(crate) fn new(file: &'a dyn File, position: u64, end: u64, expected: Offset) -> Self {
        Self {
            file,
            position,
            end,
            expected,
            gapless: true,
            previous: None,
            piece: Box::new([0; PIECE_BYTES]),
            piece_at: 0,
            piece_bytes: 0,
        }
    }

    /// Begins with any batch at or above `expected`; from then on offsets have no gaps.
    #[must_use]
    pub(crate) const fn at_any(mut self) -> Self {
        self.gapless = false;
        self
    }

    /// Goes back before a batch of this walk.
    pub(crate) const fn back_to(&mut self, found: &Found) {
        self.position = found.position;
        self.expected = found.header.base_offset;
        self.previous = None;
    }

    /// The batch before the walk's position, if the walk has seen it.
    pub(crate) const fn previous(&self) -> Option<Found> {
        self.previous
    }

    /// Where the next batch begins.
    pub(crate) const fn position(&self) -> u64 {
        self.position
    }

    /// The file that is walked.
    pub(crate) const fn file(&self) -> &'a dyn File {
        self.file
    }

    /// The byte at which the walk ends.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// The offset that the next batch may begin with at least.
    pub(crate) const fn expected(&self) -> Offset {
        self.expected
    }

    /// The next batch.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        let position = self.position;
        if position >= self.end {
            return Ok(Step::End);
        }
        let (expected, gapless, end) = (self.expected, self.gapless, self.end);
        let found = self
            .header_bytes()?
            .and_then(|bytes| BatchHeader::decode(bytes).ok())
            .map(|header| Found { position, header })
            .filter(|found| continues(found, expected, gapless, end));
        let Some(found) = found else { return Ok(Step::Bad) };
        self.position = found.end();
        self.expected = found.header.next_offset();
        self.previous = Some(found);
        self.gapless = true;
        Ok(Step::Batch(found))
    }

    /// The bytes of the header at the walk's position; `None` when the file ends before.
    fn header_bytes(&mut self) -> io::Result<Option<&[u8]>> {
        let within =
            self.position.checked_sub(self.piece_at).and_then(|at| usize::try_from(at).ok());
        let at = match within {
            Some(at) if at + HEADER_BYTES <= self.piece_bytes => at,
            _ => {
                let left = usize::try_from(self.end - self.position).unwrap_or(PIECE_BYTES);
                let piece = self.piece.get_mut(..left.min(PIECE_BYTES)).unwrap_or_default();
                self.piece_bytes = self.file.read_at(self.position, piece)?;
                self.piece_at = self.position;
                0
            }
        };
        let filled = self.piece.get(..self.piece_bytes).unwrap_or_default();
        Ok(filled.get(at..at + HEADER_BYTES))
    }
}

/// Whether the batch can follow, and ends within the file.
pub(crate) fn continues(found: &Found, expected: Offset, gapless: bool, end: u64) -> bool {
    let header = &found.header;
    let follows =
        if gapless { header.base_offset == expected } else { header.base_offset >= expected };
    let shape = usize::try_from(total_bytes(header)).is_ok_and(|bytes| bytes >= HEADER_BYTES)
        && header.magic == 2
        && header.last_offset_delta >= 0
        // Compaction leaves fewer records than offsets, but never more.
        && (!gapless || (0..=header.last_offset_delta.saturating_add(1)).contains(&header.record_count))
        && header.base_offset.get().checked_add(i64::from(header.last_offset_delta)).is_some();
    follows && shape && found.end() <= end
}

/// Whether the batch's bytes are those that its checksum was made of. Reads them all.
pub(crate) fn is_intact(file: &dyn File, found: &Found, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let bytes = usize::try_from(total_bytes(&found.header)).map_err(io::Error::other)?;
    buffer.resize(bytes, 0);
    let read = file.read_at(found.position, buffer)?;
    Ok(read == bytes && verify_checksum(&found.header, buffer).is_ok())
}

/// Where damage begins that made a walk stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Damage {
    /// The first offset that is damaged.
    pub(crate) from: Offset,
    /// The byte at which it lies.
    pub(crate) position: u64,
}

/// Finds the damage when `walk` has met [`Step::Bad`]. No checksum covers how a header leads to the next one
/// while headers are walked: the batch before may be the damaged one, and its last offset a wrong one.
pub(crate) fn damage_at(walk: &Walk<'_>) -> io::Result<Damage> {
    if let Some(previous) = walk.previous()
        && !is_intact(walk.file(), &previous, &mut Vec::new())?
    {
        return Ok(Damage { from: previous.header.base_offset, position: previous.position });
    }
    Ok(Damage { from: walk.expected(), position: walk.position() })
}

/// The first intact batch from byte `from` on that begins at or above `expected` and below `end_offset`:
/// where reading can go on behind damage. Looks at every byte, for a damaged length leads nowhere.
pub(crate) fn next_intact(
    file: &dyn File,
    from: u64,
    end: u64,
    expected: Offset,
    end_offset: Offset,
) -> io::Result<Option<Found>> {
    const BLOCK_BYTES: usize = 64 * 1024;
    let mut block = vec![0; BLOCK_BYTES];
    let mut buffer = Vec::new();
    let mut at = from;
    while at < end {
        let left = usize::try_from(end - at).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
        let read = file.read_at(at, block.get_mut(..left).unwrap_or_default())?;
        let filled = block.get(..read).unwrap_or_default();
        if filled.len() < HEADER_BYTES {
            return Ok(None);
        }
        let mut position = at;
        for window in filled.windows(HEADER_BYTES) {
            if let Some(found) = candidate(window, position, end, expected, end_offset)
                && is_intact(file, &found, &mut buffer)?
            {
                return Ok(Some(found));
            }
            position += 1;
        }
        // The next block begins where the last whole window of this one ended.
        at = position;
    }
    Ok(None)
}

/// A header at `position` that could stand in this place.
fn candidate(
    window: &[u8],
    position: u64,
    end: u64,
    expected: Offset,
    end_offset: Offset,
) -> Option<Found> {
    const MAGIC_AT: usize = 16;
    // One byte sorts out nearly everything.
    if window.get(MAGIC_AT) != Some(&2) {
        return None;
    }
    let header = BatchHeader::decode(window).ok()?;
    let found = Found { position, header };
    (continues(&found, expected, false, end) && header.last_offset() < end_offset).then_some(found)
}
