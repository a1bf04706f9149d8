//! When to try again: pauses that grow and are partly random, and a breaker for each broker.
//!
//! Pure: time and chance are handed in.

use std::time::Duration;

use crate::clock::Instant;

/// Pauses between attempts: doubling from `first` up to `max`, the upper half of each random, so that
/// clients which failed together do not come back together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, failures: 0 }
    }

    /// The pause after one more failure; `chance` is from 0 to 1.
    pub(crate) fn next(&mut self, chance: f64) -> Duration {
        let factor = 1_u32.checked_shl(self.failures.min(20)).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let pause = self.first.saturating_mul(factor).min(self.max);
        (pause / 2).saturating_add((pause / 2).mul_f64(chance.clamp(0.0, 1.0)))
    }

    /// It worked: the next pause is the first one again.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Leaves a broker alone that fails repeatedly.
///
/// - `Closed -> Open`: so many failures in a row.
/// - `Open -> HalfOpen`: the rest is over; one attempt is let through.
/// - `HalfOpen -> Closed`: the attempt worked. `HalfOpen -> Open`: it failed.
#[derive(Clone, Debug)]
pub(crate) struct Breaker {
    failures_max: u32,
    rest: Duration,
    failures: u32,
    open_until: Option<Instant>,
    last: String,
}

impl Breaker {
    pub(crate) const fn new(failures_max: u32, rest: Duration) -> Self {
        Self { failures_max, rest, failures: 0, open_until: None, last: String::new() }
    }

    /// How long the broker is still to be left alone; none lets the caller try. Letting one through
    /// starts the rest again, so that others keep away until its outcome is known.
    pub(crate) fn resting(&mut self, now: Instant) -> Option<Duration> {
        let until = self.open_until?;
        if now < until {
            return Some(until - now);
        }
        self.open_until = Some(now + self.rest);
        None
    }

    /// The broker failed; `chance` is from 0 to 1 and stretches the rest.
    pub(crate) fn failed(&mut self, why: String, now: Instant, chance: f64) {
        self.failures = self.failures.saturating_add(1);
        self.last = why;
        if self.failures >= self.failures_max {
            self.open_until = Some(now + self.rest / 2 + (self.rest / 2).mul_f64(chance));
        }
    }

    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }

    pub(crate) fn last(&self) -> &str {
        &self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn pauses_double_up_to_the_longest_and_half_of_each_is_random() {
        let mut backoff = Backoff::new(20 * MS, 100 * MS);
        assert_eq!(backoff.next(1.0), 20 * MS);
        assert_eq!(backoff.next(1.0), 40 * MS);
        assert_eq!(backoff.next(0.0), 40 * MS);
        assert_eq!(backoff.next(1.0), 100 * MS);
        for _ in 0..100 {
            assert_eq!(backoff.next(0.5), 75 * MS);
        }
        backoff.reset();
        assert_eq!(backoff.next(0.0), 10 * MS);
    }

    #[test]
    fn a_broker_that_fails_repeatedly_is_left_alone_and_then_tried_once() {
        let mut breaker = Breaker::new(2, 100 * MS);
        let start = now();
        breaker.failed("refused".to_owned(), start, 1.0);
        assert_eq!(breaker.resting(start), None);
        breaker.failed("refused again".to_owned(), start, 1.0);
        assert_eq!(breaker.resting(start), Some(100 * MS));
        assert_eq!(breaker.resting(start + 60 * MS), Some(40 * MS));
        let over = start + 100 * MS;
        assert_eq!(breaker.resting(over), None, "one is let through");
        assert_eq!(breaker.resting(over), Some(100 * MS), "the others wait");
        assert_eq!(breaker.last(), "refused again");
    }
}
