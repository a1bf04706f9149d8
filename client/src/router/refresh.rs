//! When metadata is asked for again: one such value for each producer and each consumer.
//!
//! It is told what is wanted and what came back, and says in every turn of its owner what to do. Nobody waits for the
//! answer: all else goes on meanwhile, and the answer is an event. Pure: time and chance are handed in, nothing is sent.
//!
//! - `Content -> Wanted`: somebody lacks a leader, or what is known is old.
//! - `Wanted -> Asked`: the pause after the last answer is over.
//! - `Asked -> Content`: an answer came. `Asked -> Wanted`: none came, or somebody has wanted one since: the answer may be
//!   older than that wish.
//!
//! While an answer is on its way nothing is asked for and no moment is named, however old is what is known: it stays old
//! until the answer comes, and who woke because of it would wake again at once.
//!
//! There is a pause after an answer, too: it may name the same leader again, which needs its time. Pauses grow until one of
//! the leaders named does what is asked of it.

use std::time::Duration;

use crate::clock::Instant;
use crate::error::CallError;
use crate::retry::Backoff;

/// What is to be done in this turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Ask now, and tell [`Refresh::answered`] of the answer.
    Ask,
    /// Nothing before then.
    Sleep { until: Instant },
    /// Nothing until something is wanted or the answer comes.
    Rest,
}

/// When metadata is asked for again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refresh {
    age_max: Duration,
    backoff: Backoff,
    is_wanted: bool,
    is_asked: bool,
    not_before: Instant,
}

impl Refresh {
    /// What is older than `age_max` is asked for again though nobody lacks anything.
    pub(crate) const fn new(age_max: Duration, backoff: Backoff, begun: Instant) -> Self {
        Self { age_max, backoff, is_wanted: false, is_asked: false, not_before: begun }
    }

    /// Something is not known, or is known wrongly.
    pub(crate) const fn want(&mut self) {
        self.is_wanted = true;
    }

    /// What to do now; `refreshed` is when the last answer came, whoever asked.
    pub(crate) fn turn(&mut self, refreshed: Option<Instant>, now: Instant) -> Turn {
        if self.is_asked {
            return Turn::Rest;
        }
        if !self.is_wanted {
            match refreshed.map(|at| at + self.age_max) {
                None => return Turn::Rest,
                Some(old_at) if now < old_at => return Turn::Sleep { until: old_at },
                Some(_) => self.is_wanted = true,
            }
        }
        if now < self.not_before {
            return Turn::Sleep { until: self.not_before };
        }
        (self.is_asked, self.is_wanted) = (true, false);
        Turn::Ask
    }

    /// The answer came, or none did: then it is wanted still. `chance` is from 0 to 1.
    pub(crate) fn answered(&mut self, answer: &Result<(), CallError>, now: Instant, chance: f64) {
        self.is_asked = false;
        self.is_wanted |= answer.is_err();
        self.not_before = now + self.backoff.next(chance);
    }

    /// A leader did what was asked of it: the next pause is the first one again.
    pub(crate) const fn confirmed(&mut self) {
        self.backoff.reset();
    }

    /// Whether an answer is on its way.
    #[cfg(test)]
    pub(crate) const fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// When the pause after the last answer is over.
    #[cfg(test)]
    pub(crate) const fn not_before(&self) -> Instant {
        self.not_before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    const MS: Duration = Duration::from_millis(1);
    const OLD: Duration = Duration::from_mins(5);
    const FAILED: Result<(), CallError> = Err(CallError::NoLeader);

    /// Pauses of 20, 40, 80 and then 100 ms, with a chance of 1.
    fn refresh(begun: Instant) -> Refresh {
        Refresh::new(OLD, Backoff::new(20 * MS, 100 * MS), begun)
    }

    /// The same with a question under way.
    fn asked(begun: Instant) -> Refresh {
        let mut refresh = refresh(begun);
        refresh.want();
        assert_eq!(refresh.turn(Some(begun), begun), Turn::Ask);
        refresh
    }

    const fn sleep(until: Instant) -> Turn {
        Turn::Sleep { until }
    }

    #[test]
    fn what_is_known_is_asked_for_when_somebody_wants_it_or_it_is_old() {
        let begun = now();
        let mut one = refresh(begun);
        assert_eq!(one.turn(None, begun), Turn::Rest, "nothing is known, and nobody wants it");
        assert_eq!(one.turn(Some(begun), begun), sleep(begun + OLD));
        assert_eq!(one.turn(Some(begun), begun + OLD - MS), sleep(begun + OLD));
        assert_eq!(one.turn(Some(begun), begun + OLD), Turn::Ask);
        let mut one = refresh(begun);
        one.want();
        assert_eq!(one.turn(None, begun), Turn::Ask);
    }

    /// Metadata was old, its refresh was under way, and the owner was told to wake at once again and again.
    #[test]
    fn while_an_answer_is_on_its_way_nothing_is_asked_for_and_nobody_wakes() {
        let begun = now();
        for refreshed in [None, Some(begun)] {
            let mut one = asked(begun);
            for later in [Duration::ZERO, OLD, OLD * 2] {
                assert_eq!(one.turn(refreshed, begun + later), Turn::Rest, "after {later:?}");
            }
            one.want();
            assert_eq!(one.turn(refreshed, begun + OLD * 3), Turn::Rest, "wanted meanwhile");
        }
    }

    #[test]
    fn a_failed_refresh_is_wanted_again_once_its_pause_is_over() {
        let begun = now();
        let mut one = asked(begun);
        one.answered(&FAILED, begun, 1.0);
        assert_eq!(one.turn(Some(begun), begun), sleep(begun + 20 * MS));
        assert_eq!(one.turn(Some(begun), begun + 19 * MS), sleep(begun + 20 * MS));
        assert_eq!(one.turn(Some(begun), begun + 20 * MS), Turn::Ask);
        assert_eq!(one.turn(Some(begun), begun + 20 * MS), Turn::Rest, "once");
    }

    #[test]
    fn an_answer_is_the_end_of_it_until_it_is_old() {
        let begun = now();
        let mut one = asked(begun);
        let came = begun + MS;
        one.answered(&Ok(()), came, 1.0);
        assert_eq!(one.turn(Some(came), came), sleep(came + OLD), "not wanted again");
        assert_eq!(one.turn(Some(came), came + OLD), Turn::Ask);
    }

    /// That metadata grew old while it was asked for is no wish of its own: it would be asked for twice.
    #[test]
    fn what_grew_old_meanwhile_is_not_asked_for_once_more() {
        let begun = now();
        let mut one = asked(begun);
        let came = begun + OLD * 2;
        assert_eq!(one.turn(Some(begun), came), Turn::Rest);
        one.answered(&Ok(()), came, 1.0);
        assert_eq!(one.turn(Some(came), came), sleep(came + OLD));
    }

    #[test]
    fn who_wants_it_while_an_answer_is_on_its_way_gets_another_one() {
        let begun = now();
        let mut one = asked(begun);
        one.want();
        one.answered(&Ok(()), begun, 1.0);
        assert_eq!(one.turn(Some(begun), begun), sleep(begun + 20 * MS));
        assert_eq!(one.turn(Some(begun), begun + 20 * MS), Turn::Ask);
    }

    #[test]
    fn pauses_grow_after_every_answer_until_a_leader_does_what_is_asked_of_it() {
        let mut at = now();
        let mut one = asked(at);
        let mut pause = |one: &mut Refresh, answer: &Result<(), CallError>| {
            one.answered(answer, at, 1.0);
            one.want();
            let Turn::Sleep { until } = one.turn(Some(at), at) else { panic!("no pause") };
            let pause = until - at;
            at = until;
            assert_eq!(one.turn(Some(at), at), Turn::Ask);
            pause
        };
        assert_eq!(pause(&mut one, &Ok(())), 20 * MS);
        assert_eq!(pause(&mut one, &FAILED), 40 * MS);
        assert_eq!(pause(&mut one, &Ok(())), 80 * MS);
        assert_eq!(pause(&mut one, &FAILED), 100 * MS, "the longest");
        one.confirmed();
        assert_eq!(pause(&mut one, &FAILED), 20 * MS);
    }
}
