//! The one file of this package that reads clocks: a monotonic one for deadlines, the wall clock for
//! the timestamps of records.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thalweg_protocol::TimestampMs;
pub(crate) use tokio::time::Instant;

/// The monotonic time: deadlines, back-off and linger are counted by it.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock: the timestamp of a record that brings none. Decides no order.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the client reads the wall clock"
)]
pub(crate) fn wall_clock() -> TimestampMs {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    TimestampMs::new(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}

/// Whole milliseconds of `duration`, at most `u32::MAX`: how durations stand on the wire.
pub(crate) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
