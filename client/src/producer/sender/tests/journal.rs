//! What happened in one run: printed when the run fails, and counted, since a fault that never happened proves nothing.

use std::collections::BTreeMap;
use std::fmt::Display;

/// So many of the last lines are printed.
const PRINTED: usize = 60;

/// What happened how often.
pub(super) type Counts = BTreeMap<&'static str, u64>;

pub(super) struct Journal {
    seed: u64,
    pub(super) lines: Vec<String>,
    pub(super) counts: Counts,
}

impl Journal {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, lines: Vec::new(), counts: Counts::new() }
    }

    pub(super) fn note(&mut self, what: &'static str, detail: impl Display) {
        self.lines.push(format!("{what}: {detail}"));
        *self.counts.entry(what).or_default() += 1;
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let last = self.lines.len().saturating_sub(PRINTED);
            let lines = self.lines[last..].join("\n  ");
            eprintln!("SEED={} N=1 runs it again. What happened last:\n  {lines}", self.seed);
        }
    }
}
