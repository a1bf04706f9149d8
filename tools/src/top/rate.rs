//! How many a second, and numbers that fit into a narrow column.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::values;

/// How many a second, in tenths: a topic with a record every five seconds is not idle. Negative when something shrinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rate(i64);

impl Rate {
    /// So many during this time.
    pub(super) fn of(count: i64, time: Duration) -> Self {
        let ms = i128::try_from(time.as_millis()).unwrap_or(i128::MAX).max(1);
        let scaled = i128::from(count) * 10_000;
        // Rounded to the nearest, away from zero.
        let half = if count < 0 { -(ms / 2) } else { ms / 2 };
        Self(i64::try_from((scaled + half) / ms).unwrap_or(i64::MAX))
    }

    /// Tenths of one a second; what sorting goes by.
    pub(super) const fn tenths(self) -> i64 {
        self.0
    }

    /// Such as `0.2`, `12.4`, `1,234`, `1.23M`.
    pub(super) fn records(self) -> String {
        match self.0 {
            0 => "0".to_owned(),
            tenths if tenths.abs() < 1_000 => {
                let sign = if tenths < 0 { "-" } else { "" };
                format!("{sign}{}.{}", tenths.abs() / 10, tenths.abs() % 10)
            }
            tenths => short(tenths / 10),
        }
    }

    /// The same with its sign, also when it is positive.
    pub(super) fn signed(self) -> String {
        let plus = if self.0 > 0 { "+" } else { "" };
        format!("{plus}{}", self.records())
    }

    /// Bytes with their unit.
    pub(super) fn bytes(self) -> String {
        values::size(u64::try_from(self.0 / 10).unwrap_or(0))
    }
}

impl std::ops::Add for Rate {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::iter::Sum for Rate {
    fn sum<I: Iterator<Item = Self>>(rates: I) -> Self {
        rates.fold(Self::default(), |sum, one| sum + one)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let size = self.0.unsigned_abs();
        let whole = u32::try_from(size / 10).unwrap_or(u32::MAX);
        let tenth = u32::try_from(size % 10).unwrap_or(0);
        let value = f64::from(whole) + f64::from(tenth) / 10.0;
        serializer.serialize_f64(if self.0 < 0 { -value } else { value })
    }
}

/// A number in at most seven characters: all digits below 100,000, then three digits and a letter.
pub(super) fn short(number: i64) -> String {
    const UNITS: [&str; 6] = ["k", "M", "G", "T", "P", "E"];
    if number.unsigned_abs() < 100_000 {
        return values::grouped(number);
    }
    let sign = if number < 0 { "-" } else { "" };
    // Hundredths of the unit.
    let (mut hundredths, mut unit) = (number.unsigned_abs() / 10, 0);
    while hundredths >= 100_000 && unit + 1 < UNITS.len() {
        (hundredths, unit) = (hundredths / 1_000, unit + 1);
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    match hundredths / 100 {
        whole @ 100.. => format!("{sign}{whole}{name}"),
        whole @ 10.. => format!("{sign}{whole}.{}{name}", hundredths % 100 / 10),
        whole => format!("{sign}{whole}.{:02}{name}", hundredths % 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_into_seven_characters() {
        for (number, text) in [
            (0, "0"),
            (99_999, "99,999"),
            (100_000, "100k"),
            (999_999, "999k"),
            (1_234_567, "1.23M"),
            (-12_345_678, "-12.3M"),
            (i64::MAX, "9.22E"),
        ] {
            assert_eq!(short(number), text);
        }
    }

    #[test]
    fn rates_are_exact_where_they_are_low() {
        for (count, ms, text) in [
            (0, 1_000, "0"),
            (1, 5_000, "0.2"),
            (-1, 5_000, "-0.2"),
            (124, 10_000, "12.4"),
            (1_234, 1_000, "1,234"),
            (2_469_134, 2_000, "1.23M"),
        ] {
            assert_eq!(Rate::of(count, Duration::from_millis(ms)).records(), text);
        }
        assert_eq!(Rate::of(3, Duration::from_secs(2)).signed(), "+1.5");
        assert_eq!(Rate::of(2_048, Duration::from_secs(1)).bytes(), "2.00 KiB");
        assert_eq!(serde_json::to_string(&Rate::of(-7, Duration::from_secs(2))).unwrap(), "-3.5");
    }
}
