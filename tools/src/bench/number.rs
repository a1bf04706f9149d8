//! Counts as numbers with fractions, and what is made of them.

use std::time::Duration;

/// A giga of bytes, as rates and CPU times are told.
pub(super) const GB: f64 = 1e9;

/// A count as a number with fractions.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, and a figure beyond")]
pub(super) const fn float(count: u64) -> f64 {
    count as f64
}

/// A length as a number with fractions.
pub(super) fn length(bytes: usize) -> f64 {
    float(wide(bytes))
}

/// A length as a count.
pub(super) fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// How many a second; 0 when no time passed.
pub(super) fn rate(count: u64, time: Duration) -> f64 {
    share(float(count), time.as_secs_f64())
}

/// The part that `part` is of `whole`; 0 of nothing.
pub(super) fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// With so many digits behind the point, which is as exact as anybody can measure.
pub(super) fn rounded(number: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (number * scale).round() / scale
}

/// Nanoseconds, for histograms.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
