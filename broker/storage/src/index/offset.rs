//! The offset index: which batch of a segment lies where.

use super::file::Entry;

/// One batch: eight bytes in the file, `relative last offset i32, position i32`, big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    /// The batch's last offset, minus the segment's base offset; never negative.
    pub(crate) relative: u32,
    /// The byte at which the batch begins.
    pub(crate) position: u32,
}

impl Entry for OffsetEntry {
    const BYTES: usize = 8;

    fn encode(self, target: &mut Vec<u8>) {
        target.extend(self.relative.to_be_bytes());
        target.extend(self.position.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (relative, rest) = bytes.split_first_chunk()?;
        let position = rest.first_chunk()?;
        Some(Self {
            relative: u32::from_be_bytes(*relative),
            position: u32::from_be_bytes(*position),
        })
    }
}
