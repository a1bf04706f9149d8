//! What became of a record, without an allocation for it: the records of a batch share one outcome.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use thalweg_protocol::{Offset, PartitionIndex, TimestampMs};

use crate::error::SendError;

/// Where a record is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The partition.
    pub partition: PartitionIndex,
    /// The record's offset; -1 with `acks=none`, and when the broker says only that it has the record.
    pub offset: Offset,
    /// The broker's time of the append when the topic keeps that one, or -1: the record's own counts.
    pub timestamp: TimestampMs,
}

/// The outcome of a batch, waited for by all receipts of its records.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Set once. What is delivered is told as of the batch's first record.
    result: OnceLock<Result<Delivered, SendError>>,
    waiting: Mutex<Vec<Waker>>,
}

impl Outcome {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { result: OnceLock::new(), waiting: Mutex::new(Vec::new()) })
    }

    /// Tells all receipts; only the first call counts.
    pub(crate) fn resolve(&self, result: Result<Delivered, SendError>) {
        if self.result.set(result).is_ok() {
            let waiting =
                std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    pub(crate) fn result(&self) -> Option<&Result<Delivered, SendError>> {
        self.result.get()
    }

    pub(crate) fn is_resolved(&self) -> bool {
        self.result.get().is_some()
    }

    /// Whether the outcome is known; if not, `context`'s task is woken when it is.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<&Result<Delivered, SendError>> {
        if let Some(result) = self.result.get() {
            return Poll::Ready(result);
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Set meanwhile? Who sets takes the wakers under the same lock afterwards.
        if let Some(result) = self.result.get() {
            return Poll::Ready(result);
        }
        let waker = context.waker();
        // A task that waits for many records of a batch is woken once, as it registers in a row.
        if !waiting.last().is_some_and(|last| last.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        Poll::Pending
    }
}

/// The promise of an answer about one record: a future of where it is stored.
///
/// Ends by the delivery deadline, and when the producer is dropped. May be dropped when nobody is
/// interested: the record is delivered all the same, and [`Producer::flush`](crate::Producer::flush)
/// tells of failures.
#[must_use = "await it to know whether the record is stored, or drop it and flush later"]
pub struct Receipt {
    pub(crate) outcome: Arc<Outcome>,
    /// The record's place in its batch.
    pub(crate) delta: u32,
}

impl Receipt {
    /// The outcome if it is known already.
    pub fn try_get(&self) -> Option<Result<Delivered, SendError>> {
        self.outcome.result().map(|result| self.of_record(result))
    }

    fn of_record(&self, result: &Result<Delivered, SendError>) -> Result<Delivered, SendError> {
        let first = result.as_ref().map_err(Clone::clone)?;
        let offset = if first.offset == Offset::NONE {
            Offset::NONE
        } else {
            first.offset.plus(i64::from(self.delta))
        };
        Ok(Delivered { offset, ..*first })
    }
}

impl Future for Receipt {
    type Output = Result<Delivered, SendError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.outcome.poll(context).map(|result| self.of_record(result))
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("delta", &self.delta)
            .field("outcome", &self.outcome.result())
            .finish()
    }
}

/// The promise of an answer about many records, of [`Producer::send_all`](crate::Producer::send_all): a future
/// that ends once all of them are stored, or with the first failure in their order.
///
/// May be dropped as a [`Receipt`] may.
#[must_use = "await it to know whether the records are stored, or drop it and flush later"]
#[derive(Debug, Default)]
pub struct Receipts {
    /// One for each batch that took some of the records.
    outcomes: Vec<Arc<Outcome>>,
    /// Those before are known.
    known: usize,
    records: u64,
}

impl Receipts {
    /// How many records it is about.
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// One more record, in the batch with this outcome.
    pub(crate) fn add(&mut self, outcome: &Arc<Outcome>) {
        if !self.outcomes.last().is_some_and(|last| Arc::ptr_eq(last, outcome)) {
            self.outcomes.push(outcome.clone());
        }
        self.records += 1;
    }
}

impl Future for Receipts {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        while let Some(outcome) = self.outcomes.get(self.known) {
            match outcome.poll(context) {
                Poll::Ready(Ok(_)) => self.known += 1,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.clone())),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(offset: i64) -> Delivered {
        Delivered {
            partition: PartitionIndex::new(2),
            offset: Offset::new(offset),
            timestamp: TimestampMs::NONE,
        }
    }

    #[tokio::test]
    async fn the_records_of_a_batch_get_consecutive_offsets() {
        let outcome = Outcome::new();
        let receipts: Vec<_> =
            (0..3).map(|delta| Receipt { outcome: outcome.clone(), delta }).collect();
        assert!(receipts[0].try_get().is_none());
        outcome.resolve(Ok(delivered(40)));
        outcome.resolve(Err(SendError::Closed));
        for (receipt, offset) in receipts.into_iter().zip(40..) {
            assert_eq!(receipt.await.unwrap(), delivered(offset));
        }
    }

    #[tokio::test]
    async fn many_records_are_stored_when_each_of_their_batches_is() {
        let batches = [Outcome::new(), Outcome::new()];
        let mut receipts = Receipts::default();
        for batch in [&batches[0], &batches[0], &batches[1]] {
            receipts.add(batch);
        }
        assert_eq!(receipts.records(), 3);
        batches[0].resolve(Ok(delivered(40)));
        assert!(futures_util::poll!(&mut receipts).is_pending());
        batches[1].resolve(Err(SendError::Closed));
        assert!(matches!(receipts.await, Err(SendError::Closed)));
    }

    #[tokio::test]
    async fn an_unknown_offset_stays_unknown_for_every_record() {
        let outcome = Outcome::new();
        outcome.resolve(Ok(delivered(-1)));
        let receipt = Receipt { outcome, delta: 7 };
        assert_eq!(receipt.await.unwrap().offset, Offset::NONE);
    }

    #[tokio::test]
    async fn a_waiting_task_is_woken_when_the_outcome_is_known() {
        let outcome = Outcome::new();
        let receipt = Receipt { outcome: outcome.clone(), delta: 0 };
        let waiting = tokio::spawn(receipt);
        tokio::task::yield_now().await;
        outcome.resolve(Err(SendError::Closed));
        assert!(matches!(waiting.await.unwrap(), Err(SendError::Closed)));
    }
}
