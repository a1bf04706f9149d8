//! Group commit of one log directory, as a pure value: which logs to sync now, and what may be published then.
//!
//! One round of syncs is in flight at a time; everything that is appended meanwhile joins the next. The more
//! arrives during a slow sync, the larger the next group: so the disk sets the pace and nobody waits for a
//! timer.
//!
//! ```text
//!     appended(a, 7)  begin -> [(a, 7)]  appended(a, 9)  finished(a) -> publish (a, 7)   begin -> [(a, 9)]
//!                                        ^ after the end was taken: not covered
//! ```
//!
//! Never reads a clock, syncs a file or publishes an end; the flusher does, on what this says. Times are
//! monotonic, counted from any fixed moment.
//! Invariants: an end is published only after a sync that began when everything below it was written; after
//! a failed sync nothing is published any more; every append is in a round at the latest when it is due.

use std::collections::BTreeMap;
use std::time::Duration;

use thalweg_protocol::Offset;

/// How soon appended bytes have to be on stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// In the next round: a `synced` topic.
    Now,
    /// Within the bounds of [`FlushLimits`], also when nobody waits: a `replicated` topic.
    Later,
}

/// How long bytes of `replicated` topics may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushLimits {
    /// From the first unsynced append on.
    pub wait_max: Duration,
    /// Unsynced bytes of one log.
    pub bytes_max: u64,
}

impl Default for FlushLimits {
    fn default() -> Self {
        // While one log brings so much to the disk, the syncs of others wait there for a tenth of a second at worst, as
        // measured; behind 1 GiB it was most of a second.
        Self { wait_max: Duration::from_secs(5), bytes_max: 64 << 20 }
    }
}

/// A log and how far it is, or will be, on stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flush<K> {
    /// The log.
    pub log: K,
    /// The offset after the last record that is covered.
    pub end: Offset,
}

/// Whether the sync of one log succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncResult {
    /// Everything written before the sync began is on stable storage.
    Synced,
    /// Nobody knows what is. The directory goes offline.
    Failed,
}

/// The state of group commit; `K` names a log.
#[derive(Debug)]
pub struct GroupCommit<K> {
    limits: FlushLimits,
    dirty: BTreeMap<K, Dirty>,
    /// The logs of the round in flight, with the ends that may be published for them.
    in_flight: BTreeMap<K, Offset>,
    failed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Dirty {
    end: Offset,
    bytes: u64,
    due: Duration,
}

impl<K: Clone + Ord> GroupCommit<K> {
    /// Nothing is dirty.
    pub fn new(limits: FlushLimits) -> Self {
        Self { limits, dirty: BTreeMap::new(), in_flight: BTreeMap::new(), failed: false }
    }

    /// `bytes` were written to `log`, whose end is now `end`.
    pub fn appended(&mut self, log: K, end: Offset, bytes: u64, urgency: Urgency, now: Duration) {
        let latest = match urgency {
            Urgency::Now => now,
            Urgency::Later => now.saturating_add(self.limits.wait_max),
        };
        let dirty = self.dirty.entry(log).or_insert(Dirty { end, bytes: 0, due: latest });
        dirty.end = end;
        dirty.bytes = dirty.bytes.saturating_add(bytes);
        dirty.due = dirty.due.min(latest);
        if dirty.bytes >= self.limits.bytes_max {
            dirty.due = dirty.due.min(now);
        }
    }

    /// `log` was cut: its end is now `end`. What a round in flight covers above that is no longer in the log,
    /// even if other records take its offsets.
    pub fn truncated(&mut self, log: &K, end: Offset) {
        if let Some(dirty) = self.dirty.get_mut(log) {
            dirty.end = dirty.end.min(end);
        }
        if let Some(taken) = self.in_flight.get_mut(log) {
            *taken = end.min(*taken);
        }
    }

    /// `log` is closed or deleted; what a round in flight says of it is ignored.
    pub fn removed(&mut self, log: &K) {
        self.dirty.remove(log);
        self.in_flight.remove(log);
    }

    /// Begins a round with every log that is due; empty when none is, when a round is in flight, or after
    /// a failure. The syncs must begin after this returns.
    pub fn begin(&mut self, now: Duration) -> Vec<Flush<K>> {
        if self.failed || !self.in_flight.is_empty() {
            return Vec::new();
        }
        let due = self.dirty.extract_if(.., |_, dirty| dirty.due <= now);
        self.in_flight = due.map(|(log, dirty)| (log, dirty.end)).collect();
        let flushes = self.in_flight.iter();
        flushes.map(|(log, end)| Flush { log: log.clone(), end: *end }).collect()
    }

    /// Begins a round with every dirty log, due or not: for a clean stop.
    pub fn begin_all(&mut self) -> Vec<Flush<K>> {
        self.begin(Duration::MAX)
    }

    /// Some or all logs of the round in flight are done; says which ends may be published. The round ends
    /// with its last log.
    pub fn finished(
        &mut self,
        results: impl IntoIterator<Item = (K, SyncResult)>,
    ) -> Vec<Flush<K>> {
        let mut publish = Vec::new();
        for (log, result) in results {
            let Some(end) = self.in_flight.remove(&log) else { continue };
            self.failed |= result == SyncResult::Failed;
            if !self.failed {
                publish.push(Flush { log, end });
            }
        }
        publish
    }

    /// When the next round should begin; `None` while one is in flight (its end is the time), when nothing is
    /// dirty, or after a failure.
    pub fn next_due(&self) -> Option<Duration> {
        if self.failed || !self.in_flight.is_empty() {
            return None;
        }
        self.dirty.values().map(|dirty| dirty.due).min()
    }

    /// Whether a round to come has to sync `log`.
    pub fn is_dirty(&self, log: &K) -> bool {
        self.dirty.contains_key(log)
    }

    /// Whether a sync failed: no round begins any more.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether nothing is dirty and no round in flight.
    pub fn is_idle(&self) -> bool {
        self.dirty.is_empty() && self.in_flight.is_empty()
    }
}

#[cfg(test)]
mod tests;
