//! When each record of a run with a rate is to be sent.

use std::time::Duration;

use crate::clock::Started;

/// A schedule: so many a second, evenly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    per_second: u64,
    /// The first record of this writer, and how many writers take turns.
    first: u64,
    step: u64,
}

impl Pace {
    /// The schedule of writer `index` of `writers` that together send `per_second`.
    pub(super) const fn new(per_second: u64, index: u64, writers: u64) -> Self {
        Self { per_second, first: index, step: writers }
    }

    /// When this writer's record number `sent` is due, counted from the start.
    pub(super) fn due(&self, sent: u64) -> Duration {
        let number = u128::from(self.first) + u128::from(sent) * u128::from(self.step);
        let nanos = number * 1_000_000_000 / u128::from(self.per_second.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Keeps a thread until `due`, to a few microseconds: the runtime's timers know only milliseconds.
pub(super) fn wait_until(started: Started, due: Duration) {
    while let Some(left) = due.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

/// Asks the kernel to wake this thread when it is due, not when it suits; it may say no.
pub(super) fn be_punctual() {
    _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_take_turns_and_late_records_stay_due_when_they_were() {
        let [even, odd] = [0, 1].map(|index| Pace::new(1_000, index, 2));
        assert_eq!(even.due(0), Duration::ZERO);
        assert_eq!(odd.due(0), Duration::from_millis(1));
        assert_eq!(even.due(500), Duration::from_secs(1));
        assert_eq!(odd.due(500), Duration::from_millis(1_001));
        // A day at a rate that divides nothing evenly.
        let odd_rate = Pace::new(7, 0, 1);
        assert_eq!(odd_rate.due(7 * 86_400), Duration::from_hours(24));
    }
}
