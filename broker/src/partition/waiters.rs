//! Requests that wait for a partition: producers until their records are committed, readers until there is
//! something to read.
//!
//! Bounded by the requests in flight that connections may have; each waiter has a deadline of its own and
//! leaves when it is dropped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use thalweg_protocol::Offset;
use tokio::sync::{Notify, oneshot};

/// What became of records that a producer waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They are committed.
    Committed,
    /// This replica leads no more, or its disk failed: they may or may not survive.
    Unknown,
}

/// Waits for one produce request.
pub type Commit = oneshot::Receiver<Outcome>;

/// Those who wait for one partition.
#[derive(Debug, Default)]
pub struct Waiters {
    commits: Mutex<VecDeque<(Offset, oneshot::Sender<Outcome>)>>,
    readers: Mutex<Vec<Arc<Notify>>>,
}

impl Waiters {
    /// Waits until the high watermark reaches `end`. The caller makes sure that it has not yet, under the
    /// same lock under which it advances.
    pub fn wait_for_commit(&self, end: Offset) -> Commit {
        let (sender, receiver) = oneshot::channel();
        let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        // Appends come in order; only the answer to a duplicate belongs further ahead.
        let behind = commits.iter().rev().take_while(|(other, _)| *other > end).count();
        let place = commits.len() - behind;
        commits.insert(place, (end, sender));
        receiver
    }

    /// Answers the producers whose records lie below the high watermark; says how many there were.
    pub fn committed(&self, high_watermark: Offset) -> u64 {
        let mut answered = 0;
        let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        while commits.front().is_some_and(|(end, _)| *end <= high_watermark) {
            if let Some((_, sender)) = commits.pop_front() {
                // A producer whose deadline has passed listens no more.
                let _ = sender.send(Outcome::Committed);
                answered += 1;
            }
        }
        answered
    }

    /// Tells all waiting producers that this replica cannot answer for their records any more, and wakes the
    /// readers, so that they find out.
    pub fn fail(&self) {
        let commits =
            std::mem::take(&mut *self.commits.lock().unwrap_or_else(PoisonError::into_inner));
        for (_, sender) in commits {
            let _ = sender.send(Outcome::Unknown);
        }
        self.wake_readers();
    }

    /// Wakes every reader that is registered.
    pub fn wake_readers(&self) {
        for reader in self.readers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            reader.notify_one();
        }
    }

    /// Registers a reader until [`Waiters::leave`].
    pub fn join(&self, reader: &Arc<Notify>) {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(reader));
    }

    /// Forgets a reader.
    pub fn leave(&self, reader: &Arc<Notify>) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = readers.iter().position(|other| Arc::ptr_eq(other, reader)) {
            readers.swap_remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn producers_are_answered_in_the_order_of_their_records() {
        let waiters = Waiters::default();
        let mut late = waiters.wait_for_commit(Offset::new(9));
        let mut early = waiters.wait_for_commit(Offset::new(4));
        waiters.committed(Offset::new(4));
        assert_eq!(early.try_recv(), Ok(Outcome::Committed));
        assert!(late.try_recv().is_err());
        waiters.committed(Offset::new(20));
        assert_eq!(late.try_recv(), Ok(Outcome::Committed));
    }

    #[test]
    fn a_failure_answers_everybody() {
        let waiters = Waiters::default();
        let mut commit = waiters.wait_for_commit(Offset::new(1));
        waiters.fail();
        assert_eq!(commit.try_recv(), Ok(Outcome::Unknown));
    }

    #[test]
    fn a_reader_that_left_is_forgotten() {
        let waiters = Waiters::default();
        let reader = Arc::new(Notify::new());
        waiters.join(&reader);
        waiters.leave(&reader);
        assert_eq!(Arc::strong_count(&reader), 1);
    }
}
