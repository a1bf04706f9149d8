//! What gaps make a request wait: the arithmetic of cores that stand still. Watches nothing.
//!
//! ```text
//! |...........----------....................----......|   dashes are gaps: who comes at the beginning of one waits for all
//!                                                         of it, at its end for nothing, at a dot not at all
//! ```

use std::time::Duration;

use serde::Serialize;

use super::super::latency::Latencies;
use super::super::number::{float, nanos, rounded, share};

/// Waits in microseconds: half of the requests, 99 of 100 and so on waited at most so long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(in super::super) struct Waits {
    pub(in super::super) p50: f64,
    pub(in super::super) p99: f64,
    pub(in super::super) p999: f64,
    /// The longest gap.
    pub(in super::super) max: f64,
    /// The part of the time that the cores stood still.
    pub(in super::super) share: f64,
}

impl Waits {
    /// What follows from gaps within the time of all cores together.
    pub(super) fn of(gaps: &Latencies, watched: Duration) -> Self {
        let gaps = gaps.recorded();
        let watched = float(nanos(watched));
        let lost: f64 = gaps.iter().map(|(length, count)| float(*length) * float(*count)).sum();
        let at = |quantile: f64| micros(wait(&gaps, (1.0 - quantile) * watched));
        Self {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            max: micros(gaps.first().map_or(0.0, |(length, _)| float(*length))),
            // The histogram rounds lengths up, by a thousandth.
            share: rounded(share(lost, watched).min(1.0), 5),
        }
    }
}

/// The wait that is exceeded in `exceeded_for` of the time, all in nanoseconds.
///
/// In a gap of length L, those who come in its first L - w wait longer than w. So n gaps that are longer than w, and last T
/// together, make somebody wait longer than w in T - n w of the time. `gaps` has their lengths, the longest first, and how many.
fn wait(gaps: &[(u64, u64)], exceeded_for: f64) -> f64 {
    let (mut longer, mut lasting) = (0.0, 0.0);
    for (length, count) in gaps {
        let (length, count) = (float(*length), float(*count));
        // In so much of the time the wait is longer than this gap.
        if lasting - longer * length >= exceeded_for {
            break;
        }
        longer += count;
        lasting += count * length;
    }
    share(lasting - exceeded_for, longer).max(0.0)
}

fn micros(nanos: f64) -> f64 {
    rounded(nanos / 1_000.0, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What follows from gaps of so many milliseconds within so many of all cores together.
    fn of(gaps_ms: &[u64], watched_ms: u64) -> Waits {
        let mut gaps = Latencies::new();
        for ms in gaps_ms {
            gaps.record(Duration::from_millis(*ms));
        }
        Waits::of(&gaps, Duration::from_millis(watched_ms))
    }

    /// The histogram keeps three digits.
    fn check(found: f64, expected: f64) {
        assert!((found - expected).abs() <= expected / 400.0, "{found} instead of {expected}");
    }

    #[test]
    fn cores_that_never_stand_still_let_nobody_wait() {
        let still = Waits { p50: 0.0, p99: 0.0, p999: 0.0, max: 0.0, share: 0.0 };
        assert_eq!(of(&[], 1_000), still);
        assert_eq!(of(&[], 0), still);
    }

    #[test]
    fn who_comes_within_a_gap_waits_for_the_rest_of_it() {
        let waits = of(&[30], 1_000);
        check(waits.share, 0.03);
        check(waits.max, 30_000.0);
        // The first 10 ms of the gap are the hundredth of the time in which the wait is above 20 ms.
        check(waits.p99, 20_000.0);
        check(waits.p999, 29_000.0);
        check(waits.p50, 0.0);
    }

    #[test]
    fn a_gap_is_met_as_often_as_it_is_long() {
        // Three out of a hundred moments lie in a gap, however many there are.
        let waits = of(&[1; 30], 1_000);
        check(waits.share, 0.03);
        check(waits.p99, 1_000.0 * 2.0 / 3.0);
        // A gap of 20 ms and ten of 1 ms: above 10 ms wait those in the first half of the long one.
        let mut gaps = vec![20];
        gaps.extend([1; 10]);
        check(of(&gaps, 1_000).p99, 10_000.0);
        check(of(&gaps, 1_000).max, 20_000.0);
    }

    #[test]
    fn gaps_of_several_lengths_share_the_wait_that_each_of_them_exceeds() {
        // Above 3 ms: 7 ms of the one and 1 ms of the other, of 800 ms.
        check(of(&[10, 4], 800).p99, 3_000.0);
        // Above 7 ms: 3 ms of the one alone, of 300 ms.
        check(of(&[4, 10], 300).p99, 7_000.0);
        // Less than a hundredth of the time is lost at all.
        check(of(&[10, 4], 1_500).p99, 0.0);
    }

    #[test]
    fn cores_that_always_stand_still_let_everybody_wait() {
        let waits = of(&[1_000], 1_000);
        check(waits.p50, 500_000.0);
        check(waits.share, 1.0);
        assert!(waits.share <= 1.0, "{waits:?}");
    }

    #[test]
    fn waits_are_those_that_requests_at_every_moment_would_count() {
        // The same by counting: a request at each of so many moments, gaps one behind the other.
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..50 {
            let gaps: Vec<u64> = (0..random.usize(1..20)).map(|_| random.u64(1..900)).collect();
            let watched = gaps.iter().sum::<u64>() * random.u64(1..40);
            let mut met: Vec<u64> = gaps.iter().flat_map(|gap| 1..=*gap).collect();
            met.sort_unstable_by_key(|wait| std::cmp::Reverse(*wait));
            let waits = of(&gaps, watched);
            for (found, exceeded_for) in [
                (waits.p50, watched / 2),
                (waits.p99, watched / 100),
                (waits.p999, watched / 1_000),
            ] {
                let expected = usize::try_from(exceeded_for).ok().and_then(|at| met.get(at));
                let expected = float(expected.copied().unwrap_or(0)) * 1_000.0;
                // A moment is a millisecond; the histogram keeps three digits.
                assert!((found - expected).abs() <= 3_000.0, "{found} for {expected}: {gaps:?}");
            }
        }
    }
}
