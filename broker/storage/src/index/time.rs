//! The time index: how far in a segment the timestamps have come.

use thalweg_protocol::TimestampMs;

use super::file::Entry;

/// The largest timestamp up to a batch: twelve bytes in the file, `timestamp i64, relative last offset i32`,
/// big-endian. Timestamps rise strictly from entry to entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    /// The largest timestamp of the segment so far.
    pub(crate) timestamp: TimestampMs,
    /// Last offset of the batch that holds it, minus the segment's base offset; never negative.
    pub(crate) relative: u32,
}

impl Entry for TimeEntry {
    const BYTES: usize = 12;

    fn encode(self, target: &mut Vec<u8>) {
        target.extend(self.timestamp.get().to_be_bytes());
        target.extend(self.relative.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (timestamp, rest) = bytes.split_first_chunk()?;
        let relative = rest.first_chunk()?;
        Some(Self {
            timestamp: TimestampMs::new(i64::from_be_bytes(*timestamp)),
            relative: u32::from_be_bytes(*relative),
        })
    }
}
