//! How readers tell writers what has arrived.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// Counts what readers have got: in all, and for each writer that waits for it.
pub(super) struct Arrivals {
    all: watch::Sender<u64>,
    /// Empty when no writer waits.
    by_writer: Vec<watch::Sender<u64>>,
    wait_max: Duration,
}

impl Arrivals {
    /// Nothing arrived yet; so many writers wait for each of their records, at most so long.
    pub(super) fn new(writers_that_wait: usize, wait_max: Duration) -> Self {
        let by_writer = (0..writers_that_wait).map(|_| watch::Sender::new(0)).collect();
        Self { all: watch::Sender::new(0), by_writer, wait_max }
    }

    /// Records that were read.
    pub(super) fn add(&self, records: u64) {
        self.all.send_modify(|count| *count += records);
    }

    /// A record of this writer was read.
    pub(super) fn of(&self, writer: u32) {
        let writer = usize::try_from(writer).ok().and_then(|index| self.by_writer.get(index));
        if let Some(count) = writer {
            count.send_modify(|count| *count += 1);
        }
    }

    /// How many arrived so far.
    pub(super) fn count(&self) -> u64 {
        *self.all.borrow()
    }

    /// Waits until so many have arrived in all; answers how many are still missing when nobody waits any longer.
    pub(super) async fn wait_for(&self, records: u64) -> u64 {
        let mut count = self.all.subscribe();
        let waiting = count.wait_for(|count| *count >= records);
        drop(timeout(self.wait_max, waiting).await);
        records.saturating_sub(self.count())
    }

    /// What a writer waits with, if it waits.
    pub(super) fn of_writer(&self, index: usize) -> Option<Arriving> {
        let count = self.by_writer.get(index)?.subscribe();
        Some(Arriving { count, waited_for: 0, wait_max: self.wait_max })
    }
}

/// A writer's view: its own records, one after the other.
pub(super) struct Arriving {
    count: watch::Receiver<u64>,
    waited_for: u64,
    wait_max: Duration,
}

impl Arriving {
    /// Waits until the next record has arrived; no when that takes too long.
    pub(super) async fn next(&mut self) -> bool {
        self.waited_for += 1;
        let wanted = self.waited_for;
        let waiting = self.count.wait_for(|count| *count >= wanted);
        matches!(timeout(self.wait_max, waiting).await, Ok(Ok(_)))
    }
}
