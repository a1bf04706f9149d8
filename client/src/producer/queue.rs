//! One partition's records before they are numbered: the open batch and the full ones, under one short mutex.

use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thalweg_protocol::batch::BatchBuilder;
use thalweg_protocol::{PartitionIndex, TopicId, TopicName};

use super::receipt::{Outcome, Receipt};
use crate::clock::Instant;

/// A batch that the sender has not numbered yet.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) builder: BatchBuilder,
    pub(crate) outcome: Arc<Outcome>,
    pub(crate) begun: Instant,
    /// Memory taken for it, in bytes.
    pub(crate) charged: usize,
}

/// What one partition has gathered.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    pub(super) open: Option<Gathered>,
    pub(super) full: VecDeque<Gathered>,
    pub(super) closed: bool,
}

/// One partition of one topic, as long as the producer lives or the topic.
#[derive(Debug)]
pub(crate) struct PartitionQueue {
    /// Its place in the sender's table.
    pub(crate) line: usize,
    pub(crate) topic: TopicName,
    /// Under this id alone its records may be sent: another one of the same name is another topic.
    pub(crate) topic_id: TopicId,
    pub(crate) partition: PartitionIndex,
    pub(super) gathering: Mutex<Gathering>,
    /// Batches that are not resolved yet; the sticky partitioner avoids long backlogs.
    pub(crate) backlog: AtomicUsize,
}

/// What the sender may take now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    Nothing,
    /// A batch that is not full, open since then.
    Open(Instant),
    Full,
}

impl PartitionQueue {
    pub(super) fn lock(&self) -> MutexGuard<'_, Gathering> {
        // Appending panics only by our own mistake; what was gathered before it is whole.
        self.gathering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ready(&self) -> Ready {
        let gathering = self.lock();
        match &gathering.open {
            _ if !gathering.full.is_empty() => Ready::Full,
            Some(open) => Ready::Open(open.begun),
            None => Ready::Nothing,
        }
    }

    /// Takes the oldest batch, the open one too.
    pub(crate) fn take(&self) -> Option<Gathered> {
        let mut gathering = self.lock();
        gathering.full.pop_front().or_else(|| gathering.open.take())
    }

    /// When the oldest batch was begun.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let gathering = self.lock();
        let oldest = gathering.full.front().or(gathering.open.as_ref());
        oldest.map(|gathered| gathered.begun)
    }

    /// Closes the open batch, and answers with the outcomes of all that wait.
    pub(crate) fn seal(&self) -> Vec<Arc<Outcome>> {
        let mut gathering = self.lock();
        if let Some(open) = gathering.open.take() {
            gathering.full.push_back(open);
        }
        let full = gathering.full.iter();
        full.map(|gathered| gathered.outcome.clone()).collect()
    }

    /// Takes no more records.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }
}

impl Gathering {
    /// The receipt of the record that was put into the open batch last.
    pub(super) fn receipt(&self) -> Option<Receipt> {
        let open = self.open.as_ref()?;
        let delta = open.builder.record_count().checked_sub(1)?.unsigned_abs();
        Some(Receipt { outcome: open.outcome.clone(), delta })
    }
}
