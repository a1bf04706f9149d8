//! One log directory with all that belongs to it while the broker runs: its flusher, its preparer and its figures.

use std::sync::Arc;

use thalweg_storage::checkpoint::CheckpointError;
use thalweg_storage::{DirState, LogDir};

use super::flusher::Flusher;
use super::preparer::Preparer;
use super::table::Table;
use crate::metrics::{DirectoryMetrics, DirectoryState, amount};

/// A log directory at work.
#[derive(Debug)]
pub struct Directory {
    dir: Arc<LogDir>,
    flusher: Flusher,
    preparer: Preparer,
    metrics: Arc<DirectoryMetrics>,
}

impl Directory {
    /// A directory whose flusher and preparer run.
    pub const fn new(
        dir: Arc<LogDir>,
        flusher: Flusher,
        preparer: Preparer,
        metrics: Arc<DirectoryMetrics>,
    ) -> Self {
        Self { dir, flusher, preparer, metrics }
    }

    /// The directory itself.
    pub const fn dir(&self) -> &Arc<LogDir> {
        &self.dir
    }

    /// What brings its logs to stable storage.
    pub const fn flusher(&self) -> &Flusher {
        &self.flusher
    }

    /// What makes ready what its logs need next.
    pub const fn preparer(&self) -> &Preparer {
        &self.preparer
    }

    /// What is counted of it.
    pub const fn metrics(&self) -> &Arc<DirectoryMetrics> {
        &self.metrics
    }

    /// Writes down how far each of its logs is on stable storage, if that changed. What cannot be written is
    /// tried again the next time: a restart then reads more, and loses nothing.
    pub fn checkpoint(&self, table: &Table) {
        if matches!(self.dir.state(), DirState::Offline { .. }) {
            return;
        }
        let held = table.held_by(self.dir.directory_id());
        let marks = || held.iter().map(|partition| partition.recovery_mark());
        let highs = held.iter().map(|partition| (partition.at(), partition.high_watermark()));
        let starts = held.iter().map(|partition| (partition.at(), partition.reader().log_start()));
        let written = self
            .dir
            .write_recovery_points(marks)
            .and_then(|()| self.dir.write_log_starts(starts))
            .and_then(|()| self.dir.write_high_watermarks(highs));
        self.report("checkpoint", written);
    }

    /// Writes down when each segment was last appended to, if that changed: retention counts from there.
    pub fn note_appends(&self, table: &Table) {
        if matches!(self.dir.state(), DirState::Offline { .. }) {
            return;
        }
        let held = table.held_by(self.dir.directory_id());
        let appends = held.iter().map(|partition| (partition.at(), partition.segment_appends()));
        self.report("times of last appends", self.dir.write_last_appends(appends));
    }

    fn report(&self, what: &str, written: Result<(), CheckpointError>) {
        if let Err(error) = written {
            let dir = self.dir.path().display();
            tracing::warn!(%dir, %error, "{what} not written; trying again");
        }
    }

    /// Shows how it stands, for the metrics; its logs take `log_bytes`.
    pub fn show(&self, log_bytes: u64) {
        self.metrics.log_bytes.set(amount(log_bytes));
        self.metrics.set_state(DirectoryState::from(&self.dir.state()));
        // A disk that does not answer keeps the figures that it last had.
        if let Ok(space) = self.dir.fs().space(self.dir.path()) {
            self.metrics.free_bytes.set(amount(space.free));
            self.metrics.size_bytes.set(amount(space.total));
        }
    }

    /// Its state and the reason for it, in words.
    pub fn state_in_words(&self) -> (&'static str, String) {
        match self.dir.state() {
            DirState::Online => ("online", String::new()),
            DirState::ReadOnly { free } => (
                "read-only",
                format!("{free} bytes are free, less than storage.free_bytes_min asks for"),
            ),
            DirState::Offline { reason } => ("offline", reason.to_string()),
        }
    }
}
