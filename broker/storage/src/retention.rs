//! Which segments of a log are too old or too many.
//!
//! Pure: told what the segments are and what time it is, it says how many of the oldest may go. Only whole
//! segments go, oldest first; never one that reaches above the high watermark, and the active one only when
//! asked for.

use thalweg_protocol::{Offset, TimestampMs};

/// What retention has to know of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentAge {
    /// The offset after its last record.
    pub end: Offset,
    /// Bytes of its log file.
    pub bytes: u64,
    /// Its largest timestamp; [`TimestampMs::NONE`] without records.
    pub largest_timestamp: TimestampMs,
    /// When it was last appended to, by the broker's clock.
    pub last_append: TimestampMs,
}

impl SegmentAge {
    /// From when on its age counts: records from 2001 that are published today stay a week.
    fn newest(&self) -> TimestampMs {
        self.largest_timestamp.max(self.last_append)
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionLimits {
    /// Milliseconds after which a segment goes (`retention.ms`); `None` for ever.
    pub ms: Option<i64>,
    /// At least so many of the newest bytes stay (`retention.bytes`); `None` all.
    pub bytes: Option<u64>,
}

/// Whether the active segment, the last one, may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActiveSegment {
    /// It stays.
    Stays,
    /// It may go; the caller rolls first.
    MayGo,
}

/// Where the log stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionState {
    /// Segments that end at or below it go.
    pub log_start: Offset,
    /// Segments that end above it stay, whatever their age.
    pub high_watermark: Offset,
    /// The broker's clock.
    pub now: TimestampMs,
}

/// Why a segment may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// All of it is below the log start.
    BelowLogStart,
    /// It is older than `retention.ms`.
    Age,
    /// Those after it hold `retention.bytes` already.
    Size,
}

/// Why each of the oldest segments may go, oldest first: as many as the answer is long. `segments` are all
/// segments of a log, oldest first, the active one last.
pub fn expired(
    segments: &[SegmentAge],
    limits: &RetentionLimits,
    state: &RetentionState,
    active: ActiveSegment,
) -> Vec<Expired> {
    let candidates = match (active, segments.split_last()) {
        (ActiveSegment::Stays, Some((_, older))) => older,
        _ => segments,
    };
    let mut bytes_left: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let mut reasons = Vec::new();
    for segment in candidates {
        bytes_left -= segment.bytes;
        match reason(segment, bytes_left, limits, state) {
            Some(reason) if segment.end <= state.high_watermark => reasons.push(reason),
            _ => break,
        }
    }
    reasons
}

/// Why `segment` may go when `bytes_after` bytes come after it.
fn reason(
    segment: &SegmentAge,
    bytes_after: u64,
    limits: &RetentionLimits,
    state: &RetentionState,
) -> Option<Expired> {
    let age_ms = state.now.since(segment.newest());
    if segment.end <= state.log_start {
        Some(Expired::BelowLogStart)
    } else if limits.ms.is_some_and(|ms| age_ms > ms) {
        Some(Expired::Age)
    } else if limits.bytes.is_some_and(|bytes| bytes_after >= bytes) {
        Some(Expired::Size)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments of ten records and 100 bytes each; their times are given as (largest timestamp, last append).
    fn segments(times: &[(i64, i64)]) -> Vec<SegmentAge> {
        let segments = times.iter().zip(1..);
        segments
            .map(|(&(largest, append), number)| SegmentAge {
                end: Offset::new(number * 10),
                bytes: 100,
                largest_timestamp: TimestampMs::new(largest),
                last_append: TimestampMs::new(append),
            })
            .collect()
    }

    const KEEP: RetentionLimits = RetentionLimits { ms: None, bytes: None };

    fn state(log_start: i64, high_watermark: i64, now: i64) -> RetentionState {
        RetentionState {
            log_start: Offset::new(log_start),
            high_watermark: Offset::new(high_watermark),
            now: TimestampMs::new(now),
        }
    }

    fn stays(
        segments: &[SegmentAge],
        limits: RetentionLimits,
        state: RetentionState,
    ) -> Vec<Expired> {
        expired(segments, &limits, &state, ActiveSegment::Stays)
    }

    #[test]
    fn age_counts_from_the_later_of_timestamp_and_append() {
        let week = RetentionLimits { ms: Some(100), ..KEEP };
        let all = segments(&[(1, 50), (60, 50), (-1, 900), (950, 950)]);
        assert_eq!(stays(&all, week, state(0, 40, 150)), [], "exactly as old as allowed");
        assert_eq!(stays(&all, week, state(0, 40, 151)), [Expired::Age]);
        assert_eq!(stays(&all, week, state(0, 40, 161)), [Expired::Age; 2]);
        let old_records = segments(&[(-5_000_000, 900), (2, 950)]);
        assert_eq!(stays(&old_records, week, state(0, 20, 1000)), [], "published today");
    }

    #[test]
    fn a_younger_segment_protects_those_behind_it() {
        let week = RetentionLimits { ms: Some(100), ..KEEP };
        let all = segments(&[(900, 1), (1, 1), (1, 1)]);
        assert_eq!(stays(&all, week, state(0, 30, 950)), []);
    }

    #[test]
    fn the_newest_bytes_stay() {
        let all = segments(&[(1, 1); 5]);
        let keep =
            |bytes| stays(&all, RetentionLimits { bytes: Some(bytes), ..KEEP }, state(0, 50, 2));
        assert_eq!(keep(500), []);
        assert_eq!(keep(401), []);
        assert_eq!(keep(400), [Expired::Size]);
        assert_eq!(keep(399), [Expired::Size]);
        assert_eq!(keep(300), [Expired::Size; 2]);
        assert_eq!(keep(0), [Expired::Size; 4], "the active segment stays");
    }

    #[test]
    fn segments_below_the_log_start_go() {
        let all = segments(&[(1, 1); 4]);
        assert_eq!(stays(&all, KEEP, state(19, 40, 2)), [Expired::BelowLogStart]);
        assert_eq!(stays(&all, KEEP, state(20, 40, 2)), [Expired::BelowLogStart; 2]);
    }

    #[test]
    fn nothing_above_the_high_watermark_goes() {
        let all = segments(&[(1, 1); 4]);
        let strict = RetentionLimits { ms: Some(0), bytes: Some(0) };
        assert_eq!(stays(&all, strict, state(0, 9, 1000)), []);
        assert_eq!(stays(&all, strict, state(0, 10, 1000)), [Expired::Age]);
        assert_eq!(stays(&all, strict, state(0, 29, 1000)), [Expired::Age; 2]);
    }

    #[test]
    fn the_active_segment_goes_only_when_asked_for() {
        let all = segments(&[(1, 1); 2]);
        let strict = RetentionLimits { ms: Some(0), ..KEEP };
        let now = state(0, 20, 1000);
        assert_eq!(expired(&all, &strict, &now, ActiveSegment::Stays), [Expired::Age]);
        assert_eq!(expired(&all, &strict, &now, ActiveSegment::MayGo), [Expired::Age; 2]);
        assert_eq!(expired(&[], &strict, &now, ActiveSegment::Stays), []);
    }
}
