//! Stopping in order: one signal that everybody can wait for, and a drain with a deadline.
//!
//! Owns the token that says *stop taking work* and the count of work still under way. Never kills
//! anything: whoever holds work finishes or gives up on seeing the signal.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The signal to stop, and the work that must end first. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    work: TaskTracker,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// All work ended in time.
    Whole,
    /// The deadline came first.
    Cut {
        /// Pieces of work that were still under way.
        left: usize,
    },
}

impl Shutdown {
    /// Nothing is stopping yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells everybody to stop taking work; again changes nothing.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Whether stopping has begun.
    pub fn has_begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until stopping begins.
    pub fn begun(&self) -> WaitForCancellationFuture<'_> {
        self.token.cancelled()
    }

    /// A part's own signal: given with the whole, or alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { token: self.token.child_token(), work: self.work.clone() }
    }

    /// Counts as work under way until it is dropped: a request, a connection.
    pub fn work(&self) -> TaskTrackerToken {
        self.work.token()
    }

    /// Runs `future` until it ends or stopping begins; `None` says that stopping came first.
    pub async fn or_begun<F: Future>(&self, future: F) -> Option<F::Output> {
        self.token.run_until_cancelled(future).await
    }

    /// Begins to stop, then waits for the work under way, but no longer than `deadline`.
    pub async fn drain(&self, deadline: Duration) -> Drained {
        self.begin();
        self.work.close();
        match tokio::time::timeout(deadline, self.work.wait()).await {
            Ok(()) => Drained::Whole,
            Err(_) => Drained::Cut { left: self.work.len() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_waits_for_the_work_under_way() {
        let shutdown = Shutdown::new();
        let work = shutdown.work();
        let other = shutdown.clone();
        let draining = tokio::spawn(async move { other.drain(Duration::from_mins(1)).await });
        shutdown.begun().await;
        assert!(!draining.is_finished());
        drop(work);
        assert_eq!(draining.await.unwrap(), Drained::Whole);
    }

    #[tokio::test]
    async fn a_drain_gives_up_at_its_deadline_and_says_what_is_left() {
        let shutdown = Shutdown::new();
        let _one = shutdown.work();
        let _two = shutdown.child().work();
        let drained = shutdown.drain(Duration::from_millis(1)).await;
        assert_eq!(drained, Drained::Cut { left: 2 });
    }

    #[tokio::test]
    async fn a_child_stops_with_the_whole_but_not_the_other_way_round() {
        let whole = Shutdown::new();
        let (one, two) = (whole.child(), whole.child());
        one.begin();
        assert!(one.has_begun() && !two.has_begun() && !whole.has_begun());
        whole.begin();
        assert!(two.has_begun());
        assert_eq!(two.or_begun(std::future::pending::<()>()).await, None);
    }
}
