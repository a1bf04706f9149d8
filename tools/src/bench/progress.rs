//! The line that says how far a run is, on a terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock::Started;
use crate::values;

/// How often the line changes: to be read, not to be waited for.
const TICK: Duration = Duration::from_millis(250);

/// A line on a terminal, nothing elsewhere.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Shows nothing yet.
    pub(super) fn new(is_terminal: bool) -> Self {
        let bar = if is_terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// What is done now.
    pub(super) fn phase(&self, phase: &'static str) {
        self.bar.set_message(phase);
        self.bar.tick();
    }

    /// Shows a count that grows, until the answer is dropped.
    pub(super) fn count(&self, phase: &'static str, records: Arc<AtomicU64>) -> Counting {
        if self.bar.is_hidden() {
            return Counting(None);
        }
        let bar = self.bar.clone();
        let started = Started::now();
        let from = records.load(Ordering::Relaxed);
        Counting(Some(tokio::spawn(async move {
            let mut ticks = interval(TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                let count = records.load(Ordering::Relaxed).saturating_sub(from);
                let rate = values::grouped(values::rate(count, started.elapsed()));
                let count = values::grouped(count);
                bar.set_message(format!("{phase}: {count} records, {rate} records/s"));
                bar.tick();
            }
        })))
    }

    /// Takes the line away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Ends the counting when it is dropped.
pub(super) struct Counting(Option<JoinHandle<()>>);

impl Drop for Counting {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}
