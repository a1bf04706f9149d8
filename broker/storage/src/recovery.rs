//! What a restart believes of a log: a table of cases, and nothing else.
//!
//! ```text
//!      below the recovery point         above
//!     |batch|batch|batch|  ...  |batch|batch|bad  |batch|
//!                                ^ recovery point  ^ good, but behind a hole: pages reach a disk in any order
//! ```
//!
//! Owns the decision at each step of the walk over a log that is opened. Touches no file: `recover.rs` looks and
//! carries out. What was synced is never cut: below the recovery point, and everywhere after a clean stop,
//! damage is corruption and becomes a bad range. Above it damage is the torn tail of a crash.

use crate::defects::{Defect, planted};

/// How the log was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// With the clean mark: everything was synced.
    Clean,
    /// By a crash.
    Crash,
}

/// Where the walk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Below the recovery point: what was here was synced.
    Below,
    /// At or above it.
    Above,
}

/// What lies where the walk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A batch that continues the log; above the recovery point with a good checksum.
    Batch,
    /// The end of the segment, or bytes that the next segment's base offset rules out.
    End,
    /// Something else.
    Bad,
}

/// What comes behind the place where the log does not continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// No good batch.
    Nothing,
    /// At least one.
    Good,
}

/// The next segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// There is none.
    Missing,
    /// It begins where the walk stands.
    Follows,
    /// It begins further on.
    Later,
}

/// The conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) stop: Stop,
    pub(crate) place: Place,
    pub(crate) seen: Seen,
    pub(crate) after: After,
    pub(crate) next: Next,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The batch belongs to the log.
    Keep,
    /// Go on in the next segment.
    NextSegment,
    /// The log ends here and is whole.
    Finish,
    /// Corruption: a bad range up to the next good batch of this segment.
    QuarantineToGood,
    /// Corruption: a bad range up to the next segment.
    QuarantineToNextSegment,
    /// Corruption: a bad range up to the recovery point, where a new segment begins. No offset that was given
    /// out is given out again.
    ResumeAtRecoveryPoint,
    /// The torn tail of a crash: cut it, after copying it aside.
    CutTail,
    /// The same, but good batches are among what is cut: the replica may have lost a suffix.
    CutTailAndMark,
}

/// One row: conditions, where `None` means any, and the decision.
struct Row {
    stop: Option<Stop>,
    place: Option<Place>,
    seen: Seen,
    after: Option<After>,
    next: Option<Next>,
    decision: Decision,
}

macro_rules! rows {
    ($($stop:tt $place:tt $seen:tt $after:tt $next:tt => $decision:ident;)+) => {
        &[$(Row {
            stop: rows!(@ Stop $stop),
            place: rows!(@ Place $place),
            seen: Seen::$seen,
            after: rows!(@ After $after),
            next: rows!(@ Next $next),
            decision: Decision::$decision,
        },)+]
    };
    (@ $kind:ident _) => { None };
    (@ $kind:ident $value:ident) => { Some($kind::$value) };
}

/// Each case has exactly one row.
const ROWS: &[Row] = rows! {
    // stop  place seen  after   next
    _        _     Batch _       _       => Keep;
    _        _     End   _       Follows => NextSegment;
    _        Above End   _       Missing => Finish;
    _        Below End   _       Missing => ResumeAtRecoveryPoint;
    _        Below End   _       Later   => QuarantineToNextSegment;
    Clean    Above End   _       Later   => QuarantineToNextSegment;
    Crash    Above End   Nothing Later   => CutTail;
    Crash    Above End   Good    Later   => CutTailAndMark;
    // What lies at or past the next segment's base offset was cut off before: the next segment counts.
    _        _     Bad   _       Follows => NextSegment;
    _        Below Bad   Good    Missing => QuarantineToGood;
    _        Below Bad   Good    Later   => QuarantineToGood;
    _        Below Bad   Nothing Later   => QuarantineToNextSegment;
    _        Below Bad   Nothing Missing => ResumeAtRecoveryPoint;
    Clean    Above Bad   Good    Missing => QuarantineToGood;
    Clean    Above Bad   Good    Later   => QuarantineToGood;
    Clean    Above Bad   Nothing Later   => QuarantineToNextSegment;
    // Nobody knows how far the damaged bytes went: they count as a lost suffix.
    Clean    Above Bad   Nothing Missing => CutTailAndMark;
    Crash    Above Bad   Nothing Missing => CutTail;
    Crash    Above Bad   Nothing Later   => CutTail;
    Crash    Above Bad   Good    Missing => CutTailAndMark;
    Crash    Above Bad   Good    Later   => CutTailAndMark;
};

impl Row {
    fn covers(&self, case: Case) -> bool {
        self.stop.is_none_or(|stop| stop == case.stop)
            && self.place.is_none_or(|place| place == case.place)
            && self.seen == case.seen
            && self.after.is_none_or(|after| after == case.after)
            && self.next.is_none_or(|next| next == case.next)
    }
}

/// What is done in this case.
pub(crate) fn decide(case: Case) -> Decision {
    let row = ROWS.iter().find(|row| row.covers(case));
    let decision = row.expect("every case has its row, as the test below shows").decision;
    let quarantines = matches!(
        decision,
        Decision::QuarantineToGood
            | Decision::QuarantineToNextSegment
            | Decision::ResumeAtRecoveryPoint
    );
    if quarantines && planted(Defect::CutBelowRecoveryPoint) {
        return Decision::CutTail;
    }
    decision
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_cases() -> Vec<Case> {
        let mut cases = Vec::new();
        for stop in [Stop::Clean, Stop::Crash] {
            for place in [Place::Below, Place::Above] {
                for seen in [Seen::Batch, Seen::End, Seen::Bad] {
                    for after in [After::Nothing, After::Good] {
                        for next in [Next::Missing, Next::Follows, Next::Later] {
                            cases.push(Case { stop, place, seen, after, next });
                        }
                    }
                }
            }
        }
        cases
    }

    #[test]
    fn every_case_has_exactly_one_row() {
        let cases = all_cases();
        assert_eq!(cases.len(), 72);
        for case in cases {
            let rows = ROWS.iter().filter(|row| row.covers(case)).count();
            assert_eq!(rows, 1, "{case:?}");
        }
    }

    #[test]
    fn every_row_is_needed() {
        let cases = all_cases();
        for (at, row) in ROWS.iter().enumerate() {
            assert!(cases.iter().any(|case| row.covers(*case)), "row {at}");
        }
    }

    #[test]
    fn nothing_that_was_synced_is_ever_cut() {
        for case in all_cases().into_iter().filter(|case| case.place == Place::Below) {
            let decision = decide(case);
            let cuts = matches!(decision, Decision::CutTail | Decision::CutTailAndMark);
            assert!(!cuts, "{case:?} gives {decision:?}");
        }
    }

    #[test]
    fn a_cut_with_good_batches_in_it_marks_the_replica() {
        for case in all_cases() {
            if decide(case) == Decision::CutTail {
                assert_eq!((case.after, case.stop), (After::Nothing, Stop::Crash), "{case:?}");
            }
        }
    }

    #[test]
    fn after_a_crash_the_log_ends_at_the_first_bad_batch_above_the_recovery_point() {
        for case in all_cases() {
            let bad = case.seen == Seen::Bad && case.next != Next::Follows;
            if bad && case.place == Place::Above && case.stop == Stop::Crash {
                let cuts = [Decision::CutTail, Decision::CutTailAndMark];
                assert!(cuts.contains(&decide(case)), "{case:?}");
            }
        }
    }
}
