//! What of a segment is known to be damaged.

use std::sync::{PoisonError, RwLock};

use thalweg_protocol::Offset;

/// Offsets that cannot be read, and why reading can go on behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRange {
    /// The first offset that is damaged or missing.
    pub from: Offset,
    /// The next good one, or the log end.
    pub next_good: Offset,
}

/// The damaged ranges of one segment.
#[derive(Debug, Default)]
pub(crate) struct Quarantine(RwLock<Vec<BadRange>>);

impl Quarantine {
    /// The range that `offset` lies in.
    pub(crate) fn at(&self, offset: Offset) -> Option<BadRange> {
        let bad = self.0.read().unwrap_or_else(PoisonError::into_inner);
        bad.iter().find(|range| range.from <= offset && offset < range.next_good).copied()
    }

    /// The first offset at or above `from` where a range begins.
    pub(crate) fn next_from(&self, from: Offset) -> Option<Offset> {
        let bad = self.0.read().unwrap_or_else(PoisonError::into_inner);
        bad.iter().map(|range| range.from).filter(|bad| *bad >= from).min()
    }

    /// Takes note of a range.
    pub(crate) fn add(&self, range: BadRange) {
        let mut bad = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !bad.contains(&range) {
            bad.push(range);
        }
    }

    /// All ranges that are known.
    pub(crate) fn all(&self) -> Vec<BadRange> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
