//! A broker's storage without the broker: one simulated disk, its log directory, two logs, a flusher.
//!
//! The flusher's part is played by the test, step by step, with the storage's own group commit.

use std::env;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use thalweg_protocol::{BrokerId, Offset, TimestampMs, TopicPartition};
use thalweg_storage::fs::FileSystem;
use thalweg_storage::fs::sim::{Crash, SimDisk, Survivors};
use thalweg_storage::{
    DirState, FlushLimits, FolderError, GroupCommit, Log, LogDir, LogDirOptions, LogError,
    LogOptions, OpenFiles, Owner, PartitionMetadata, RecoveryMark,
};

use crate::lives::{Life, Odds, Verdict, ensure};
use crate::part::Part;
use crate::seen::Seen;

const ROOT: &str = "/data";
const PARTS: u8 = 2;

/// What the next start may expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Nothing but what was synced.
    PowerCut,
    /// All that was written: the page cache is still there.
    Killed,
    /// All that was written, also after a power cut.
    Clean,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) rng: Rng,
    pub(crate) now: i64,
    pub(crate) seen: Seen,
    pub(crate) dir: Option<Arc<LogDir>>,
    pub(crate) parts: Vec<Arc<Mutex<Part>>>,
    pub(crate) group: GroupCommit<TopicPartition>,
    last_stop: Stop,
    pub(crate) is_damaged: bool,
    /// Tell what is done, to understand a seed.
    traces: bool,
}

impl World {
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

    pub(crate) fn part(&self, at: usize) -> MutexGuard<'_, Part> {
        lock(&self.parts[at])
    }

    /// On a full disk, when the reserve is used up, this may also fail; then it must have changed nothing.
    pub(crate) fn settle_unless_full<T, E: Display>(
        &self,
        what: &str,
        result: Result<T, E>,
    ) -> Verdict<Option<T>> {
        match self.dir().state() {
            DirState::ReadOnly { .. } => Ok(result.ok()),
            _ => self.settle(what, result),
        }
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
        if self.last_stop != Stop::PowerCut {
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

    /// Below it a partition is synced.
    pub(crate) fn synced(&self, at: usize) -> i64 {
        self.part(at).history.synced
    }

    /// Takes note of whether one flipped bit made more than its own batch unreadable.
    pub(crate) fn count_spoiled(&mut self, at: usize) {
        let spoiled = self.part(at).spoiled;
        self.seen.spoiled_one += u64::from(spoiled == 1);
        self.seen.spoiled_more += u64::from(spoiled > 1);
    }

    /// The folder of a partition.
    pub(crate) fn folder(&self, at: usize) -> PathBuf {
        self.dir().folder(self.part(at).id)
    }

    pub(crate) fn dir(&self) -> Arc<LogDir> {
        Arc::clone(self.dir.as_ref().expect("the directory is open"))
    }
}

impl Life for World {
    type Seen = Seen;
    const ODDS: Odds = Odds {
        nth: 1..40,
        crash_at_sync: 25,
        crash_at_write: 35,
        fail_sync: 42,
        fail_write: 45,
        steps: 5..50,
        steps_at_every_sync: 30,
        steps_afterwards: 6,
    };

    fn new(seed: u64) -> Self {
        Self {
            disk: SimDisk::new(seed),
            rng: Rng::with_seed(seed),
            now: 1_700_000_000_000,
            seen: Seen::default(),
            dir: None,
            parts: (0..PARTS).map(|index| Arc::new(Mutex::new(Part::new(index)))).collect(),
            group: GroupCommit::new(FlushLimits::default()),
            last_stop: Stop::PowerCut,
            is_damaged: false,
            traces: env::var_os("TRACE").is_some(),
        }
    }

    fn disk(&self) -> &SimDisk {
        &self.disk
    }

    fn open_dir(&self) -> Option<&Arc<LogDir>> {
        self.dir.as_ref()
    }

    fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    fn seen(&self) -> Seen {
        self.seen
    }

    fn trace(&self, step: &str) {
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

    fn step(&mut self) -> Verdict {
        self.any_step()
    }

    fn check(&mut self) -> Verdict {
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
        ensure!(self.last_stop != Stop::Clean || clean, "a clean stop was not known as one");
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
        self.last_stop = Stop::PowerCut;
        Ok(true)
    }

    fn stop(&mut self) {
        for at in 0..self.parts.len() {
            self.part(at).log = None;
        }
        self.dir = None;
    }

    fn stop_cleanly(&mut self) -> Verdict {
        let dir = self.dir();
        for at in 0..self.parts.len() {
            let log = self.part(at).log.take().expect("the log is open");
            let closed = log.close();
            let Some(reader) = self.settle("closing a log", closed)? else { return Ok(()) };
            self.part(at).history.synced_to(reader.synced_end());
            let mark = recovery_mark(&self.part(at), &reader);
            let written = dir.write_recovery_points(|| [mark]);
            if self.settle_unless_full("writing the recovery point", written)?.is_none() {
                return Ok(());
            }
        }
        let closed = dir.close_clean();
        if self.settle_unless_full("the clean mark", closed)?.is_some() {
            self.seen.clean_stops += 1;
            self.last_stop = Stop::Clean;
        }
        Ok(())
    }

    fn note_failed_start(&mut self) {
        self.seen.crashed_while_starting += 1;
        if self.last_stop == Stop::Killed {
            self.last_stop = Stop::PowerCut;
        }
    }

    fn note_stop(&mut self) {
        let down = u64::from(self.disk.is_down());
        let in_a_write =
            (0..self.parts.len()).any(|at| self.part(at).history.open_append.is_some());
        self.seen.crashed_in_a_write += down * u64::from(in_a_write);
        self.seen.crashed_in_a_sync += down * u64::from(!in_a_write);
        self.seen.offline += u64::from(down == 0 && self.is_stopped());
    }

    fn note_kill(&mut self, is_whole: bool) {
        self.seen.restarts_after_kill += 1;
        if self.last_stop != Stop::Clean && is_whole {
            self.last_stop = Stop::Killed;
        }
    }
}

pub(crate) fn recovery_mark(part: &Part, reader: &thalweg_storage::LogReader) -> RecoveryMark {
    RecoveryMark { partition: part.id, synced_end: reader.synced_end(), log_end: reader.log_end() }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
