//! Values of options as people write them: times, sizes, `key=value`; and numbers as people read them.

use std::time::Duration;

use thalweg_broker::base::{ByteSize, Millis};

/// A time such as `500ms`, `2min` or `7d`; a bare number is milliseconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let millis: Millis =
        text.parse().map_err(|error| format!("{error}; write it as 500ms, 10s or 2min"))?;
    Ok(millis.duration())
}

/// A size such as `64KiB` or `1MB`; a bare number is bytes.
pub(crate) fn bytes(text: &str) -> Result<usize, String> {
    let size: ByteSize =
        text.parse().map_err(|error| format!("{error}; write it as 65536 or 64KiB"))?;
    usize::try_from(size.bytes()).map_err(|_| format!("{text:?} is too large"))
}

/// `key=value`; the value may hold further `=`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write it as key=value".to_owned()),
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: impl TryInto<i64>) -> String {
    let number = number.try_into().unwrap_or(i64::MAX);
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// A number of bytes with three digits and a unit: `1.17 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    // Hundredths of the unit, in whole numbers.
    let mut hundredths = u128::from(bytes) * 100;
    while hundredths >= 102_400 && unit + 1 < UNITS.len() {
        hundredths = (hundredths + 512) / 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    match (unit, hundredths / 100) {
        (0, whole) | (_, whole @ 100..) => format!("{whole} {name}"),
        (_, whole @ 10..) => format!("{whole}.{} {name}", hundredths % 100 / 10),
        (_, whole) => format!("{whole}.{:02} {name}", hundredths % 100),
    }
}

/// How many a second; whole numbers.
pub(crate) fn rate(count: u64, time: Duration) -> u64 {
    let micros = time.as_micros().max(1);
    u64::try_from(u128::from(count) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

/// A time with its unit: `850 µs`, `12.3 ms`, `4.56 s`.
pub(crate) fn time(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..1_000 => format!("{micros} µs"),
        micros @ 1_000..1_000_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        micros => format!("{}.{:02} s", micros / 1_000_000, micros % 1_000_000 / 10_000),
    }
}

/// How old something is, for people: `0 s`, `850 ms`, `12.3 s`, `15 min`, `5 h`, `2,850 d`.
pub(crate) fn age(age: Duration) -> String {
    const MINUTE: u64 = 60;
    match (age.as_millis(), age.as_secs()) {
        (0, _) => "0 s".to_owned(),
        (ms @ 1..1_000, _) => format!("{ms} ms"),
        (ms, seconds) if seconds < 2 * MINUTE => format!("{seconds}.{} s", ms % 1_000 / 100),
        (_, seconds) if seconds < 120 * MINUTE => format!("{} min", seconds / MINUTE),
        (_, seconds) if seconds < 48 * 60 * MINUTE => format!("{} h", seconds / (60 * MINUTE)),
        (_, seconds) => format!("{} d", grouped(seconds / (24 * 60 * MINUTE))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (-1_234_567, "-1,234,567"),
            (12_345, "12,345"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.00 KiB"),
            (1_217_844, "1.16 MiB"),
            (12_582_912, "12.0 MiB"),
            (1 << 40, "1.00 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn times_have_their_unit() {
        assert_eq!(time(Duration::from_micros(850)), "850 µs");
        assert_eq!(time(Duration::from_micros(12_345)), "12.3 ms");
        assert_eq!(time(Duration::from_millis(4_567)), "4.56 s");
        assert_eq!(rate(300_000, Duration::from_millis(1_500)), 200_000);
    }

    #[test]
    fn ages_are_as_exact_as_they_matter() {
        for (ms, text) in [
            (0, "0 s"),
            (7, "7 ms"),
            (12_345, "12.3 s"),
            (125_000, "2 min"),
            (7_200_000, "2 h"),
            (246_240_000_000, "2,850 d"),
        ] {
            assert_eq!(age(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn pairs_are_cut_at_the_first_sign() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(pair("a="), Ok(("a".to_owned(), String::new())));
        assert!(pair("a").is_err() && pair("=b").is_err());
    }
}
