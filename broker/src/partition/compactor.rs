//! The thread that compacts logs: which is due, how fast it goes, and what became of it.
//!
//! Owns the order (whoever was asked for, then the largest dirty share), the throttle, and what is known of each
//! compacted log. What a run does is storage's. A log whose run fails stays as it is and is tried again later,
//! unless somebody asks sooner; the others go on.

mod asked;
mod throttle;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use thalweg_protocol::{TimestampMs, TopicPartition};
use thalweg_storage::{
    Compacted, CompactionError, CompactionOptions, CompactionPlan, CompactionRequest, LogError,
    compact,
};

use self::asked::Shared;
pub use self::asked::{CompactorHandle, Standing};
use self::throttle::Throttle;
use super::partition::Partition;
use super::table::Table;
use crate::base::Clock;
use crate::metrics::CompactionMetrics;

/// A log whose run failed is left alone for so long.
const RETRY_AFTER: Duration = Duration::from_mins(5);

/// A run that was asked for waits so long at most for the closed segment to be synced and committed.
const STABLE_WITHIN: Duration = Duration::from_secs(10);

/// How often that is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

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

/// The compactor's thread; ends with [`Compactor::stop`].
#[derive(Debug)]
pub struct Compactor {
    handle: CompactorHandle,
    thread: Option<JoinHandle<()>>,
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
        let mut throttle = Throttle::new(begun);
        let mut pace = |bytes| {
            let until = throttle.spend(bytes, self.options.bytes_per_second_max);
            until.is_none_or(|until| self.shared.wait(until.since(self.clock.now()), false))
        };
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
                let mut state = self.shared.state();
                if state.logs.entry(at).or_default().begins_again() {
                    tracing::debug!(%partition, "compaction begins again: the log was cut meanwhile");
                    state.asked.insert(at);
                    drop(state);
                    self.shared.wait(LOOK_AGAIN, false);
                } else {
                    drop(state);
                    self.metrics.failed();
                    tracing::warn!(%partition, "compaction was interrupted each time that it began");
                }
            }
            Err(error) if error.is_passing() => self.note(at, |log| log.is_asked = false),
            Err(error) => {
                self.metrics.failed();
                tracing::warn!(%partition, %error, retry_after = ?RETRY_AFTER, "compaction failed");
                let retry_at = self.clock.now().plus(RETRY_AFTER);
                self.note(at, |log| {
                    log.is_asked = false;
                    log.interruptions = 0;
                    log.failure = Some(error.to_string());
                    log.retry_at = retry_at;
                });
            }
        }
    }

    fn note(&self, at: TopicPartition, change: impl FnOnce(&mut Standing)) {
        change(self.shared.state().logs.entry(at).or_default());
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
