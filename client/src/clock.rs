//! The one file of this package that reads clocks: a monotonic one for deadlines, the wall clock for
//! the timestamps of records.

use std::time::Duration;

use thalweg_protocol::TimestampMs;
pub(crate) use tokio::time::Instant;

/// The monotonic time: deadlines, back-off and linger are counted by it.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock: the timestamp of a record that brings none. Decides no order.
///
/// On Linux from the coarse clock, which is at most one tick of the kernel (1 to 4 ms) behind and costs a tenth
/// of the exact one: on the way of every record that is the difference between 5 and 40 ns.
#[cfg(target_os = "linux")]
pub(crate) fn wall_clock() -> TimestampMs {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    let ms = time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000);
    TimestampMs::new(ms)
}

/// The wall clock: the timestamp of a record that brings none. Decides no order.
#[cfg(not(target_os = "linux"))]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the client reads the wall clock"
)]
pub(crate) fn wall_clock() -> TimestampMs {
    let since_1970 =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    TimestampMs::new(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}

/// Whole milliseconds of `duration`, at most `u32::MAX`: how durations stand on the wire.
pub(crate) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the exact clock is the control")]
    fn the_wall_clock_tells_the_time_to_a_few_milliseconds() {
        let exact = || {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            i64::try_from(since.unwrap().as_millis()).unwrap()
        };
        // Where the machine itself stood still, its coarse clock is behind until the next tick, and a slow look says nothing.
        let deadline = now() + Duration::from_secs(10);
        loop {
            let (before, told, after) = (exact(), wall_clock().get(), exact());
            if after - before < 2 && (before - 20..=after).contains(&told) {
                return;
            }
            assert!(now() < deadline, "{before} {told} {after}");
        }
    }
}
