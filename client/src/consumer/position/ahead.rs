//! Asking for what follows an answer while that is still arriving.
//!
//! ```text
//!     40 41 42 43 44 45 46 47 48 | 49 50 51 52
//!     ^ fetch from                 ^ ahead          an answer with 40 to 48 is arriving, 49 is asked for
//! ```
//!
//! The two fetches of a partition are told apart by where they begin: the one that begins at `fetch_from` is taken,
//! the one ahead only once that is where the partition stands.

use thalweg_protocol::{LeaderEpoch, Offset};

use super::{Activity, Track};

/// The place behind an answer that is arriving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// Known, and not asked for yet.
    Known { next: Offset, epoch: LeaderEpoch },
    /// A fetch from there is under way.
    Asked { next: Offset },
}

/// Whether to ask for more while answers are arriving: only for a reader that is as fast as its broker, and only if
/// what comes fits in any case. For a slower one, more memory would be touched for the first time, and what it holds
/// would leave the processor's cache.
pub(crate) const fn pays_to_go_ahead(
    buffered_bytes: usize,
    free_bytes: usize,
    fetch_bytes_max: usize,
) -> bool {
    buffered_bytes <= fetch_bytes_max / 4 && free_bytes / 2 >= fetch_bytes_max
}

impl Track {
    /// The answer to its fetch is arriving and ends with a record of `epoch` below `next`.
    pub(crate) fn foresee(&mut self, generation: u64, next: Offset, epoch: LeaderEpoch) -> bool {
        let is_awaited = self.generation == generation && self.under_way == Some(generation);
        if !is_awaited || self.ahead.is_some() || next <= self.fetch_from {
            return false;
        }
        self.ahead = Some(Ahead::Known { next, epoch });
        true
    }

    /// Where to fetch while an answer is arriving, if that is known and wanted.
    pub(crate) fn place_ahead(&self) -> Option<(Offset, LeaderEpoch)> {
        match self.ahead {
            Some(Ahead::Known { next, epoch })
                if self.activity == Activity::Reading
                    && self.under_way == Some(self.generation)
                    && self.stop.is_none_or(|stop| next < stop) =>
            {
                Some((next, epoch))
            }
            _ => None,
        }
    }

    /// A fetch from `offset` is on its way.
    pub(crate) fn asked_for(&mut self, offset: Offset) {
        if self.under_way == Some(self.generation) {
            self.ahead = Some(Ahead::Asked { next: offset });
        } else {
            self.under_way = Some(self.generation);
        }
    }

    /// The fetch from `from` has ended. False if it was the one ahead and what it was to follow is not here yet:
    /// what it brought is of no use.
    pub(crate) fn has_come(&mut self, from: Offset) -> bool {
        if from != self.fetch_from {
            self.ahead = None;
            return false;
        }
        self.under_way = None;
        true
    }

    /// What came was taken: the fetch ahead is the one that is under way, unless it begins elsewhere.
    pub(crate) fn follow(&mut self, generation: u64) {
        let ahead = self.ahead.take();
        if self.generation != generation {
            return;
        }
        match ahead {
            Some(Ahead::Asked { next }) if next == self.fetch_from => {
                self.under_way = Some(self.generation);
            }
            // Whatever it brings was not asked for.
            Some(Ahead::Asked { .. }) => self.outdate(),
            Some(Ahead::Known { .. }) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use thalweg_protocol::{PartitionIndex, TopicId, TopicName};

    use super::*;

    const EPOCH: LeaderEpoch = LeaderEpoch::new(3);

    fn at(offset: i64) -> Offset {
        Offset::new(offset)
    }

    /// A partition at 40 whose fetch is under way.
    fn asked() -> Track {
        let topic = TopicName::new("events").unwrap();
        let mut track = Track::new(&topic, TopicId::NONE, PartitionIndex::new(0), at(40), None);
        track.asked_for(at(40));
        assert_eq!((track.under_way, track.ahead), (Some(0), None));
        track
    }

    /// The same, whose answer is arriving; what follows is asked for.
    fn asked_ahead() -> Track {
        let mut track = asked();
        assert!(track.foresee(0, at(49), EPOCH));
        assert_eq!(track.place_ahead(), Some((at(49), EPOCH)));
        track.asked_for(at(49));
        assert_eq!((track.place_ahead(), track.is_hungry()), (None, false), "both are under way");
        track
    }

    #[test]
    fn the_fetch_ahead_is_the_one_under_way_once_its_place_is_reached() {
        let mut track = asked_ahead();
        assert!(track.has_come(at(40)));
        track.fetch_from = at(49);
        track.follow(0);
        assert_eq!((track.generation, track.under_way, track.ahead), (0, Some(0), None));
        assert!(!track.is_hungry());
        assert!(track.foresee(0, at(60), EPOCH), "its own answer may be looked at");
    }

    /// Answers may come in any order, and what lies between them would be skipped.
    #[test]
    fn what_comes_before_the_answer_that_it_follows_is_not_taken() {
        let mut track = asked_ahead();
        assert!(!track.has_come(at(49)));
        assert_eq!(track.under_way, Some(0), "the first is still awaited");
        assert!(track.has_come(at(40)));
        track.fetch_from = at(49);
        track.follow(0);
        assert!(track.is_hungry(), "it is asked for again");
    }

    #[test]
    fn when_the_answer_does_not_come_or_ends_elsewhere_the_fetch_ahead_is_outdated() {
        for stands_at in [40, 45, 50] {
            let mut track = asked_ahead();
            assert!(track.has_come(at(40)));
            track.fetch_from = at(stands_at);
            track.follow(0);
            assert_eq!((track.generation, track.ahead), (1, None), "at {stands_at}");
            assert!(track.is_hungry());
        }
    }

    #[test]
    fn who_has_enough_to_do_or_little_memory_does_not_go_ahead() {
        let mib = |count: usize| count * 1024 * 1024;
        assert!(pays_to_go_ahead(0, mib(62), mib(16)));
        assert!(pays_to_go_ahead(mib(4), mib(32), mib(16)));
        assert!(!pays_to_go_ahead(mib(4) + 1, mib(60), mib(16)), "enough to do");
        assert!(!pays_to_go_ahead(0, mib(32) - 1, mib(16)), "little memory");
        assert!(!pays_to_go_ahead(0, 0, usize::MAX));
    }

    #[test]
    fn who_has_not_asked_yet_asks_in_the_usual_way() {
        let mut track = asked();
        assert!(track.foresee(0, at(49), EPOCH));
        assert!(track.has_come(at(40)));
        track.fetch_from = at(49);
        track.follow(0);
        assert_eq!((track.generation, track.ahead), (0, None));
        assert!(track.is_hungry());
    }

    #[test]
    fn nothing_is_foreseen_twice_or_backwards_or_for_what_is_outdated_or_not_wanted() {
        let mut track = asked();
        assert!(!track.foresee(0, at(40), EPOCH), "it would stand still");
        assert!(!track.foresee(1, at(49), EPOCH), "of another life");
        assert!(track.foresee(0, at(49), EPOCH));
        assert!(!track.foresee(0, at(60), EPOCH), "once");
        track.stop = Some(at(49));
        assert_eq!(track.place_ahead(), None, "nothing more is wanted");
        track.outdate();
        assert_eq!((track.ahead, track.place_ahead()), (None, None));
        assert!(!track.foresee(0, at(49), EPOCH), "after a seek");
    }
}
