//! What a broker does to its logs between a start and a stop, one thing at a time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use thalweg_protocol::{Offset, TimestampMs, TopicPartition};
use thalweg_storage::defects::{Defect, planted};
use thalweg_storage::fs::FileSystem;
use thalweg_storage::{DirState, SyncResult, Urgency};

use crate::lives::{Life, Verdict, ensure};
use crate::part::{Attempt, Part};
use crate::world::{World, lock, recovery_mark};

/// The next segment's file, until a roll gives it its base offset.
const NEXT_SEGMENT_FILE: &str = "next-segment.tmp";

impl World {
    pub(crate) fn pick(&mut self) -> usize {
        self.rng.usize(0..self.parts.len())
    }

    pub(crate) fn append(&mut self) -> Verdict {
        let at = self.pick();
        let attempt = append_to(&self.parts[at], &mut self.rng, self.now)?;
        self.noted(at, attempt)
    }

    fn noted(&mut self, at: usize, attempt: Attempt) -> Verdict {
        if let Attempt::Refused(error) = attempt {
            return self.refused(at, &error);
        }
        self.seen.appended += 1;
        let part = self.part(at);
        let (id, end) = (part.id, Offset::new(part.history.end()));
        drop(part);
        self.group.appended(id, end, 1, Urgency::Now, Duration::ZERO);
        Ok(())
    }

    /// An append was refused: the machine is down, the directory failed, or the disk is full.
    fn refused(&mut self, at: usize, error: &str) -> Verdict {
        if self.disk.is_down() {
            return Ok(());
        }
        self.part(at).history.open_append = None;
        match self.dir().state() {
            // The checksum does not cover the leader epoch: a flipped bit in the last batch's may fence us.
            DirState::Online if self.is_damaged && error.contains("epoch") => {
                self.seen.fenced_by_damage += 1;
                Ok(())
            }
            DirState::Online => Err(format!("an append was refused without a reason: {error}")),
            DirState::ReadOnly { .. } => {
                self.seen.refused_full += 1;
                Ok(())
            }
            DirState::Offline { .. } => Ok(()),
        }
    }

    pub(crate) fn repeat(&mut self) -> Verdict {
        let at = self.pick();
        if self.dir().state() != DirState::Online {
            return Ok(());
        }
        let repeated = lock(&self.parts[at]).repeat(&mut self.rng, self.now);
        if self.is_stopped() {
            return Ok(());
        }
        self.seen.repeated += u64::from(repeated?);
        Ok(())
    }

    pub(crate) fn skip_sequences(&mut self) -> Verdict {
        let at = self.pick();
        let part = Arc::clone(&self.parts[at]);
        let mut part = lock(&part);
        self.seen.gaps_refused += 1;
        part.skip_sequences(&mut self.rng, self.now)
    }

    pub(crate) fn new_epoch(&mut self) {
        let at = self.pick();
        let fences = self.rng.bool();
        let part = Arc::clone(&self.parts[at]);
        let mut part = lock(&part);
        part.leader_epoch += 1;
        if fences {
            part.fence_writer(&mut self.rng);
        }
    }

    /// One round of group commit; sometimes something is appended while a sync runs.
    pub(crate) fn sync(&mut self) -> Verdict {
        let round = self.group.begin(Duration::ZERO);
        for flush in round {
            let at = self.at(flush.log);
            let reader = self.part(at).log().reader();
            let appends = self.rng.u8(0..3) == 0;
            let attempts = if appends { self.append_during_sync(at) } else { Arc::default() };
            let failed = self.failures();
            let mut synced = reader.sync();
            if synced.is_err() && planted(Defect::RetryFailedSync) {
                synced = reader.sync();
            }
            self.disk.clear_hook();
            for attempt in std::mem::take(&mut *lock(&attempts)) {
                self.seen.appended_during_sync += 1;
                self.noted(at, attempt?)?;
            }
            let result = if synced.is_ok() { SyncResult::Synced } else { SyncResult::Failed };
            if let Err(error) = &synced {
                let planned = self.disk.is_down() || self.failures() > failed;
                ensure!(planned, "a sync failed without a reason: {error}");
                self.dir().fail(&format!("sync: {error}"));
            }
            // What a broker answers to producers and shows to readers goes by both of these.
            for published in self.group.finished([(flush.log, result)]) {
                self.part(at).history.synced_to(published.end);
            }
            if self.settle("a sync", synced)?.is_none() {
                return Ok(());
            }
            self.part(at).history.synced_to(reader.synced_end());
            self.seen.synced += 1;
        }
        Ok(())
    }

    /// Arms the disk: the next sync of a file meets an append half-way.
    fn append_during_sync(&mut self, at: usize) -> Arc<Mutex<Vec<Verdict<Attempt>>>> {
        let attempts: Arc<Mutex<Vec<Verdict<Attempt>>>> = Arc::default();
        let (part, now) = (Arc::clone(&self.parts[at]), self.now);
        let rng = Mutex::new(self.rng.fork());
        let (disk, outcome) = (self.disk.clone(), Arc::clone(&attempts));
        self.disk.during_sync(move || {
            disk.clear_hook();
            let attempt = append_to(&part, &mut lock(&rng), now);
            lock(&outcome).push(attempt);
        });
        attempts
    }

    pub(crate) fn roll(&mut self) -> Verdict {
        let at = self.pick();
        let (folder, segments) = (self.folder(at), self.part(at).log().reader().segment_count());
        let was_ready = self.disk.exists(&folder.join(NEXT_SEGMENT_FILE));
        let rolled = self.part(at).log().roll();
        self.seen.rolled += u64::from(self.settle_unless_full("a roll", rolled)?.is_some());
        let grew = self.part(at).log().reader().segment_count() > segments;
        let is_ready = self.disk.exists(&folder.join(NEXT_SEGMENT_FILE));
        self.seen.rolled_into_prepared += u64::from(was_ready && grew && !is_ready);
        Ok(())
    }

    /// Makes ready what the writer of a log would ask for; a crash may come at any later sync.
    pub(crate) fn prepare(&mut self) {
        let at = self.pick();
        let mut part = self.part(at);
        let wants = part.log().wants_preparation();
        part.log().reader().prepare();
        drop(part);
        let is_ready = self.disk.exists(&self.folder(at).join(NEXT_SEGMENT_FILE));
        self.seen.prepared += u64::from(wants && is_ready);
    }

    pub(crate) fn cut(&mut self) -> Verdict {
        let at = self.pick();
        let mut part = lock(&self.parts[at]);
        let start = part.log().log_start().get();
        let places = part.history.boundaries(start);
        // Mostly near the end, as a follower's cuts are.
        let from = if self.rng.u8(0..3) == 0 { 0 } else { places.len().saturating_sub(6) };
        let to = places[self.rng.usize(from..places.len())];
        part.history.open_cut = Some(to);
        let done = part.log().truncate(Offset::new(to), TimestampMs::new(self.now));
        drop(part);
        if self.settle_unless_full("a cut", done)?.is_some() {
            let mut part = self.part(at);
            part.history.cut(to);
            part.align_writers();
            part.leader_epoch += 1;
            let id = part.id;
            drop(part);
            self.group.truncated(&id, Offset::new(to));
            self.seen.cut += 1;
        } else if !self.is_stopped() {
            self.part(at).history.open_cut = None;
        }
        Ok(())
    }

    pub(crate) fn delete_records(&mut self) -> Verdict {
        let at = self.pick();
        let mut part = self.part(at);
        let (start, synced) = (part.log().log_start().get(), part.history.synced);
        let below = self.rng.clone().i64(start..=synced.max(start));
        part.history.start_max = part.history.start_max.max(below);
        let done = part.log().delete_below(Offset::new(below));
        drop(part);
        self.rng.u8(..);
        // The answer to a client waits for this.
        let done = done.map_err(|error| error.to_string()).and_then(|_| self.write_log_start(at));
        if self.settle_unless_full("deleting records", done)?.is_some() {
            let mut part = self.part(at);
            part.history.start = part.history.start.max(below);
            drop(part);
            self.seen.records_deleted += 1;
        }
        Ok(())
    }

    pub(crate) fn expire_segments(&mut self) -> Verdict {
        let at = self.pick();
        let mut part = self.part(at);
        let (now, synced) = (TimestampMs::new(self.now), part.history.synced);
        part.history.start_max = part.history.start_max.max(synced);
        let done = part.log().apply_retention(now, Offset::new(synced));
        drop(part);
        let done = done.map_err(|error| error.to_string()).and_then(|_| self.write_log_start(at));
        if self.settle_unless_full("retention", done)?.is_some() {
            let mut part = self.part(at);
            let start = part.log().log_start().get();
            let moved = start > part.history.start;
            part.history.start = start;
            drop(part);
            self.seen.segments_expired += u64::from(moved);
        }
        Ok(())
    }

    fn write_log_start(&self, at: usize) -> Verdict {
        let mut part = self.part(at);
        let start = (part.id, part.log().log_start());
        self.dir().write_log_starts([start]).map_err(|error| error.to_string())
    }

    /// The checkpoints that a broker writes every second, and the background sync before.
    pub(crate) fn checkpoint(&mut self) -> Verdict {
        let dir = self.dir();
        let marks: Vec<_> = (0..self.parts.len())
            .map(|at| {
                let mut part = self.part(at);
                let reader = part.log().reader();
                recovery_mark(&part, &reader)
            })
            .collect();
        let written = dir.write_recovery_points(|| marks);
        self.seen.checkpoints +=
            u64::from(self.settle_unless_full("the recovery points", written)?.is_some());
        let appends: Vec<_> = (0..self.parts.len())
            .map(|at| {
                let mut part = self.part(at);
                (part.id, part.log().segment_appends())
            })
            .collect();
        let written = dir.write_last_appends(appends);
        self.settle_unless_full("the times of appends", written)?;
        Ok(())
    }

    /// Somebody else fills the disk, or gives room again.
    pub(crate) fn change_capacity(&mut self) {
        self.disk.set_capacity(None);
        if self.rng.bool() {
            let used = self.disk.used_bytes();
            self.disk.set_capacity(Some(used + self.rng.u64(0..60_000)));
        }
        self.dir().check_space();
    }

    /// Planned failures that have happened.
    fn failures(&self) -> u64 {
        let stats = self.disk.stats();
        stats.syncs_failed + stats.writes_failed
    }

    fn at(&self, id: TopicPartition) -> usize {
        let found = (0..self.parts.len()).find(|at| self.part(*at).id == id);
        found.expect("a partition of ours")
    }
}

fn append_to(part: &Mutex<Part>, rng: &mut Rng, now: i64) -> Verdict<Attempt> {
    lock(part).append(rng, now)
}
