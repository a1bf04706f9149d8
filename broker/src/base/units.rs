//! Sizes and times as people write them: `64MiB`, `7d`, `500ms`.
//!
//! Owns both directions: what is printed reads back as the same value.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes. Reads `1048576`, `1MiB`, `1 MB`; prints the largest binary unit that divides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(u64);

/// A time in milliseconds. Reads `1500`, `1500ms`, `7d`; prints the largest unit that divides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(u64);

/// Why a text is no size or no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// There is no whole number in front.
    #[error("{0:?} does not begin with a whole number")]
    Number(String),
    /// What follows the number is no unit.
    #[error("{text:?} has the unit {unit:?}; known are {known}")]
    Unit {
        /// The text.
        text: String,
        /// What follows the number.
        unit: String,
        /// The units that are known.
        known: &'static str,
    },
    /// It does not fit.
    #[error("{0:?} is too large")]
    TooLarge(String),
}

const SIZE_UNITS: &[(&str, u64)] = &[
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];
const SIZE_UNITS_PRINTED: usize = 6;
const SIZE_UNITS_KNOWN: &str = "B, KiB, MiB, GiB, TiB, PiB, kB, MB, GB, TB, PB";

const TIME_UNITS: &[(&str, u64)] =
    &[("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1), ("m", 60_000)];
const TIME_UNITS_PRINTED: usize = 5;
const TIME_UNITS_KNOWN: &str = "ms, s, m, min, h, d";

impl ByteSize {
    /// This many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// This many times 1,024 bytes.
    pub const fn kib(count: u64) -> Self {
        Self(count << 10)
    }

    /// This many times 1,048,576 bytes.
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// This many times 1,073,741,824 bytes.
    pub const fn gib(count: u64) -> Self {
        Self(count << 30)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Millis {
    /// This many milliseconds.
    pub const fn new(ms: u64) -> Self {
        Self(ms)
    }

    /// This many seconds.
    pub const fn seconds(count: u64) -> Self {
        Self(count * 1_000)
    }

    /// This many minutes.
    pub const fn minutes(count: u64) -> Self {
        Self(count * 60_000)
    }

    /// This many hours.
    pub const fn hours(count: u64) -> Self {
        Self(count * 3_600_000)
    }

    /// The number of milliseconds.
    pub const fn ms(self) -> u64 {
        self.0
    }

    /// The time as timers take it.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text, SIZE_UNITS, SIZE_UNITS_KNOWN).map(Self)
    }
}

impl FromStr for Millis {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text, TIME_UNITS, TIME_UNITS_KNOWN).map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, self.0, SIZE_UNITS.iter().take(SIZE_UNITS_PRINTED))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, self.0, TIME_UNITS.iter().take(TIME_UNITS_PRINTED))
    }
}

/// A number without a unit counts in the smallest one.
fn read(text: &str, units: &[(&str, u64)], known: &'static str) -> Result<u64, UnitError> {
    let trimmed = text.trim();
    let digits_end = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (digits, unit) = trimmed.split_at(digits_end);
    if digits.is_empty() {
        return Err(UnitError::Number(text.to_owned()));
    }
    let too_large = || UnitError::TooLarge(text.to_owned());
    let number: u64 = digits.parse().map_err(|_| too_large())?;
    let unit = unit.trim_start();
    if unit.is_empty() {
        return Ok(number);
    }
    // Exact case first, so that `m` could never be taken for `M`; then any case, for `64mib`.
    let factor = units
        .iter()
        .find(|(name, _)| *name == unit)
        .or_else(|| units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)));
    match factor {
        Some((_, factor)) => number.checked_mul(*factor).ok_or_else(too_large),
        None => Err(UnitError::Unit { text: text.to_owned(), unit: unit.to_owned(), known }),
    }
}

/// In the first of `units` (largest first) that divides the number.
fn print<'a>(
    f: &mut fmt::Formatter<'_>,
    number: u64,
    units: impl Iterator<Item = &'a (&'a str, u64)>,
) -> fmt::Result {
    for (name, factor) in units {
        if (number > 0 && number.is_multiple_of(*factor)) || *factor == 1 {
            return write!(f, "{}{name}", number / factor);
        }
    }
    write!(f, "{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_as_people_write_them() {
        let size = |text: &str| text.parse::<ByteSize>().map(ByteSize::bytes);
        assert_eq!(size("1048576"), Ok(1 << 20));
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size(" 64 mib "), Ok(64 << 20));
        assert_eq!(size("10MB"), Ok(10_000_000));
        let time = |text: &str| text.parse::<Millis>().map(Millis::ms);
        assert_eq!(time("1500"), Ok(1_500));
        assert_eq!(time("500ms"), Ok(500));
        assert_eq!(time("7d"), Ok(604_800_000));
        assert_eq!(time("5m"), time("5min"));
    }

    #[test]
    fn what_is_printed_reads_back() {
        for bytes in [0, 1, 1_023, 1_024, 1 << 20, (1 << 30) + 1, 1_000_000, u64::MAX] {
            let size = ByteSize::new(bytes);
            assert_eq!(size.to_string().parse(), Ok(size));
        }
        for ms in [0, 1, 999, 1_000, 60_000, 90_000, 604_800_000, u64::MAX] {
            let time = Millis::new(ms);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        assert_eq!(ByteSize::mib(64).to_string(), "64MiB");
        assert_eq!(Millis::new(604_800_000).to_string(), "7d");
    }

    #[test]
    fn bad_sizes_say_what_is_wrong() {
        let error = |text: &str| text.parse::<ByteSize>().unwrap_err().to_string();
        assert_eq!(error("MiB"), r#""MiB" does not begin with a whole number"#);
        assert_eq!(error("-1"), r#""-1" does not begin with a whole number"#);
        assert!(
            error("5 lines").starts_with(r#""5 lines" has the unit "lines"; known are B, KiB"#)
        );
        assert_eq!(error("99999999PiB"), r#""99999999PiB" is too large"#);
        assert!("3 weeks".parse::<Millis>().is_err());
    }
}
