//! The thread that compacts logs: which is due, how fast it goes, and what became of it.
//!
//! Owns the order (whoever was asked for, then the largest dirty share), the throttle, and what is known of each
//! compacted log. What a run does is storage's. A log whose run fails stays as it is and is tried again later,
//! unless somebody asks sooner; the others go on.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use thalweg_protocol::{TimestampMs, TopicPartition};
use thalweg_storage::{
    Compacted, CompactionError, CompactionOptions, CompactionPlan, CompactionRequest, LogError,
    compact,
};

use super::partition::Partition;
use super::table::Table;
use crate::base::{Clock, Monotonic};
use crate::metrics::CompactionMetrics;

/// A log whose run failed is left alone for so long.
const RETRY_AFTER: Duration = Duration::from_mins(5);

/// A run that was asked for waits so long at most for the closed segment to be synced and committed.
const STABLE_WITHIN: Duration = Duration::from_secs(10);

/// How often that is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// After so many bytes the throttle looks at the clock.
const PACE_BYTES: u64 = 64 * 1024;

/// How the compactor works.
#[derive(Clone, Copy, Debug)]
pub struct CompactorOptions {
    /// How often logs are looked at.
    pub interval: Duration,
    /// The most that the map of keys may take, in bytes.
    pub memory_bytes_max: usize,
    /// The most that is read and written in a second, in bytes.
    pub bytes_per_second_max: u64,
}

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
    retry_at: Monotonic,
}

/// The compactor's thread; ends with [`Compactor::stop`].
#[derive(Debug)]
pub struct Compactor {
    handle: CompactorHandle,
    thread: Option<JoinHandle<()>>,
}

/// Asks the compactor; cheap to clone.
#[derive(Clone, Debug)]
pub struct CompactorHandle {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    /// At most one entry for each partition.
    asked: BTreeSet<TopicPartition>,
    logs: HashMap<TopicPartition, Standing>,
}

impl Compactor {
    /// Starts the thread.
    pub fn start(
        options: CompactorOptions,
        table: Arc<Table>,
        clock: Arc<dyn Clock>,
        metrics: Arc<CompactionMetrics>,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let handle = CompactorHandle { shared: Arc::clone(&shared) };
        let worker = Worker { options, table, clock, metrics, shared };
        let run = move || worker.run();
        let thread = std::thread::Builder::new().name("compaction".to_owned()).spawn(run)?;
        Ok(Self { handle, thread: Some(thread) })
    }

    /// What asks it.
    pub fn handle(&self) -> CompactorHandle {
        self.handle.clone()
    }

    /// Ends the thread; a run under way ends with the batch that it is at.
    pub fn stop(mut self) {
        self.handle.shared.state().stopped = true;
        self.handle.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the compaction thread has panicked; see above");
        }
    }
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
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one step: a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a stop, or with `or_asked` for somebody to ask, at most for `duration`. False after a stop.
    fn wait(&self, duration: Duration, or_asked: bool) -> bool {
        let quiet = |state: &mut State| !(state.stopped || (or_asked && !state.asked.is_empty()));
        let waited = self.changed.wait_timeout_while(self.state(), duration, quiet);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.stopped
    }

    fn next_asked(&self) -> Option<TopicPartition> {
        let mut state = self.state();
        if state.stopped { None } else { state.asked.pop_first() }
    }
}

/// What the thread works with.
struct Worker {
    options: CompactorOptions,
    table: Arc<Table>,
    clock: Arc<dyn Clock>,
    metrics: Arc<CompactionMetrics>,
    shared: Arc<Shared>,
}

impl Worker {
    fn run(self) {
        while self.shared.wait(self.options.interval, true) {
            self.serve_asked();
            for partition in self.due() {
                if !self.shared.wait(Duration::ZERO, false) {
                    return;
                }
                self.compact(&partition, false);
                self.serve_asked();
            }
        }
    }

    /// Carries out what somebody asked for.
    fn serve_asked(&self) {
        while let Some(at) = self.shared.next_asked() {
            match self.table.get(at) {
                Ok(partition) => {
                    self.make_stable(&partition);
                    self.compact(&partition, true);
                }
                Err(error) => self.note(at, |log| {
                    log.is_asked = false;
                    log.failure = Some(error.to_string());
                }),
            }
        }
    }

    /// The partitions whose logs are due, those with the largest dirty share first.
    fn due(&self) -> Vec<Arc<Partition>> {
        let now = self.clock.now();
        let mut online = self.table.online();
        online.retain(|partition| partition.is_compacted());
        self.forget_others(&online);
        let mut due = Vec::new();
        for partition in online {
            if let Err(error) = partition.close_segment(self.clock.wall(), false) {
                tracing::warn!(%partition, %error, "no segment closed for compaction");
            }
            let Some(plan) = partition.plan_compaction(self.clock.wall()) else { continue };
            let known = self.shared.state().logs.get(&partition.at()).cloned().unwrap_or_default();
            let (topic, number) = (partition.topic(), partition.at().partition);
            self.metrics.show(topic, number, plan.dirty_ppm(), known.failure.is_some());
            if plan.is_due && now >= known.retry_at {
                due.push((plan.dirty_ppm(), partition));
            }
        }
        due.sort_by_key(|(ppm, _)| std::cmp::Reverse(*ppm));
        due.into_iter().map(|(_, partition)| partition).collect()
    }

    fn forget_others(&self, online: &[Arc<Partition>]) {
        let there: BTreeSet<_> = online.iter().map(|partition| partition.at()).collect();
        self.shared.state().logs.retain(|at, _| there.contains(at));
        let named = online.iter().map(|it| (it.topic().clone(), it.at().partition)).collect();
        self.metrics.keep(&named);
    }

    /// Closes the active segment and waits until it is synced and committed: what was written before somebody
    /// asked is compacted, too.
    fn make_stable(&self, partition: &Arc<Partition>) {
        let end = partition.reader().log_end();
        if let Err(error) = partition.close_segment(self.clock.wall(), true) {
            tracing::warn!(%partition, %error, "no segment closed for compaction");
            return;
        }
        let begun = self.clock.now();
        let is_stable = || partition.reader().synced_end().min(partition.high_watermark()) >= end;
        while !is_stable()
            && self.clock.now().since(begun) < STABLE_WITHIN
            && self.shared.wait(LOOK_AGAIN, false)
        {}
    }

    fn compact(&self, partition: &Arc<Partition>, is_asked: bool) {
        let (at, begun) = (partition.at(), self.clock.now());
        let request = partition.request(&self.options, self.clock.wall(), is_asked);
        let mut throttle = Throttle { begun, spent: 0, looked: 0 };
        let mut pace = |bytes| self.pace(&mut throttle, bytes);
        let with_log = |with: &mut dyn FnMut(&mut _)| partition.with_log(with);
        let outcome = compact(partition.reader(), &with_log, &request, &mut pace);
        let took = self.clock.now().since(begun);
        match outcome {
            Ok(sum) => {
                self.metrics.ran(&sum, took);
                tell(partition, &sum, took);
                self.note(at, |log| {
                    *log = Standing {
                        runs: log.runs + 1,
                        before_bytes: sum.before_bytes,
                        after_bytes: sum.after_bytes,
                        ..Standing::default()
                    };
                });
            }
            Err(CompactionError::Interrupted) if is_asked => {
                tracing::debug!(%partition, "compaction begins again: the log was cut meanwhile");
                self.shared.wait(LOOK_AGAIN, false);
                self.shared.state().asked.insert(at);
            }
            Err(error) if error.is_passing() => self.note(at, |log| log.is_asked = false),
            Err(error) => {
                self.metrics.failed();
                tracing::warn!(%partition, %error, retry_after = ?RETRY_AFTER, "compaction failed");
                let retry_at = self.clock.now().plus(RETRY_AFTER);
                self.note(at, |log| {
                    log.is_asked = false;
                    log.failure = Some(error.to_string());
                    log.retry_at = retry_at;
                });
            }
        }
    }

    fn note(&self, at: TopicPartition, change: impl FnOnce(&mut Standing)) {
        change(self.shared.state().logs.entry(at).or_default());
    }

    /// Waits as long as the run is ahead of the rate; false after a stop.
    fn pace(&self, throttle: &mut Throttle, bytes: u64) -> bool {
        throttle.spent += bytes;
        if throttle.spent - throttle.looked < PACE_BYTES {
            return true;
        }
        throttle.looked = throttle.spent;
        let due = throttle.due(self.options.bytes_per_second_max);
        self.shared.wait(due.since(self.clock.now()), false)
    }
}

/// How much a run has read and written.
struct Throttle {
    begun: Monotonic,
    spent: u64,
    /// What had been spent when the clock was looked at.
    looked: u64,
}

impl Throttle {
    /// When so many bytes may have been spent.
    fn due(&self, bytes_per_second_max: u64) -> Monotonic {
        let ms = u128::from(self.spent) * 1000 / u128::from(bytes_per_second_max.max(1));
        self.begun.plus(Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)))
    }
}

fn tell(partition: &Partition, sum: &Compacted, took: Duration) {
    if sum.groups > 0 {
        let Compacted { passes, before_bytes, after_bytes, removed_records, .. } = *sum;
        tracing::info!(
            %partition, passes, before_bytes, after_bytes, removed_records, ?took, "log compacted"
        );
    }
}

impl Partition {
    /// Whether the topic's log is compacted.
    pub fn is_compacted(&self) -> bool {
        self.settings().log.compaction.is_some()
    }

    /// What a run would do now; nothing when the log is not compacted.
    pub fn plan_compaction(&self, now: TimestampMs) -> Option<CompactionPlan> {
        let rules: CompactionOptions = self.settings().log.compaction?;
        let request = CompactionRequest {
            high_watermark: self.high_watermark(),
            now,
            memory_bytes_max: 0,
            is_asked: false,
        };
        Some(self.reader.plan_compaction(&rules, &request))
    }

    fn request(
        &self,
        options: &CompactorOptions,
        now: TimestampMs,
        is_asked: bool,
    ) -> CompactionRequest {
        CompactionRequest {
            high_watermark: self.high_watermark(),
            now,
            memory_bytes_max: options.memory_bytes_max,
            is_asked,
        }
    }

    /// Closes the active segment when it is time, or at once if asked, and has it synced.
    fn close_segment(self: &Arc<Self>, now: TimestampMs, is_asked: bool) -> Result<(), LogError> {
        let mut closed = Ok(false);
        self.with_log(&mut |log| {
            closed =
                if is_asked { log.roll().map(|()| true) } else { log.roll_for_compaction(now) };
        });
        if closed? {
            self.directory.flusher().dirty(self);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttle_spreads_bytes_evenly() {
        let begun = Monotonic::from_ms(500);
        let due = |spent| Throttle { begun, spent, looked: 0 }.due(1_000_000);
        assert_eq!(due(0), begun);
        assert_eq!(due(1_000_000), Monotonic::from_ms(1500));
        assert_eq!(due(250_000), Monotonic::from_ms(750));
    }
}
