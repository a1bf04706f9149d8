//! Checks of batches whose records are compressed: those that inflate to little where they came, the others one at a
//! time on a thread of their own.
//!
//! A batch of a few KiB may inflate to tens of MiB, which takes tens of milliseconds and as much memory. On a worker that
//! would hold up all connections that the worker serves; on many threads at once it would decide how much memory the
//! broker takes. So there is one thread for them, which gives way to everybody else on the machine.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use thalweg_protocol::TimestampMs;
use thalweg_protocol::batch::{BatchHeader, Scratch};
use tokio::sync::oneshot;

use super::error::PartitionError;
use super::partition::Partition;
use crate::base::Tasks;

/// What a worker inflates itself: a few milliseconds at most.
pub(super) const SMALL_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Room that is kept for the next large batch: taking and giving back tens of MiB for each lets the allocator hold
/// several times that.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Batches that wait at most, one of each connection; the next one is refused.
const WAITING_MAX: usize = 256;

/// How far the thread gives way: beside busy workers it gets about a tenth of a core.
const NICENESS: i32 = 10;

/// Checks batches that inflate to much. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inflater {
    queue: SyncSender<Next>,
}

/// The thread that does it; ends with [`InflaterWorker::stop`].
#[derive(Debug)]
pub struct InflaterWorker {
    queue: SyncSender<Next>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Next {
    Batch(Box<Large>),
    Stop,
}

#[derive(Debug)]
struct Large {
    partition: Arc<Partition>,
    records: Bytes,
    now: TimestampMs,
    checked: oneshot::Sender<Result<BatchHeader, PartitionError>>,
}

impl Inflater {
    /// Starts the thread; `tasks` hears of its panic.
    pub fn start(tasks: &Tasks) -> io::Result<(Self, InflaterWorker)> {
        let (queue, waiting) = sync_channel(WAITING_MAX);
        let thread = tasks.spawn_thread("inflater", move || run(&waiting))?;
        Ok((Self { queue: queue.clone() }, InflaterWorker { queue, thread: Some(thread) }))
    }

    /// As [`Partition::check`], for a batch of which [`Partition::check_briefly`] says nothing.
    pub async fn check(
        &self,
        partition: &Arc<Partition>,
        records: &Bytes,
        now: TimestampMs,
    ) -> Result<BatchHeader, PartitionError> {
        let (checked, outcome) = oneshot::channel();
        let (at, records) = (Arc::clone(partition), records.clone());
        let large = Large { partition: at, records, now, checked };
        match self.queue.try_send(Next::Batch(Box::new(large))) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                let waiting = WAITING_MAX;
                return Err(PartitionError::Inflating { name: partition.to_string(), waiting });
            }
            Err(TrySendError::Disconnected(_)) => {
                return Err(PartitionError::Stopping { name: partition.to_string() });
            }
        }
        // Dropped by a stop, or by a panic that was counted: nothing was appended.
        outcome
            .await
            .unwrap_or_else(|_gone| Err(PartitionError::Stopping { name: partition.to_string() }))
    }
}

impl InflaterWorker {
    /// Ends the thread once it has checked what waits.
    pub fn stop(mut self) {
        // Nobody listens after a panic, which was counted and logged.
        drop(self.queue.send(Next::Stop));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn run(waiting: &Receiver<Next>) {
    // Without it large batches are checked at everybody's expense, as all others are.
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "the inflater does not give way to others");
    }
    let mut room = Scratch::default();
    while let Ok(Next::Batch(large)) = waiting.recv() {
        let Large { partition, records, now, checked } = *large;
        if checked.is_closed() {
            // Its connection is gone.
            continue;
        }
        let needed = partition.inflated_bytes_max();
        if room.held_bytes() < needed {
            // At once: growing towards it would hold half as much again on the way.
            room = Scratch::with_room(needed);
        }
        let outcome = partition.check(&records, now, &mut room);
        if room.held_bytes() > KEPT_BYTES_MAX {
            room = Scratch::default();
        }
        // Its connection may have gone meanwhile.
        let _ = checked.send(outcome);
    }
}
