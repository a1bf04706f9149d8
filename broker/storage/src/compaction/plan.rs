//! What of a log is compacted, and whether it is worth it by now.
//!
//! Pure: told what the segments are and what time it is. Only whole closed segments below the committed and
//! synced end are touched, and of those not compacted yet only such as have lain for the minimum lag.

use thalweg_protocol::{Offset, TimestampMs};

use crate::defects::{Defect, planted};

/// Parts per million: ratios are whole numbers, so that settings can be compared.
const MILLION: u64 = 1_000_000;

/// How a log is compacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactionOptions {
    /// The share of the log's bytes that must not be compacted yet for a run to be due, in millionths
    /// (`min.cleanable.dirty.ratio`).
    pub dirty_ppm_min: u32,
    /// A record stays at least so long (`min.compaction.lag.ms`).
    pub lag_ms_min: i64,
    /// A run is due when a record has waited for so long (`max.compaction.lag.ms`).
    pub lag_ms_max: i64,
    /// A tombstone stays so long after the run that took away what is older (`delete.retention.ms`).
    pub delete_retention_ms: i64,
}

impl Default for CompactionOptions {
    fn default() -> Self {
        Self {
            dirty_ppm_min: 500_000,
            lag_ms_min: 0,
            lag_ms_max: i64::MAX,
            delete_retention_ms: 24 * 60 * 60 * 1000,
        }
    }
}

impl CompactionOptions {
    /// Half of the largest lag: a segment is open for so long at most, and lies closed for so long at most.
    pub const fn lag_ms_half(&self) -> i64 {
        self.lag_ms_max / 2
    }
}

/// What is to be known of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentState {
    pub(crate) base: Offset,
    /// Where the next one begins.
    pub(crate) end: Offset,
    pub(crate) bytes: u64,
    /// Its largest timestamp, or when it was last appended to, if that is later.
    pub(crate) newest: TimestampMs,
    /// When it was last appended to.
    pub(crate) last_append: TimestampMs,
}

/// Where the log stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogState {
    /// Below it everything was compacted.
    pub(crate) cleaned_end: Offset,
    /// Below it everything is committed and synced.
    pub(crate) stable_end: Offset,
    /// The broker's clock.
    pub(crate) now: TimestampMs,
}

/// What a run would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactionPlan {
    /// The keys from here on are looked at.
    pub from: Offset,
    /// The run ends here.
    pub end: Offset,
    /// Bytes of the segments below `end` that were compacted before.
    pub clean_bytes: u64,
    /// Bytes of the others below `end`.
    pub dirty_bytes: u64,
    /// The topic's settings ask for the run.
    pub is_due: bool,
}

impl CompactionPlan {
    /// The share of the bytes that was not compacted yet, in millionths.
    pub fn dirty_ppm(&self) -> u32 {
        let all = self.clean_bytes.saturating_add(self.dirty_bytes);
        let share = u128::from(self.dirty_bytes) * u128::from(MILLION);
        share.checked_div(u128::from(all)).and_then(|ppm| u32::try_from(ppm).ok()).unwrap_or(0)
    }
}

/// Plans a run over `segments`, all of the log, oldest first, the active one last. With `asked` somebody asked for
/// it: then everything that may be compacted is, whatever its age.
pub(crate) fn plan(
    segments: &[SegmentState],
    options: &CompactionOptions,
    log: &LogState,
    asked: bool,
) -> CompactionPlan {
    let closed = segments.split_last().map_or(&[][..], |(_, closed)| closed);
    let start = segments.first().map_or(Offset::ZERO, |first| first.base);
    let cleaned = log.cleaned_end.max(start);
    let mut plan = CompactionPlan { from: cleaned, end: start, ..CompactionPlan::default() };
    for segment in closed {
        let is_dirty = segment.end > cleaned;
        let is_young = log.now.since(segment.newest) < options.lag_ms_min;
        let is_stable = segment.end <= log.stable_end || planted(Defect::CompactAboveStableEnd);
        if !is_stable || (is_dirty && is_young && !asked) {
            break;
        }
        plan.end = segment.end;
        if is_dirty {
            plan.dirty_bytes += segment.bytes;
            plan.is_due |= log.now.since(segment.last_append) >= options.lag_ms_half();
        } else {
            plan.clean_bytes += segment.bytes;
        }
    }
    plan.from = plan.from.min(plan.end);
    plan.is_due |= plan.dirty_bytes > 0 && plan.dirty_ppm() >= options.dirty_ppm_min;
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: CompactionOptions = CompactionOptions {
        dirty_ppm_min: 500_000,
        lag_ms_min: 0,
        lag_ms_max: i64::MAX,
        delete_retention_ms: 100,
    };

    /// Segments of ten offsets and so many bytes each, last appended to at 100, 200, and so on.
    fn segments(bytes: &[u64]) -> Vec<SegmentState> {
        let segment = |(base, (bytes, at)): (i64, (&u64, i64))| SegmentState {
            base: Offset::new(base),
            end: Offset::new(base + 10),
            bytes: *bytes,
            newest: TimestampMs::new(at),
            last_append: TimestampMs::new(at),
        };
        (0..).step_by(10).zip(bytes.iter().zip((100..).step_by(100))).map(segment).collect()
    }

    fn log(cleaned_end: i64, stable_end: i64, now: i64) -> LogState {
        LogState {
            cleaned_end: Offset::new(cleaned_end),
            stable_end: Offset::new(stable_end),
            now: TimestampMs::new(now),
        }
    }

    fn check(bytes: &[u64], options: &CompactionOptions, log: &LogState) -> (i64, i64, u64, bool) {
        let plan = plan(&segments(bytes), options, log, false);
        (plan.from.get(), plan.end.get(), plan.dirty_bytes, plan.is_due)
    }

    #[test]
    fn a_log_is_due_when_its_dirty_share_is_reached() {
        assert_eq!(check(&[5, 5, 1], &OPTIONS, &log(10, 30, 999)), (10, 20, 5, true));
        assert_eq!(check(&[6, 5, 1], &OPTIONS, &log(10, 30, 999)), (10, 20, 5, false));
        assert_eq!(check(&[6, 5, 1], &OPTIONS, &log(0, 30, 999)), (0, 20, 11, true));
        assert_eq!(check(&[6, 5, 1], &OPTIONS, &log(20, 30, 999)), (20, 20, 0, false));
        let any = CompactionOptions { dirty_ppm_min: 0, ..OPTIONS };
        assert!(!check(&[6, 5, 1], &any, &log(20, 30, 999)).3, "nothing is dirty");
        let all = CompactionOptions { dirty_ppm_min: 1_000_000, ..OPTIONS };
        assert!(check(&[6, 5, 1], &all, &log(0, 30, 999)).3);
        assert!(!check(&[6, 5, 1], &all, &log(10, 30, 999)).3);
    }

    #[test]
    fn the_active_segment_and_what_is_not_stable_stay() {
        assert_eq!(check(&[5], &OPTIONS, &log(0, 10, 999)), (0, 0, 0, false));
        assert_eq!(check(&[], &OPTIONS, &log(0, 0, 999)), (0, 0, 0, false));
        assert_eq!(check(&[5, 5, 5, 1], &OPTIONS, &log(0, 29, 999)), (0, 20, 10, true));
        assert_eq!(check(&[5, 5, 5, 1], &OPTIONS, &log(0, 9, 999)), (0, 0, 0, false));
        let part = check(&[5, 5, 5, 1], &OPTIONS, &log(25, 29, 999));
        assert_eq!(part, (20, 20, 0, false), "what was compacted may not be stable any more");
    }

    #[test]
    fn young_segments_wait_for_the_smallest_lag() {
        let options = CompactionOptions { lag_ms_min: 50, ..OPTIONS };
        assert_eq!(check(&[5, 5, 5, 1], &options, &log(0, 40, 249)), (0, 10, 5, true));
        assert_eq!(check(&[5, 5, 5, 1], &options, &log(0, 40, 250)), (0, 20, 10, true));
        let asked = plan(&segments(&[5, 5, 5, 1]), &options, &log(0, 40, 249), true);
        assert_eq!(asked.end, Offset::new(30));
        let again = check(&[5, 5, 5, 1], &options, &log(20, 40, 249));
        assert_eq!(again, (20, 20, 0, false), "what is clean may be young");
    }

    #[test]
    fn a_log_is_due_when_a_record_has_waited_for_the_largest_lag() {
        let options = CompactionOptions { lag_ms_max: 100, ..OPTIONS };
        assert!(!check(&[99, 5, 1], &options, &log(10, 30, 249)).3);
        assert!(check(&[99, 5, 1], &options, &log(10, 30, 250)).3);
        assert!(!check(&[99, 5, 1], &options, &log(20, 30, 999)).3, "nothing is dirty");
    }
}
