//! Up to when a shard has heard all that was said to it. Silence counts only as long as somebody listened.
//!
//! Never reads a clock. A broker that was stopped, or waited for its disk, finds sessions over whose heartbeats lie in
//! its queue, or still in its sockets: their members were not silent, it was deaf.

use std::time::Duration;

use thalweg_storage::defects::{Defect, planted};

use super::group::SESSION_CHECK;
use crate::base::Monotonic;

/// A look that comes so much later than it should says that the broker slept.
const LATE: Duration = Duration::from_secs(1);

/// How long what was said during a sleep may take from the sockets into the queue.
const CATCH_UP: Duration = Duration::from_secs(1);

/// How far one shard has listened.
#[derive(Debug)]
pub(super) struct Attention {
    /// All that was said by then has been taken in.
    heard: Monotonic,
    /// When it was last looked.
    looked: Monotonic,
    /// Before this nothing is believed that was seen since the last sleep.
    catches_up: Monotonic,
    /// What has to happen until all is heard that was said by a later moment.
    mark: Option<Mark>,
}

/// All that was said by `at` is heard when `waiting` more questions have been taken in, not before `from`.
#[derive(Debug)]
struct Mark {
    at: Monotonic,
    from: Monotonic,
    waiting: usize,
}

impl Attention {
    /// Begins to listen.
    pub(super) const fn new(now: Monotonic) -> Self {
        Self { heard: now, looked: now, catches_up: now, mark: None }
    }

    /// So many questions were taken from the queue, in the order in which they came.
    pub(super) const fn took(&mut self, count: usize) {
        if let Some(mark) = &mut self.mark {
            mark.waiting = mark.waiting.saturating_sub(count);
        }
    }

    /// Looks up, with so many questions in the queue. Returns up to when silence counts.
    pub(super) fn look(&mut self, now: Monotonic, waiting: usize) -> Monotonic {
        if planted(Defect::FenceUnheard) {
            return now;
        }
        // Before the sleep is seen: a broker that always comes late still hears what was said one look ago.
        self.reach(now);
        if now.since(self.looked) > SESSION_CHECK + LATE {
            self.catches_up = now.plus(CATCH_UP);
        }
        self.looked = now;
        if self.mark.is_none() {
            self.mark = Some(Mark { at: now, from: self.catches_up, waiting });
            self.reach(now);
        }
        self.heard
    }

    fn reach(&mut self, now: Monotonic) {
        if let Some(mark) = self.mark.take_if(|mark| mark.waiting == 0 && mark.from <= now) {
            self.heard = mark.at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Monotonic {
        Monotonic::from_ms(ms)
    }

    #[test]
    fn with_nothing_waiting_silence_counts_up_to_now() {
        let mut attention = Attention::new(at(0));
        for ms in [100, 200, 350, 1_400] {
            assert_eq!(attention.look(at(ms), 0), at(ms));
        }
    }

    #[test]
    fn what_waits_is_heard_before_silence_counts() {
        let mut attention = Attention::new(at(0));
        assert_eq!(attention.look(at(100), 0), at(100));
        assert_eq!(attention.look(at(200), 1_500), at(100));
        attention.took(1_024);
        assert_eq!(attention.look(at(300), 900), at(100), "some of them still wait");
        attention.took(476);
        assert_eq!(attention.look(at(400), 424), at(200), "what came since does not matter");
        attention.took(424);
        assert_eq!(attention.look(at(500), 0), at(500));
    }

    /// A broker that was stopped for 20 s used to take out every member at its first look, with their heartbeats in
    /// its queue and in its sockets.
    #[test]
    fn after_a_sleep_what_was_said_meanwhile_comes_first() {
        let mut attention = Attention::new(at(0));
        attention.look(at(100), 0);
        assert_eq!(attention.look(at(20_100), 0), at(100), "sockets have not been read yet");
        assert_eq!(attention.look(at(20_200), 3), at(100));
        attention.took(3);
        assert_eq!(attention.look(at(21_000), 0), at(100));
        assert_eq!(attention.look(at(21_100), 0), at(21_100), "now it has listened");
    }

    #[test]
    fn a_sleep_is_not_forgotten_over_what_waited_before_it() {
        let mut attention = Attention::new(at(0));
        attention.look(at(100), 5);
        assert_eq!(attention.look(at(20_100), 5), at(0));
        attention.took(5);
        assert_eq!(attention.look(at(20_200), 0), at(100), "that much was heard before it slept");
        assert_eq!(attention.look(at(21_000), 0), at(100));
        assert_eq!(attention.look(at(21_100), 0), at(21_100));
    }

    #[test]
    fn who_always_comes_late_still_takes_the_silent_out() {
        let mut attention = Attention::new(at(0));
        for turn in 1..10 {
            let heard = attention.look(at(turn * 1_500), 7);
            assert_eq!(heard, at((turn - 1) * 1_500));
            attention.took(7);
        }
    }
}
