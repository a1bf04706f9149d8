//! A broker's storage without the broker: one simulated disk, its log directory, two logs, a flusher.
//!
//! The flusher's part is played by the test, step by step, with the storage's own group commit.

use std::env;
use std::fmt::Display;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use thalweg_protocol::{BrokerId, Offset, TimestampMs, TopicPartition};
use thalweg_storage::fs::FileSystem;
use thalweg_storage::fs::sim::{Crash, SimDisk, Survivors};
use thalweg_storage::{
    DirState, FlushLimits, FolderError, GroupCommit, Log, LogDir, LogDirOptions, LogError,
    LogOptions, OpenFiles, Owner, PartitionMetadata, RecoveryMark, SyncResult, Urgency,
};

use crate::history::{Verdict, ensure};
use crate::part::{Attempt, Part};

const ROOT: &str = "/data";
const PARTS: u8 = 2;

/// How often each thing happened in a run, so that a run in which one never did fails.
macro_rules! seen {
    ($($field:ident,)+) => {
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Seen { $(pub(crate) $field: u64,)+ }

        impl Seen {
            /// The names of what never happened.
            pub(crate) fn missing(&self) -> Vec<&'static str> {
                let all = [$((stringify!($field), self.$field),)+];
                all.iter().filter(|(_, times)| *times == 0).map(|(name, _)| *name).collect()
            }
        }

        impl AddAssign for Seen {
            fn add_assign(&mut self, other: Self) {
                $(self.$field += other.$field;)+
            }
        }
    };
}

seen! {
    appended, appended_during_sync, repeated, gaps_refused, refused_full, synced, rolled, cut,
    records_deleted, segments_expired, checkpoints, clean_stops, restarts, restarts_after_clean_stop,
    restarts_after_kill, crashed_while_starting, crashed_in_a_sync, crashed_in_a_write, offline,
    tails_lost, unsynced_tails_kept, torn_tails_cut, bad_ranges,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) rng: Rng,
    pub(crate) now: i64,
    pub(crate) seen: Seen,
    dir: Option<Arc<LogDir>>,
    parts: Vec<Arc<Mutex<Part>>>,
    group: GroupCommit<TopicPartition>,
    /// The last stop was clean.
    was_closed: bool,
    /// The process ended, and the page cache is still there.
    was_killed: bool,
    is_damaged: bool,
    /// Tell what is done, to understand a seed.
    traces: bool,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            disk: SimDisk::new(seed),
            rng: Rng::with_seed(seed),
            now: 1_700_000_000_000,
            seen: Seen::default(),
            dir: None,
            parts: (0..PARTS).map(|index| Arc::new(Mutex::new(Part::new(index)))).collect(),
            group: GroupCommit::new(FlushLimits::default()),
            was_closed: false,
            was_killed: false,
            is_damaged: false,
            traces: env::var_os("TRACE").is_some(),
        }
    }

    fn options() -> LogOptions {
        LogOptions {
            segment_bytes: 8192,
            index_interval_bytes: 512,
            batch_bytes_max: 8192,
            retention_bytes: Some(3 * 8192),
            retention_ms: None,
            ..LogOptions::default()
        }
    }

    fn part(&self, at: usize) -> MutexGuard<'_, Part> {
        lock(&self.parts[at])
    }

    /// Whether only a restart helps.
    pub(crate) fn is_stopped(&self) -> bool {
        let offline = |dir: &Arc<LogDir>| matches!(dir.state(), DirState::Offline { .. });
        self.disk.is_down() || self.dir.as_ref().is_none_or(offline)
    }

    /// Tells a step and where the logs stand then.
    pub(crate) fn trace(&self, step: &str) {
        if !self.traces {
            return;
        }
        let stand = |part: &Arc<Mutex<Part>>| {
            let part = lock(part);
            let (synced, start) = (part.history.synced, part.history.start);
            let ends = part.log.as_ref().map(|log| (log.log_start().get(), log.log_end().get()));
            format!("log {ends:?}, answered {start} to {synced}")
        };
        let stands: Vec<_> = self.parts.iter().map(stand).collect();
        let down = if self.is_stopped() { ", stopped" } else { "" };
        eprintln!("{step}: {}{down}", stands.join("; "));
    }

    /// An operation may fail when the machine is down or the directory failed; else it must not.
    fn settle<T, E: Display>(&self, what: &str, result: Result<T, E>) -> Verdict<Option<T>> {
        match result {
            Ok(done) => Ok(Some(done)),
            Err(_) if self.is_stopped() => Ok(None),
            Err(error) => Err(format!("{what} failed without a reason: {error}")),
        }
    }

    /// Checkpoints may also fail on a full disk when the reserve is used up.
    fn settle_checkpoint<T, E: Display>(
        &self,
        what: &str,
        result: Result<T, E>,
    ) -> Verdict<Option<T>> {
        match self.dir().state() {
            DirState::ReadOnly { .. } => Ok(result.ok()),
            _ => self.settle(what, result),
        }
    }

    // Starting and stopping.

    /// Opens everything, as often as it takes when the power is planned to go meanwhile, and checks it.
    pub(crate) fn start(&mut self) -> Verdict {
        self.disk.set_capacity(None);
        for _ in 0..20 {
            if self.try_start()? {
                self.trace("started");
                return self.check();
            }
            self.seen.crashed_while_starting += 1;
            self.stop();
            self.disk.crash(Crash::seeded(self.rng.u64(..)));
            self.was_killed = false;
        }
        Err("twenty starts did not succeed".to_owned())
    }

    /// False when the machine went down meanwhile.
    fn try_start(&mut self) -> Verdict<bool> {
        self.seen.restarts += 1;
        let owner = Owner { node: BrokerId::new(1), cluster: None };
        let options = LogDirOptions {
            free_bytes_min: 32 * 1024,
            reserve_bytes: 256 * 1024,
            open_files: OpenFiles::new(3),
        };
        let fs = Arc::new(self.disk.clone());
        let opened = LogDir::open(fs, Path::new(ROOT), &owner, options);
        let Some(dir) = self.settle("opening the directory", opened)? else { return Ok(false) };
        self.dir = Some(Arc::clone(&dir));
        self.group = GroupCommit::new(FlushLimits::default());
        let clean = dir.was_clean();
        ensure!(!self.was_closed || clean, "a clean stop was not known as one");
        for at in 0..self.parts.len() {
            let opened = if self.part(at).is_created {
                self.open(&dir, at)?
            } else {
                self.create(&dir, at)?
            };
            if !opened {
                return Ok(false);
            }
        }
        self.seen.restarts_after_clean_stop += u64::from(clean);
        (self.was_closed, self.was_killed) = (false, false);
        Ok(true)
    }

    fn create(&self, dir: &Arc<LogDir>, at: usize) -> Verdict<bool> {
        let mut part = self.part(at);
        let name = PartitionMetadata { topic: part.id.topic, name: "events".to_owned() };
        let now = TimestampMs::new(self.now);
        let created = match Log::create(dir, part.id, &name, Self::options(), now) {
            // A crash came before the answer: the folder is there and nobody was told.
            Err(LogError::Folder(FolderError::Exists { .. })) => {
                Log::open(dir, part.id, Self::options(), now).map(|(log, _)| log)
            }
            created => created,
        };
        let Some(log) = self.settle("creating a log", created)? else { return Ok(false) };
        ensure!(log.log_end() == Offset::ZERO, "a new log ends at {}", log.log_end());
        part.log = Some(log);
        part.is_created = true;
        Ok(true)
    }

    fn open(&mut self, dir: &Arc<LogDir>, at: usize) -> Verdict<bool> {
        let mut part = lock(&self.parts[at]);
        if self.traces {
            let files = self.disk.list(&dir.folder(part.id)).unwrap_or_default();
            let bytes = |path: &PathBuf| self.disk.read_small(path, usize::MAX).map(|it| it.len());
            let files: Vec<_> = files.iter().map(|path| (path.file_name(), bytes(path))).collect();
            let (point, start) = (dir.recovery_point(part.id), dir.log_start(part.id));
            eprintln!("opening {}: {point:?}, {start:?}, {files:#?}", part.id);
        }
        let now = TimestampMs::new(self.now);
        let opened = Log::open(dir, part.id, Self::options(), now);
        let Some((log, report)) = self.settle("opening a log", opened)? else { return Ok(false) };
        let (start, end, before) = (log.log_start(), log.log_end(), part.history.end());
        if self.was_closed || self.was_killed {
            let least = part.history.open_cut.unwrap_or(before);
            ensure!(end.get() >= least, "log end is {end} and not {before}: nothing was lost");
        }
        let synced = part.history.synced;
        if self.traces {
            eprintln!("opened {}: {start} to {end}, {report:?}", part.id);
        }
        part.history.recovered(start.get(), end.get())?;
        ensure!(log.reader().synced_end() == end, "the tail that was kept is not synced again");
        ensure!(
            self.is_damaged || report.bad_ranges.is_empty(),
            "damage was found where there is none: {report:?}"
        );
        part.log = Some(log);
        part.align_writers();
        self.seen.tails_lost += u64::from(end.get() < before);
        self.seen.unsynced_tails_kept += u64::from(end.get() > synced);
        self.seen.torn_tails_cut += u64::from(report.cut_bytes > 0);
        self.seen.bad_ranges += u64::from(!report.bad_ranges.is_empty());
        Ok(true)
    }

    /// A restart after one bit of a log was flipped below its recovery point.
    pub(crate) fn restart_damaged(&mut self, at: usize) -> Verdict {
        self.is_damaged = true;
        lock(&self.parts[at]).is_damaged = true;
        self.crash(Crash::seeded(1).leaving(Survivors::Everything))
    }

    /// The folder of a partition.
    pub(crate) fn folder(&self, at: usize) -> PathBuf {
        self.dir().folder(self.part(at).id)
    }

    /// Takes note of why a life ended.
    pub(crate) fn note_stop(&mut self) {
        let down = u64::from(self.disk.is_down());
        let in_a_write =
            (0..self.parts.len()).any(|at| self.part(at).history.open_append.is_some());
        self.seen.crashed_in_a_write += down * u64::from(in_a_write);
        self.seen.crashed_in_a_sync += down * u64::from(!in_a_write);
        self.seen.offline += u64::from(down == 0 && self.is_stopped());
    }

    /// Everything that the process held is gone.
    fn stop(&mut self) {
        for at in 0..self.parts.len() {
            self.part(at).log = None;
        }
        self.dir = None;
    }

    /// The power goes; then a start.
    pub(crate) fn crash(&mut self, crash: Crash) -> Verdict {
        self.stop();
        self.disk.crash(crash);
        self.was_killed = false;
        self.start()
    }

    /// The process is killed and the page cache stays; then a start.
    pub(crate) fn kill(&mut self) -> Verdict {
        self.stop();
        let evicted = self.disk.stats().sectors_evicted;
        self.disk.kill();
        self.seen.restarts_after_kill += 1;
        // What a failed sync has lost may be gone from the page cache, too.
        self.was_killed = evicted == self.disk.stats().sectors_evicted;
        self.start()
    }

    /// A clean stop, unless something that was planned comes in between.
    pub(crate) fn stop_cleanly(&mut self) -> Verdict {
        let dir = self.dir();
        for at in 0..self.parts.len() {
            let log = self.part(at).log.take().expect("the log is open");
            let closed = log.close();
            let Some(reader) = self.settle("closing a log", closed)? else { return Ok(()) };
            self.part(at).history.synced_to(reader.synced_end());
            let mark = recovery_mark(&self.part(at), &reader);
            let written = dir.write_recovery_points(|| [mark]);
            if self.settle_checkpoint("writing the recovery point", written)?.is_none() {
                return Ok(());
            }
        }
        let closed = dir.close_clean();
        if self.settle_checkpoint("the clean mark", closed)?.is_some() {
            self.seen.clean_stops += 1;
            self.was_closed = true;
        }
        Ok(())
    }

    fn dir(&self) -> Arc<LogDir> {
        Arc::clone(self.dir.as_ref().expect("the directory is open"))
    }

    /// Compares each log with its history.
    pub(crate) fn check(&self) -> Verdict {
        if self.is_stopped() {
            return Ok(());
        }
        for at in 0..self.parts.len() {
            let mut part = self.part(at);
            let id = part.id;
            part.check().map_err(|error| format!("{id}: {error}"))?;
        }
        Ok(())
    }

    // What happens between stops.

    pub(crate) fn pick(&mut self) -> usize {
        self.rng.usize(0..self.parts.len())
    }

    pub(crate) fn append(&mut self) -> Verdict {
        let at = self.pick();
        let attempt = append_to(&self.parts[at], &mut self.rng, self.now)?;
        self.noted(at, attempt)
    }

    fn noted(&mut self, at: usize, attempt: Attempt) -> Verdict {
        if attempt == Attempt::Refused {
            return self.refused(at);
        }
        self.seen.appended += 1;
        let part = self.part(at);
        let (id, end) = (part.id, Offset::new(part.history.end()));
        drop(part);
        self.group.appended(id, end, 1, Urgency::Now, Duration::ZERO);
        Ok(())
    }

    /// An append was refused: the machine is down, the directory failed, or the disk is full.
    fn refused(&mut self, at: usize) -> Verdict {
        if self.disk.is_down() {
            return Ok(());
        }
        self.part(at).history.open_append = None;
        match self.dir().state() {
            DirState::Online => Err("an append was refused without a reason".to_owned()),
            DirState::ReadOnly { .. } => {
                self.seen.refused_full += 1;
                Ok(())
            }
            DirState::Offline { .. } => Ok(()),
        }
    }

    pub(crate) fn repeat(&mut self) -> Verdict {
        let at = self.pick();
        if self.dir().state() == DirState::Online {
            let part = Arc::clone(&self.parts[at]);
            let mut part = lock(&part);
            self.seen.repeated += u64::from(part.repeat(&mut self.rng, self.now)?);
        }
        Ok(())
    }

    pub(crate) fn skip_sequences(&mut self) -> Verdict {
        let at = self.pick();
        let part = Arc::clone(&self.parts[at]);
        let mut part = lock(&part);
        self.seen.gaps_refused += 1;
        part.skip_sequences(&mut self.rng, self.now)
    }

    pub(crate) fn new_epoch(&mut self) -> Verdict {
        let at = self.pick();
        let fences = self.rng.bool();
        let part = Arc::clone(&self.parts[at]);
        let mut part = lock(&part);
        part.leader_epoch += 1;
        if fences {
            part.fence_writer(&mut self.rng);
        }
        Ok(())
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
            let synced = reader.sync();
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
        let rolled = self.part(at).log().roll();
        self.seen.rolled += u64::from(self.settle("a roll", rolled)?.is_some());
        Ok(())
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
        if self.settle("a cut", done)?.is_some() {
            let mut part = self.part(at);
            part.history.cut(to);
            part.align_writers();
            part.leader_epoch += 1;
            let id = part.id;
            drop(part);
            self.group.truncated(&id, Offset::new(to));
            self.seen.cut += 1;
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
        if self.settle("deleting records", done)?.is_some() {
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
        if self.settle("retention", done)?.is_some() {
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
            u64::from(self.settle_checkpoint("the recovery points", written)?.is_some());
        let appends: Vec<_> = (0..self.parts.len())
            .map(|at| {
                let mut part = self.part(at);
                (part.id, part.log().segment_appends())
            })
            .collect();
        let written = dir.write_last_appends(appends);
        self.settle_checkpoint("the times of appends", written)?;
        Ok(())
    }

    /// Somebody else fills the disk, or gives room again.
    pub(crate) fn change_capacity(&mut self) -> Verdict {
        self.disk.set_capacity(None);
        if self.rng.bool() {
            let used = self.disk.used_bytes();
            self.disk.set_capacity(Some(used + self.rng.u64(0..60_000)));
        }
        self.dir().check_space();
        Ok(())
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

fn recovery_mark(part: &Part, reader: &thalweg_storage::LogReader) -> RecoveryMark {
    RecoveryMark { partition: part.id, synced_end: reader.synced_end(), log_end: reader.log_end() }
}

fn append_to(part: &Mutex<Part>, rng: &mut Rng, now: i64) -> Verdict<Attempt> {
    lock(part).append(rng, now)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
