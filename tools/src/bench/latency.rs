//! How long things took: a histogram with three digits of precision, and the percentiles that are told of it.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::number::{float, nanos, rounded};

/// No run lasts longer, so no latency does.
const LATENCY_MAX: Duration = Duration::from_hours(1);

/// Latencies that were measured.
#[derive(Clone, Debug)]
pub(super) struct Latencies(Option<Histogram<u64>>);

impl Latencies {
    /// None yet.
    pub(super) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, nanos(LATENCY_MAX), 3).ok())
    }

    /// Adds one.
    pub(super) fn record(&mut self, latency: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(nanos(latency));
        }
    }

    /// Adds those of another.
    pub(super) fn add(&mut self, other: &Self) {
        if let (Some(ours), Some(theirs)) = (&mut self.0, &other.0) {
            // Both have the same bounds, so nothing can be out of range.
            _ = ours.add(theirs);
        }
    }

    /// Every length that was recorded, in nanoseconds, and how often: the longest first.
    pub(super) fn recorded(&self) -> Vec<(u64, u64)> {
        let Some(histogram) = &self.0 else { return Vec::new() };
        let recorded = histogram.iter_recorded();
        let mut recorded: Vec<_> = recorded
            .map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
            .collect();
        recorded.reverse();
        recorded
    }

    /// The percentiles; none when nothing was measured.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        let at = |quantile| micros(histogram.value_at_quantile(quantile));
        Some(Percentiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: micros(histogram.max()),
            samples: histogram.len(),
        })
    }
}

fn micros(nanos: u64) -> f64 {
    rounded(float(nanos) / 1_000.0, 1)
}

/// Latencies in microseconds: half of them, nine of ten and so on took at most so long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) p9999: f64,
    pub(super) max: f64,
    /// How many were measured.
    pub(super) samples: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_told_in_microseconds_with_three_digits() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.percentiles(), None);
        for micros in 1..=1_000 {
            latencies.record(Duration::from_micros(micros));
        }
        let told = latencies.percentiles().unwrap();
        assert!((told.p50 - 500.0).abs() < 1.0 && (told.p99 - 990.0).abs() < 2.0, "{told:?}");
        assert!((told.max - 1_000.0).abs() < 2.0 && told.samples == 1_000, "{told:?}");
    }

    #[test]
    fn histograms_of_several_tasks_become_one() {
        let (mut one, mut other) = (Latencies::new(), Latencies::new());
        one.record(Duration::from_micros(10));
        other.record(Duration::from_millis(10));
        one.add(&other);
        let told = one.percentiles().unwrap();
        assert!(told.samples == 2 && told.p50 < 11.0 && told.max > 9_990.0, "{told:?}");
    }
}
