//! The thread that brings the logs of one directory to stable storage, as [`GroupCommit`] says.
//!
//! One round of syncs is in flight; what is appended meanwhile joins the next. A round with many logs is shared
//! among a few threads, since the file system merges commits that come together. After a failed sync the
//! directory is offline and nothing is synced any more.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use thalweg_protocol::{Offset, TopicPartition};
use thalweg_storage::defects::{Defect, planted};
use thalweg_storage::{FlushLimits, GroupCommit, LogDir, SyncResult, Urgency};

use super::announced::Level;
use super::high_watermark::Durability;
use super::partition::Partition;
use crate::base::{Clock, Tasks};
use crate::metrics::SyncMetrics;

/// Tells the flusher of one directory what is to be synced. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Flusher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    clock: Arc<dyn Clock>,
    limits: FlushLimits,
    metrics: Arc<SyncMetrics>,
}

#[derive(Debug)]
struct State {
    commit: GroupCommit<TopicPartition>,
    /// The partitions that the group commit knows of.
    partitions: HashMap<TopicPartition, Arc<Partition>>,
    stopping: bool,
}

/// The flusher's thread; ends with [`Worker::stop`].
#[derive(Debug)]
pub struct Worker {
    flusher: Flusher,
    thread: Option<JoinHandle<()>>,
}

/// A partition of a round, and what its sync came to.
type Synced = (Arc<Partition>, io::Result<Offset>);

impl Flusher {
    /// Starts the thread for `dir`; a round with many logs is shared among `threads_max` threads. `tasks` hears of a
    /// panic, which takes the directory offline: nothing in it would be synced any more.
    pub fn start(
        dir: &Arc<LogDir>,
        threads_max: usize,
        clock: Arc<dyn Clock>,
        metrics: Arc<SyncMetrics>,
        tasks: &Tasks,
    ) -> io::Result<(Self, Worker)> {
        let limits = FlushLimits::default();
        let state =
            State { commit: GroupCommit::new(limits), partitions: HashMap::new(), stopping: false };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            wake: Condvar::new(),
            clock,
            limits,
            metrics,
        });
        let flusher = Self { shared: Arc::clone(&shared) };
        let dir = Arc::clone(dir);
        let thread = tasks.spawn_thread("flusher", move || {
            let _watch = OfflineOnPanic { dir: &dir, shared: &shared };
            while let Some(round) = shared.next_round() {
                let began = shared.clock.now();
                let results = sync_all(&round, threads_max);
                shared.metrics.synced(round.len(), shared.clock.now().since(began));
                shared.finish(&dir, results);
            }
        })?;
        Ok((flusher.clone(), Worker { flusher, thread: Some(thread) }))
    }

    /// `partition` has bytes that are not on stable storage.
    pub(super) fn dirty(&self, partition: &Arc<Partition>) {
        let urgency = match partition.durability() {
            Durability::Synced => Urgency::Now,
            Durability::Replicated => Urgency::Later,
        };
        let (level, bytes) = match urgency {
            Urgency::Now => (Level::Now, 0),
            Urgency::Later => (Level::Later, partition.reader().unsynced_bytes()),
        };
        let news = partition.dirty.raise(level);
        if !news && bytes < self.shared.limits.bytes_max {
            return;
        }
        let now = self.shared.clock.now().get();
        let mut state = self.shared.lock();
        state.commit.appended(partition.at(), partition.reader().log_end(), bytes, urgency, now);
        state.partitions.entry(partition.at()).or_insert_with(|| Arc::clone(partition));
        self.shared.metrics.queued(state.partitions.len());
        drop(state);
        self.shared.wake.notify_one();
    }

    /// `partition` is closed or deleted: a round in flight says nothing about it any more.
    pub fn forget(&self, partition: TopicPartition) {
        let mut state = self.shared.lock();
        state.commit.removed(&partition);
        state.partitions.remove(&partition);
        self.shared.metrics.queued(state.partitions.len());
    }
}

impl Worker {
    /// Syncs everything that is dirty, then ends the thread.
    pub fn stop(mut self) {
        self.flusher.shared.lock().stopping = true;
        self.flusher.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // Its panic was counted and logged.
            drop(thread.join());
        }
    }
}

/// Lives as long as the flusher's thread runs.
struct OfflineOnPanic<'a> {
    dir: &'a LogDir,
    shared: &'a Shared,
}

impl Drop for OfflineOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.dir.fail("its flusher has panicked; restart the broker");
            self.shared.abandon();
        }
    }
}

impl Shared {
    /// Nothing is synced any more: those who wait are told.
    fn abandon(&self) {
        let abandoned: Vec<_> =
            self.lock().partitions.drain().map(|(_, partition)| partition).collect();
        for partition in abandoned {
            partition.waiters().fail();
        }
    }

    /// Waits for the next round; none when the flusher shall stop and nothing is left to sync.
    fn next_round(&self) -> Option<Vec<Arc<Partition>>> {
        let mut state = self.lock();
        loop {
            let now = self.clock.now().get();
            let round =
                if state.stopping { state.commit.begin_all() } else { state.commit.begin(now) };
            if !round.is_empty() {
                let partition = |flush: &thalweg_storage::Flush<TopicPartition>| {
                    state.partitions.get(&flush.log).map(Arc::clone)
                };
                return Some(round.iter().filter_map(partition).collect());
            }
            if state.stopping {
                return None;
            }
            state = match state.commit.next_due() {
                Some(due) => {
                    let wait = due.saturating_sub(now);
                    self.wake.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Publishes what was synced; a failure takes the directory offline for good.
    fn finish(&self, dir: &LogDir, results: Vec<Synced>) {
        let mut outcomes = Vec::with_capacity(results.len());
        for (partition, result) in &results {
            outcomes.push((
                partition.at(),
                match result {
                    // It failed meanwhile, by a write for example: nothing is acknowledged any more.
                    Ok(_) if dir.is_offline() && !planted(Defect::RetryFailedSync) => {
                        SyncResult::Failed
                    }
                    Ok(_) => SyncResult::Synced,
                    Err(error) => {
                        self.metrics.failed();
                        dir.failed(&format!("sync of {partition}"), error);
                        SyncResult::Failed
                    }
                },
            ));
        }
        let mut state = self.lock();
        let published = state.commit.finished(outcomes);
        // After a failure no round begins any more: those who joined meanwhile are told as well.
        let abandoned: Vec<_> = if state.commit.has_failed() {
            state.partitions.drain().map(|(_, partition)| partition).collect()
        } else {
            Vec::new()
        };
        for (partition, _) in &results {
            if partition.dirty.is_clean() {
                state.partitions.remove(&partition.at());
            }
        }
        self.metrics.queued(state.partitions.len());
        drop(state);
        for partition in abandoned {
            partition.waiters().fail();
        }
        for (partition, result) in results {
            match result {
                Ok(end) if published.iter().any(|flush| flush.log == partition.at()) => {
                    partition.synced(end);
                }
                _ => partition.waiters().fail(),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is changed by whole calls of the pure value; a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Syncs each partition's log; several at a time when there are many.
fn sync_all(round: &[Arc<Partition>], threads_max: usize) -> Vec<Synced> {
    /// So many logs are worth a thread: starting one costs about a tenth of a sync.
    const LOGS_PER_THREAD_MIN: usize = 2;
    let threads = (round.len() / LOGS_PER_THREAD_MIN).clamp(1, threads_max.max(1));
    if threads == 1 {
        return round.iter().map(sync_one).collect();
    }
    let share = round.len().div_ceil(threads);
    std::thread::scope(|scope| {
        let workers: Vec<_> = round
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(sync_one).collect::<Vec<_>>()))
            .collect();
        let results = workers.into_iter().zip(round.chunks(share));
        results
            .flat_map(|(worker, part)| {
                // A sync that panicked is a sync that failed.
                worker.join().unwrap_or_else(|_| {
                    let failed = |at: &Arc<Partition>| {
                        (Arc::clone(at), Err(io::Error::other("the sync has panicked")))
                    };
                    part.iter().map(failed).collect()
                })
            })
            .collect()
    })
}

fn sync_one(partition: &Arc<Partition>) -> Synced {
    // Before the end is captured: an append from here on announces itself again.
    partition.dirty.take();
    let mut result = partition.reader().sync();
    if result.is_err() && planted(Defect::RetryFailedSync) {
        result = partition.reader().sync();
    }
    (Arc::clone(partition), result)
}
