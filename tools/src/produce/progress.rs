//! The progress bar of a long run.

use indicatif::{ProgressBar, ProgressStyle};
use thalweg_client::ProducerStats;

use crate::values;

/// A bar on a terminal, nothing elsewhere.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Of so many bytes, if that is known.
    pub(super) fn new(bytes: Option<u64>, is_terminal: bool) -> Self {
        const KNOWN: &str = "{bar:30} {percent:>3}%  {binary_bytes_per_sec}  {msg}  {eta} left";
        const UNKNOWN: &str = "{spinner} {binary_bytes}  {binary_bytes_per_sec}  {msg}";
        let (bar, template) = match bytes {
            _ if !is_terminal => (ProgressBar::hidden(), UNKNOWN),
            Some(bytes) => (ProgressBar::new(bytes), KNOWN),
            None => (ProgressBar::new_spinner(), UNKNOWN),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// So many bytes more were read, and so many records delivered in all.
    pub(super) fn advance(&self, read_bytes: u64, delivered: u64, stats: &ProducerStats) {
        self.bar.inc(read_bytes);
        self.bar.set_message(message(delivered, stats));
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn message(delivered: u64, stats: &ProducerStats) -> String {
    format!(
        "{} delivered  {} waiting in {} batches in flight  {}",
        values::grouped(delivered),
        values::size(stats.buffered_bytes),
        stats.in_flight,
        retries(stats.retries),
    )
}

/// How often a batch was sent again, in words.
pub(super) fn retries(count: u64) -> String {
    match count {
        1 => "1 retry".to_owned(),
        count => format!("{} retries", values::grouped(count)),
    }
}
