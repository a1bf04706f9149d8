//! How often a worker that panics begins again.
//!
//! Never reads a clock. A worker's state is read anew from its log, so beginning again is safe; what it stumbles over
//! may be in the log, or be asked again, so it ends.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::Monotonic;

/// Panics after which a worker begins again, within [`WINDOW`].
pub(super) const RESTARTS_MAX: usize = 5;

/// Older panics are forgotten.
const WINDOW: Duration = Duration::from_mins(10);

/// The panics of one worker.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    recent: VecDeque<Monotonic>,
}

impl Restarts {
    /// The worker has panicked: whether it may begin again.
    pub(super) fn may_after_panic(&mut self, now: Monotonic) -> bool {
        self.recent.retain(|panic| now.since(*panic) < WINDOW);
        self.recent.push_back(now);
        self.recent.len() <= RESTARTS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_begins_again_a_bounded_number_of_times_in_a_while() {
        let mut restarts = Restarts::default();
        let mut may = |seconds: u64| restarts.may_after_panic(Monotonic::from_ms(seconds * 1_000));
        assert!((0..5).all(&mut may));
        assert!(!may(6), "the sixth within ten minutes");
        assert!(may(700), "they are long ago");
    }
}
