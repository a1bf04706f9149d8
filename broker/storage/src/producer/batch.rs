//! One batch, as far as its producer's sequences are concerned.

use thalweg_protocol::{Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

/// The batches that a producer may have in flight, and as many are remembered of each.
pub(super) const REMEMBERED_MAX: usize = 5;

/// Who wrote a batch, and its sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerBatch {
    /// The producer; never [`ProducerId::NONE`].
    pub producer: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// Sequence of the first record.
    pub first: Sequence,
    /// Sequence of the last record.
    pub last: Sequence,
}

/// A batch that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RememberedBatch {
    /// Sequence of the first record.
    pub first: Sequence,
    /// Sequence of the last record.
    pub last: Sequence,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// Offset of the last record minus that of the first; never negative.
    pub offset_delta: i32,
    /// When it was appended, by the broker's clock.
    pub appended: TimestampMs,
}

impl RememberedBatch {
    /// Offset of the first record.
    pub const fn base_offset(&self) -> Offset {
        // Widening: From is not const.
        self.last_offset.plus(-(self.offset_delta as i64))
    }
}

/// How many records `later` lies behind `earlier`, counting in the circle of 2^31 sequences:
/// 0 when they are equal, 1 when `later` follows directly.
pub(super) const fn distance(earlier: Sequence, later: Sequence) -> i64 {
    (later.get() as i64 - earlier.get() as i64).rem_euclid(1 << 31)
}

/// The sequence `count` records before `sequence`.
pub(super) const fn before(sequence: Sequence, count: i32) -> Sequence {
    match sequence.get() - count {
        below if below < 0 => Sequence::new(below + i32::MAX + 1),
        found => Sequence::new(found),
    }
}
