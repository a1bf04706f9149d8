//! The broker's two clocks: a monotonic one for deadlines, a wall clock for timestamps.
//!
//! Owns every reading of the time in this package; everything else is handed the time. No order of
//! records, epochs or leaders is ever decided by the wall clock.

use std::fmt::{self, Debug};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use thalweg_protocol::TimestampMs;

/// A moment that never goes back, counted from a start that differs from process to process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Monotonic(Duration);

impl Monotonic {
    /// The clock's own start.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The moment this long after the clock's start.
    pub const fn new(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// The moment this many milliseconds after the clock's start.
    pub const fn from_ms(since_start_ms: u64) -> Self {
        Self(Duration::from_millis(since_start_ms))
    }

    /// How long after the clock's start.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// The moment `duration` later; the last one that can be told stays.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }

    /// How long from `earlier` to here; zero when `earlier` is the later one.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Monotonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Tells the time: the real one, or one that a test sets.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The monotonic time: for deadlines and durations.
    fn now(&self) -> Monotonic;

    /// The wall clock's time: for what people and producers see.
    fn wall(&self) -> TimestampMs;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[expect(clippy::disallowed_methods, reason = "the package's one clock file")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Monotonic {
        Monotonic(self.started.elapsed())
    }

    #[expect(clippy::disallowed_methods, reason = "the package's one clock file")]
    fn wall(&self) -> TimestampMs {
        // A machine whose clock stands before 1970 gets 1970: such a clock is wrong anyway.
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        TimestampMs::new(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still until it is told to move: tests and the simulator.
#[derive(Debug)]
pub struct ManualClock {
    time: Mutex<(Monotonic, TimestampMs)>,
}

impl ManualClock {
    /// A clock at its start, with the wall clock at `wall`.
    pub const fn new(wall: TimestampMs) -> Self {
        Self { time: Mutex::new((Monotonic::ZERO, wall)) }
    }

    /// Moves both clocks on.
    pub fn advance(&self, duration: Duration) {
        let mut time = self.lock();
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        *time = (time.0.plus(duration), time.1.plus(ms));
    }

    /// Sets the wall clock alone, forwards or back, as an operator or a time server may.
    pub fn set_wall(&self, wall: TimestampMs) {
        self.lock().1 = wall;
    }

    fn lock(&self) -> MutexGuard<'_, (Monotonic, TimestampMs)> {
        // Two copied numbers are whole whoever panicked while holding them.
        self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Monotonic {
        self.lock().0
    }

    fn wall(&self) -> TimestampMs {
        self.lock().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(TimestampMs::new(1_000));
        assert_eq!(clock.now(), Monotonic::ZERO);
        clock.advance(Duration::from_millis(250));
        assert_eq!((clock.now(), clock.wall()), (Monotonic::from_ms(250), TimestampMs::new(1_250)));
        clock.set_wall(TimestampMs::new(7));
        assert_eq!((clock.now(), clock.wall()), (Monotonic::from_ms(250), TimestampMs::new(7)));
    }

    #[test]
    fn the_machines_clock_never_goes_back_and_knows_its_century() {
        let clock = SystemClock::new();
        let first = clock.now();
        assert!(clock.now() >= first);
        assert!(clock.wall() > TimestampMs::new(1_700_000_000_000));
    }

    #[test]
    fn durations_between_moments_stop_at_zero() {
        let (early, late) = (Monotonic::from_ms(10), Monotonic::from_ms(35));
        assert_eq!(late.since(early), Duration::from_millis(25));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
