//! Positions in a partition: offsets, epochs, sequences, timestamps.

use std::fmt;

/// The place of a record in its partition, counted from 0; offsets only rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(i64);

impl Offset {
    /// The first offset of every partition.
    pub const ZERO: Self = Self(0);
    /// "No offset": a log that holds no record yet, a time beyond the end.
    pub const NONE: Self = Self(-1);

    /// Wraps the number as it stands on the wire and on disk.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number as it stands on the wire and on disk.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The offset after this one; the largest one stays.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The offset `count` further on; the largest one stays.
    #[must_use]
    pub const fn plus(self, count: i64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// How many offsets lie from `earlier` (inclusive) to here (exclusive); negative the other way round.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Raised whenever a partition gets a leader; fences what an older leader still does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaderEpoch(i32);

impl LeaderEpoch {
    /// The epoch of a partition's first leader.
    pub const FIRST: Self = Self(0);
    /// In a request: do not check the epoch.
    pub const UNCHECKED: Self = Self(-1);

    /// Wraps the number as it stands on the wire and on disk.
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// The number as it stands on the wire and on disk.
    pub const fn get(self) -> i32 {
        self.0
    }

    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for LeaderEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Numbers an idempotent producer's records per partition: from 0 to `i32::MAX`, then from 0 again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sequence(i32);

impl Sequence {
    /// The first sequence of a producer in a partition.
    pub const FIRST: Self = Self(0);
    /// The batch comes from a producer that is not idempotent.
    pub const NONE: Self = Self(-1);

    /// Wraps the number as it stands on the wire and on disk.
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// The number as it stands on the wire and on disk.
    pub const fn get(self) -> i32 {
        self.0
    }

    /// The sequence `count` records further on, wrapping from `i32::MAX` to 0.
    #[must_use]
    pub const fn plus(self, count: i32) -> Self {
        match self.0.checked_add(count) {
            Some(sum) => Self(sum),
            // i32::MAX is followed by 0: count the records that lie beyond it.
            None => Self(count - (i32::MAX - self.0) - 1),
        }
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A moment by the wall clock, in milliseconds since 1970 (UTC). Never decides any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimestampMs(i64);

impl TimestampMs {
    /// "No timestamp".
    pub const NONE: Self = Self(-1);

    /// Wraps the number as it stands on the wire and on disk.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number as it stands on the wire and on disk.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The moment `ms` later; the last one that can be told stays.
    #[must_use]
    pub const fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to here.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for TimestampMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_from_the_largest_to_zero() {
        assert_eq!(Sequence::new(i32::MAX).plus(1), Sequence::FIRST);
        assert_eq!(Sequence::new(i32::MAX - 1).plus(3), Sequence::new(1));
        assert_eq!(Sequence::new(5).plus(10), Sequence::new(15));
    }
}
