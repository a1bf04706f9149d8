//! What is counted of log directories: space, syncs, recovery.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use thalweg_storage::RecoveryReport;

use super::names;
use super::registry::Registry;
use super::series::{Counter, Gauge, Histogram};

/// One log directory.
#[derive(Debug)]
pub struct DirectoryMetrics {
    /// What may still be written on its disk, in bytes.
    pub free_bytes: Gauge,
    /// The size of its disk, in bytes.
    pub size_bytes: Gauge,
    /// Space of deleted segments that slow readers still hold, in bytes.
    pub pinned_bytes: Gauge,
    /// Log files held open.
    pub open_files: Gauge,
    /// Log files mapped into memory.
    pub maps: Gauge,
    /// Segments removed by retention or by deleting records.
    pub removed_segments: Counter,
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

/// How logs reach stable storage.
#[derive(Debug)]
pub struct SyncMetrics {
    syncs: Counter,
    failures: Counter,
    seconds: Histogram,
    logs: Histogram,
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
            pinned_bytes: gauge(names::DIRECTORY_PINNED),
            open_files: gauge(names::DIRECTORY_OPEN_FILES),
            maps: gauge(names::DIRECTORY_MAPS),
            removed_segments: registry.counter(names::REMOVED_SEGMENTS, &labels),
            syncs: Arc::new(SyncMetrics {
                syncs: registry.counter(names::SYNCS, &labels),
                failures: registry.counter(names::SYNC_FAILURES, &labels),
                seconds: registry.histogram(names::SYNC_SECONDS, &labels),
                logs: registry.histogram(names::SYNC_LOGS, &labels),
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
            gauge.set(i64::from(*state == now));
        }
    }
}

impl RecoveryMetrics {
    /// A log was opened after an unclean stop.
    pub fn recovered(&self, report: &RecoveryReport) {
        self.logs.increment();
        self.cut_bytes.add(report.cut_bytes);
        self.corrupt_ranges.add(u64::try_from(report.bad_ranges.len()).unwrap_or(u64::MAX));
    }
}

impl SyncMetrics {
    /// A group of `logs` reached stable storage in `took`.
    pub fn synced(&self, logs: usize, took: Duration) {
        self.syncs.increment();
        self.seconds.record(took);
        self.logs.record_count(u64::try_from(logs).unwrap_or(u64::MAX));
    }

    /// A sync failed.
    pub fn failed(&self) {
        self.failures.increment();
    }
}
