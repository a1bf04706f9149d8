//! What is counted of log directories: space, syncs, recovery.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge};
use thalweg_storage::{DirState, RecoveryReport};

use super::histogram::Histogram;
use super::names;
use super::registry::{Registry, amount};

/// One log directory.
#[derive(Debug)]
pub struct DirectoryMetrics {
    /// What may still be written on its disk, in bytes.
    pub free_bytes: Gauge,
    /// The size of its disk, in bytes.
    pub size_bytes: Gauge,
    /// With less free space it takes no writes, in bytes.
    pub free_bytes_min: Gauge,
    /// What its logs take, in bytes.
    pub log_bytes: Gauge,
    /// Segments removed by retention or by deleting records.
    pub removed_segments: Counter,
    /// Bytes of deleted segments that readers still hold.
    pub pinned_bytes: Gauge,
    /// Bytes that the scrub has checked.
    pub scrubbed_bytes: Counter,
    /// Times an append reserved blocks or made a segment's file itself.
    pub made_in_append: Counter,
    /// Its syncs.
    pub syncs: Arc<SyncMetrics>,
    /// What opening its logs found.
    pub recovery: Arc<RecoveryMetrics>,
    states: [(DirectoryState, Gauge); 3],
}

/// Whether a log directory can be written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryState {
    /// Both.
    Online,
    /// Read only: its disk is nearly full.
    ReadOnly,
    /// Neither: its disk failed.
    Offline,
}

impl DirectoryState {
    /// The state as a metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::ReadOnly => "read_only",
            Self::Offline => "offline",
        }
    }
}

impl From<&DirState> for DirectoryState {
    fn from(state: &DirState) -> Self {
        match state {
            DirState::Online => Self::Online,
            DirState::ReadOnly { .. } => Self::ReadOnly,
            DirState::Offline { .. } => Self::Offline,
        }
    }
}

/// How logs reach stable storage.
#[derive(Debug)]
pub struct SyncMetrics {
    syncs: Counter,
    failures: Counter,
    seconds: Histogram,
    logs: Histogram,
    queue: Gauge,
}

/// What opening logs found.
#[derive(Debug)]
pub struct RecoveryMetrics {
    /// Logs opened after an unclean stop.
    pub logs: Counter,
    /// How long the opening of all logs took.
    pub seconds: Gauge,
    /// Bytes above the recovery point that were cut off and kept aside.
    pub cut_bytes: Counter,
    /// Damaged ranges found below the recovery point.
    pub corrupt_ranges: Counter,
}

impl DirectoryMetrics {
    pub(super) fn new(registry: &Registry, path: &Path) -> Self {
        let directory = path.display().to_string();
        let labels = [directory.as_str()];
        let gauge = |metric| registry.gauge(metric, &labels);
        let state = |state: DirectoryState| {
            (state, registry.gauge(names::DIRECTORY_STATE, &[&directory, state.label()]))
        };
        let metrics = Self {
            free_bytes: gauge(names::DIRECTORY_FREE),
            size_bytes: gauge(names::DIRECTORY_SIZE),
            free_bytes_min: gauge(names::DIRECTORY_FREE_MIN),
            log_bytes: gauge(names::DIRECTORY_LOGS),
            removed_segments: registry.counter(names::REMOVED_SEGMENTS, &labels),
            pinned_bytes: gauge(names::PINNED_BYTES),
            scrubbed_bytes: registry.counter(names::SCRUBBED_BYTES, &labels),
            made_in_append: registry.counter(names::MADE_IN_APPEND, &labels),
            syncs: Arc::new(SyncMetrics {
                syncs: registry.counter(names::SYNCS, &labels),
                failures: registry.counter(names::SYNC_FAILURES, &labels),
                seconds: registry.histogram(names::SYNC_SECONDS, &labels),
                logs: registry.histogram(names::SYNC_LOGS, &labels),
                queue: gauge(names::SYNC_QUEUE),
            }),
            recovery: Arc::new(RecoveryMetrics {
                logs: registry.counter(names::RECOVERED_LOGS, &labels),
                seconds: gauge(names::RECOVERY_SECONDS),
                cut_bytes: registry.counter(names::CUT_BYTES, &labels),
                corrupt_ranges: registry.counter(names::CORRUPT_RANGES, &labels),
            }),
            states: [
                state(DirectoryState::Online),
                state(DirectoryState::ReadOnly),
                state(DirectoryState::Offline),
            ],
        };
        metrics.set_state(DirectoryState::Online);
        metrics
    }

    /// The state that the directory is in now.
    pub fn set_state(&self, now: DirectoryState) {
        for (state, gauge) in &self.states {
            gauge.set(u8::from(*state == now));
        }
    }
}

impl RecoveryMetrics {
    /// A log was opened; `was_clean` says how its directory was left.
    pub fn opened(&self, report: &RecoveryReport, was_clean: bool) {
        self.logs.increment(u64::from(!was_clean));
        self.cut_bytes.increment(report.cut_bytes);
        self.corrupt_ranges.increment(u64::try_from(report.bad_ranges.len()).unwrap_or(u64::MAX));
    }
}

impl SyncMetrics {
    /// The sync of a group of `logs` has come to its first result.
    pub fn grouped(&self, logs: usize) {
        self.syncs.increment(1);
        self.logs.record(u64::try_from(logs).unwrap_or(u64::MAX));
    }

    /// A whole group was synced in `time`.
    pub fn took(&self, time: Duration) {
        self.seconds.record_time(time);
    }

    /// Of those that wait for a sync or are being synced, one lane has `now` logs instead of `before`.
    pub fn queued(&self, before: usize, now: usize) {
        if before != now {
            let count = |logs: usize| amount(u64::try_from(logs).unwrap_or(u64::MAX));
            self.queue.increment(count(now) - count(before));
        }
    }

    /// The sync of one log failed.
    pub fn failed(&self) {
        self.failures.increment(1);
    }
}
