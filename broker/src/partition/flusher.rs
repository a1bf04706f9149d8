//! The threads that bring the logs of one directory to stable storage, as [`GroupCommit`] says.
//!
//! There are two lanes, each with a thread: one for `synced` topics, whose producers wait, and one for `replicated` topics,
//! whose bytes may wait, and whose syncs bring so much to the disk that no producer should wait for one of them. In a lane one
//! round of syncs is in flight; what is appended meanwhile joins the next. A round with many logs is shared among a few
//! threads, since the file system merges commits that come together; each log's end is published as soon as its own sync is
//! done. After a failed sync the directory is offline and nothing is synced any more.
//!
//! A log may be known to both lanes, when its topic was altered: whoever syncs it takes its flag down first, and so covers
//! what the other was told.

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
use crate::base::{Clock, Monotonic, Tasks, share_out};
use crate::metrics::SyncMetrics;

/// Tells the flusher of one directory what is to be synced. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Flusher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// What somebody may wait for.
    urgent: Lane,
    /// What may wait.
    background: Lane,
    clock: Arc<dyn Clock>,
    limits: FlushLimits,
    metrics: Arc<SyncMetrics>,
}

#[derive(Debug)]
struct Lane {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    commit: GroupCommit<TopicPartition>,
    /// The partitions that the group commit knows of.
    partitions: HashMap<TopicPartition, Arc<Partition>>,
    round: Tally,
    stopping: bool,
}

/// How far the round in flight is, or the last one came.
#[derive(Debug, Default)]
struct Tally {
    logs: usize,
    done: usize,
    began: Monotonic,
}

/// The flusher's threads; they end with [`Worker::stop`].
#[derive(Debug)]
pub struct Worker {
    flusher: Flusher,
    threads: Vec<JoinHandle<()>>,
}

/// So many logs are worth a thread: starting one costs about a tenth of a sync.
const LOGS_PER_THREAD_MIN: usize = 2;

/// One of the lanes.
type LaneOf = fn(&Shared) -> &Lane;

impl Flusher {
    /// Starts the threads for `dir`; a round with many logs is shared among `threads_max` threads. `tasks` hears of a
    /// panic, which takes the directory offline: nothing in it would be synced any more.
    pub fn start(
        dir: &Arc<LogDir>,
        threads_max: usize,
        clock: Arc<dyn Clock>,
        metrics: Arc<SyncMetrics>,
        tasks: &Tasks,
    ) -> io::Result<(Self, Worker)> {
        let limits = FlushLimits::default();
        let (urgent, background) = (Lane::new(limits), Lane::new(limits));
        let shared = Arc::new(Shared { urgent, background, clock, limits, metrics });
        let flusher = Self { shared: Arc::clone(&shared) };
        let mut worker = Worker { flusher: flusher.clone(), threads: Vec::new() };
        for (name, lane) in
            [("flusher", Shared::urgent as LaneOf), ("late-flusher", Shared::background)]
        {
            let (dir, shared) = (Arc::clone(dir), Arc::clone(&shared));
            let thread = tasks.spawn_thread(name, move || {
                let _watch = OfflineOnPanic { dir: &dir, shared: &shared };
                let lane = lane(&shared);
                while let Some(round) = lane.next_round(&*shared.clock) {
                    let threads = (round.len() / LOGS_PER_THREAD_MIN).clamp(1, threads_max.max(1));
                    share_out(&round, threads, |partition| {
                        // Here, too: what others sync meanwhile is then not acknowledged any more.
                        let _watch = OfflineOnPanic { dir: &dir, shared: &shared };
                        shared.finish(lane, &dir, partition, &sync_one(partition));
                    });
                }
            });
            match thread {
                Ok(thread) => worker.threads.push(thread),
                Err(error) => {
                    worker.stop();
                    return Err(error);
                }
            }
        }
        Ok((flusher, worker))
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
        let lane = match urgency {
            Urgency::Now => &self.shared.urgent,
            Urgency::Later => &self.shared.background,
        };
        let mut state = lane.lock();
        state.commit.appended(partition.at(), partition.reader().log_end(), bytes, urgency, now);
        let before = state.partitions.len();
        state.partitions.entry(partition.at()).or_insert_with(|| Arc::clone(partition));
        self.shared.metrics.queued(before, state.partitions.len());
        drop(state);
        lane.wake.notify_one();
    }

    /// `partition` is closed or deleted: a round in flight says nothing about it any more.
    pub fn forget(&self, partition: TopicPartition) {
        for lane in self.shared.lanes() {
            let mut state = lane.lock();
            state.commit.removed(&partition);
            let before = state.partitions.len();
            state.partitions.remove(&partition);
            self.shared.metrics.queued(before, state.partitions.len());
        }
    }
}

impl Worker {
    /// Syncs everything that is dirty, then ends the threads.
    pub fn stop(self) {
        for lane in self.flusher.shared.lanes() {
            lane.lock().stopping = true;
            lane.wake.notify_all();
        }
        for thread in self.threads {
            // Its panic was counted and logged.
            drop(thread.join());
        }
    }
}

/// Lives as long as a flusher's thread runs.
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
    const fn urgent(&self) -> &Lane {
        &self.urgent
    }

    const fn background(&self) -> &Lane {
        &self.background
    }

    const fn lanes(&self) -> [&Lane; 2] {
        [&self.urgent, &self.background]
    }

    /// Nothing is synced any more: those who wait are told.
    fn abandon(&self) {
        for lane in self.lanes() {
            for partition in lane.lock().abandoned(&self.metrics) {
                partition.waiters().fail();
            }
        }
    }

    /// Publishes what was synced; a failure takes the directory offline for good.
    fn finish(
        &self,
        lane: &Lane,
        dir: &LogDir,
        partition: &Partition,
        result: &io::Result<Offset>,
    ) {
        let outcome = match result {
            // It failed meanwhile, by a write for example: nothing is acknowledged any more.
            Ok(_) if dir.is_offline() && !planted(Defect::RetryFailedSync) => SyncResult::Failed,
            Ok(_) => SyncResult::Synced,
            Err(error) => {
                self.metrics.failed();
                dir.failed(&format!("sync of {partition}"), error);
                SyncResult::Failed
            }
        };
        let at = partition.at();
        let mut state = lane.lock();
        let is_published = !state.commit.finished([(at, outcome)]).is_empty();
        let has_failed = state.commit.has_failed();
        // It may be due again although nothing was announced since: by its bytes, before its turn came.
        if !state.commit.is_dirty(&at) {
            let before = state.partitions.len();
            state.partitions.remove(&at);
            self.metrics.queued(before, state.partitions.len());
        }
        state.round.done(&self.metrics, &*self.clock);
        drop(state);
        if has_failed {
            // No round begins any more, in this lane or, as the directory is offline, with a good end in the other: those
            // who joined meanwhile are told as well.
            self.abandon();
        }
        match result {
            Ok(end) if is_published => partition.synced(*end),
            _ => partition.waiters().fail(),
        }
    }
}

impl Tally {
    /// One more log is done. The round is counted before anybody hears of its first log, and its time before they hear of
    /// its last.
    fn done(&mut self, metrics: &SyncMetrics, clock: &dyn Clock) {
        self.done += 1;
        if self.done == 1 {
            metrics.grouped(self.logs);
        }
        if self.done == self.logs {
            metrics.took(clock.now().since(self.began));
        }
    }
}

impl Lane {
    fn new(limits: FlushLimits) -> Self {
        let commit = GroupCommit::new(limits);
        let state =
            State { commit, partitions: HashMap::new(), round: Tally::default(), stopping: false };
        Self { state: Mutex::new(state), wake: Condvar::new() }
    }

    /// Waits for the next round; none when the flusher shall stop and nothing is left to sync.
    fn next_round(&self, clock: &dyn Clock) -> Option<Vec<Arc<Partition>>> {
        let mut state = self.lock();
        loop {
            let now = clock.now().get();
            let round =
                if state.stopping { state.commit.begin_all() } else { state.commit.begin(now) };
            if !round.is_empty() {
                let partition = |flush: &thalweg_storage::Flush<TopicPartition>| {
                    state.partitions.get(&flush.log).map(Arc::clone)
                };
                let round: Vec<_> = round.iter().filter_map(partition).collect();
                state.round = Tally { logs: round.len(), done: 0, began: clock.now() };
                return Some(round);
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

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is changed by whole calls of the pure value; a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Everything that waits here, whose waiting is over.
    fn abandoned(&mut self, metrics: &SyncMetrics) -> Vec<Arc<Partition>> {
        metrics.queued(self.partitions.len(), 0);
        let abandoned: Vec<_> = self.partitions.drain().map(|(_, partition)| partition).collect();
        for partition in &abandoned {
            self.commit.removed(&partition.at());
        }
        abandoned
    }
}

/// Syncs the partition's log.
fn sync_one(partition: &Arc<Partition>) -> io::Result<Offset> {
    // Before the end is captured: an append from here on announces itself again.
    partition.dirty.take();
    let mut result = partition.reader().sync();
    if result.is_err() && planted(Defect::RetryFailedSync) {
        result = partition.reader().sync();
    }
    result
}
