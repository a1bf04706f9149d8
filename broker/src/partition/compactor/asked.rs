//! Who was asked for, and what became of each log: what the compactor's thread shares with those who ask it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thalweg_protocol::TopicPartition;
use thalweg_storage::CompactionError;

use crate::base::Monotonic;

/// A run that was asked for and is interrupted begins again, so often at most: a log from which somebody deletes all the
/// time must not keep the others waiting.
const BEGINNINGS_MAX: u32 = 10;

/// What is known of one compacted log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Somebody asked for a run that has not ended.
    pub is_asked: bool,
    /// Runs that ended well since the broker started.
    pub runs: u64,
    /// Bytes of the segments that the last run exchanged.
    pub before_bytes: u64,
    /// Bytes of what stands in their place.
    pub after_bytes: u64,
    /// Why the last run failed.
    pub failure: Option<String>,
    /// Until then it is left alone.
    pub(super) retry_at: Monotonic,
    /// Times that the run which was asked for was interrupted.
    pub(super) interruptions: u32,
}

impl Standing {
    /// The run that was asked for was interrupted; says whether it shall begin again.
    pub(super) fn begins_again(&mut self) -> bool {
        self.interruptions += 1;
        if self.interruptions < BEGINNINGS_MAX {
            return true;
        }
        self.interruptions = 0;
        self.is_asked = false;
        self.failure = Some(format!(
            "given up: {} each of the {BEGINNINGS_MAX} times that the run began",
            CompactionError::Interrupted
        ));
        false
    }
}

/// Asks the compactor; cheap to clone.
#[derive(Clone, Debug)]
pub struct CompactorHandle {
    pub(super) shared: Arc<Shared>,
}

/// What both sides see.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) stopped: bool,
    /// At most one entry for each partition.
    pub(super) asked: BTreeSet<TopicPartition>,
    pub(super) logs: HashMap<TopicPartition, Standing>,
}

impl CompactorHandle {
    /// Asks for a run over a partition that is in the table.
    pub fn ask(&self, at: TopicPartition) {
        let mut state = self.shared.state();
        state.asked.insert(at);
        state.logs.entry(at).or_default().is_asked = true;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// What is known of a partition.
    pub fn standing(&self, at: TopicPartition) -> Standing {
        self.shared.state().logs.get(&at).cloned().unwrap_or_default()
    }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one step: a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a stop, or with `or_asked` for somebody to ask, at most for `duration`. False after a stop.
    pub(super) fn wait(&self, duration: Duration, or_asked: bool) -> bool {
        let quiet = |state: &mut State| !(state.stopped || (or_asked && !state.asked.is_empty()));
        let waited = self.changed.wait_timeout_while(self.state(), duration, quiet);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.stopped
    }

    pub(super) fn next_asked(&self) -> Option<TopicPartition> {
        let mut state = self.state();
        if state.stopped { None } else { state.asked.pop_first() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_interrupted_each_time_is_given_up_and_says_so() {
        let mut log = Standing { is_asked: true, ..Standing::default() };
        for _ in 1..BEGINNINGS_MAX {
            assert!(log.begins_again() && log.is_asked && log.failure.is_none());
        }
        assert!(!log.begins_again() && !log.is_asked);
        assert!(
            log.failure.is_some_and(|why| why.contains("cut or deleted from meanwhile each of"))
        );
    }
}
