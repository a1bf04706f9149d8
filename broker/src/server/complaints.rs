//! How often a line may be logged that strangers cause: all that end badly are counted, few are told of.
//!
//! Without it, whoever can reach the port could fill the disk that the log is written to.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::base::Monotonic;

/// In each period so many lines are written.
const LINES_MAX: u32 = 10;

const PERIOD: Duration = Duration::from_secs(1);

/// Lines of one kind.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    period_began: Monotonic,
    said: u32,
    unsaid: u64,
}

impl Complaints {
    /// Whether a line may be written now; if so, how many were left out since the last one.
    pub(super) fn may_say(&self, now: Monotonic) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(state.period_began) >= PERIOD {
            (state.period_began, state.said) = (now, 0);
        }
        if state.said == LINES_MAX {
            state.unsaid += 1;
            return None;
        }
        state.said += 1;
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_makes_few_lines_and_the_next_one_says_how_many_are_missing() {
        let complaints = Complaints::default();
        let said =
            |ms| (0..1000).filter_map(|_| complaints.may_say(Monotonic::from_ms(ms))).collect();
        let first: Vec<u64> = said(500);
        assert_eq!(first, [0; 10]);
        let second: Vec<u64> = said(1500);
        assert_eq!(second, [990, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
