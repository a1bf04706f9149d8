//! A disk, a log directory and one compacted log: how they start and stop.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fastrand::Rng;
use thalweg_protocol::batch::TimestampType;
use thalweg_protocol::{BrokerId, PartitionIndex, TimestampMs, TopicId, TopicPartition};
use thalweg_storage::fs::FileSystem;
use thalweg_storage::fs::sim::SimDisk;
use thalweg_storage::{
    CompactionOptions, EPOCH_FILE, FolderError, Log, LogDir, LogDirOptions, LogError, LogOptions,
    LogReader, OpenFiles, Owner, PartitionMetadata, RecoveryMark,
};

use crate::lives::{Life, Odds, Verdict, ensure};
use crate::model::Model;
use crate::seen::Seen;

const ROOT: &str = "/data";
pub(crate) const RETENTION_MS: i64 = 5_000;
pub(crate) const WRITERS: usize = 3;
/// As many batches as the log must remember of each producer.
pub(crate) const REMEMBERED: usize = 5;

pub(crate) fn partition() -> TopicPartition {
    TopicPartition::new(TopicId::from_bytes([3; 16]), PartitionIndex::new(0))
}

/// One idempotent producer, as its client knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer {
    pub(crate) producer: i64,
    pub(crate) epoch: i16,
    pub(crate) next: i32,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) rng: Rng,
    pub(crate) now: i64,
    pub(crate) seen: Seen,
    pub(crate) dir: Option<Arc<LogDir>>,
    pub(crate) log: Option<Log>,
    pub(crate) model: Model,
    pub(crate) options: LogOptions,
    pub(crate) leader_epoch: i32,
    pub(crate) writers: Vec<Writer>,
    /// Keys that are written.
    pub(crate) keys: u32,
    is_created: bool,
    /// What readers hold, and what it was when they got it.
    pub(crate) held: Vec<(Bytes, Vec<u8>)>,
    /// Batches are not compressed.
    pub(crate) is_plain: bool,
    traces: bool,
}

impl World {
    pub(crate) fn log(&mut self) -> &mut Log {
        self.log.as_mut().expect("the log is open")
    }

    pub(crate) fn reader(&self) -> LogReader {
        self.log.as_ref().expect("the log is open").reader()
    }

    pub(crate) fn clock(&self) -> TimestampMs {
        TimestampMs::new(self.now)
    }

    fn create(&mut self, dir: &Arc<LogDir>) -> Verdict<bool> {
        let name = PartitionMetadata { topic: partition().topic, name: "keys".to_owned() };
        let options = self.options.clone();
        let created = match Log::create(dir, partition(), &name, options.clone(), self.clock()) {
            // A crash came before the answer: the folder is there and nobody was told.
            Err(LogError::Folder(FolderError::Exists { .. })) => {
                Log::open(dir, partition(), options, self.clock()).map(|(log, _)| log)
            }
            created => created,
        };
        let Some(log) = self.settle("creating the log", created)? else { return Ok(false) };
        self.log = Some(log);
        self.is_created = true;
        Ok(true)
    }

    /// Without their snapshots the producers must be told by the batches.
    fn lose_snapshots(&mut self, dir: &LogDir) -> Verdict<bool> {
        let listed = self.disk.list(&dir.folder(partition()));
        let Some(listed) = self.settle("listing the folder", listed)? else { return Ok(false) };
        for path in listed.iter().filter(|it| it.extension().is_some_and(|it| it == "snapshot")) {
            let removed = self.disk.remove(path);
            if self.settle("removing a snapshot", removed)?.is_none() {
                return Ok(false);
            }
            self.seen.producers_rebuilt += 1;
        }
        Ok(true)
    }

    pub(crate) fn dir(&self) -> Arc<LogDir> {
        Arc::clone(self.dir.as_ref().expect("the directory is open"))
    }
}

impl Life for World {
    type Seen = Seen;
    const ODDS: Odds = Odds {
        nth: 1..60,
        crash_at_sync: 30,
        crash_at_write: 45,
        fail_sync: 50,
        fail_write: 53,
        steps: 20..80,
        steps_at_every_sync: 60,
        steps_afterwards: 10,
    };

    fn new(seed: u64) -> Self {
        let stamped = seed.is_multiple_of(5);
        let options = LogOptions {
            segment_bytes: 4096,
            index_interval_bytes: 256,
            batch_bytes_max: 4096,
            retention_ms: None,
            compaction: Some(CompactionOptions {
                dirty_ppm_min: 300_000,
                delete_retention_ms: RETENTION_MS,
                ..CompactionOptions::default()
            }),
            timestamp_type: if stamped {
                TimestampType::LogAppendTime
            } else {
                TimestampType::CreateTime
            },
            ..LogOptions::default()
        };
        let writer = |producer| Writer { producer, epoch: 0, next: 0 };
        Self {
            disk: SimDisk::new(seed),
            rng: Rng::with_seed(seed),
            now: 1_700_000_000_000,
            seen: Seen::default(),
            dir: None,
            log: None,
            model: Model::default(),
            options,
            leader_epoch: 0,
            writers: (0..).take(WRITERS).map(writer).collect(),
            keys: if seed.is_multiple_of(2) { 7 } else { 300 },
            is_created: false,
            held: Vec::new(),
            is_plain: false,
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
        if self.traces {
            let log = self.log.as_ref();
            let ends = log.map(|log| (log.log_start().get(), log.log_end().get()));
            let cleaned = log.map(|log| log.reader().cleaned_end().get());
            let (synced, down) = (self.model.synced, self.is_stopped());
            eprintln!("{step}: {ends:?}, synced {synced}, cleaned {cleaned:?}, stopped {down}");
        }
    }

    fn step(&mut self) -> Verdict {
        self.any_step()
    }

    fn check(&mut self) -> Verdict {
        if self.is_stopped() { Ok(()) } else { self.compare() }
    }

    fn try_start(&mut self) -> Verdict<bool> {
        let owner = Owner { node: BrokerId::new(1), cluster: None };
        let open_files = OpenFiles::new(3);
        let options = LogDirOptions { free_bytes_min: 0, reserve_bytes: 0, open_files };
        let fs = Arc::new(self.disk.clone());
        let opened = LogDir::open(fs, Path::new(ROOT), &owner, options);
        let Some(dir) = self.settle("opening the directory", opened)? else { return Ok(false) };
        self.dir = Some(Arc::clone(&dir));
        if !self.is_created {
            return self.create(&dir);
        }
        if self.rng.u8(0..3) == 0 && !self.lose_snapshots(&dir)? {
            return Ok(false);
        }
        if self.traces {
            let epochs = self.disk.read_small(&dir.folder(partition()).join(EPOCH_FILE), 1 << 20);
            let epochs = epochs.map(|it| String::from_utf8_lossy(&it).replace('\n', ", "));
            let sent: BTreeMap<i32, i64> =
                self.model.batches.iter().rev().map(|it| (it.leader_epoch, it.base)).collect();
            let (point, start) = (dir.recovery_point(partition()), dir.log_start(partition()));
            eprintln!("opening: {point:?}, {start:?}, epochs {epochs:?}, sent {sent:?}");
        }
        let opened = Log::open(&dir, partition(), self.options.clone(), self.clock());
        let Some((log, report)) = self.settle("opening the log", opened)? else {
            return Ok(false);
        };
        self.model.recovered(log.log_start().get(), log.log_end().get())?;
        ensure!(report.bad_ranges.is_empty(), "damage was found where there is none: {report:?}");
        self.seen.exchanges_finished += report.finished_exchanges;
        self.log = Some(log);
        self.align_writers();
        let listed = self.disk.list(&dir.folder(partition())).map_err(|it| it.to_string())?;
        let left = |end| listed.iter().any(|it| it.extension().is_some_and(|it| it == end));
        ensure!(!left("cleaned") && !left("swap"), "something is left of a run: {listed:?}");
        Ok(true)
    }

    fn stop(&mut self) {
        self.log = None;
        self.dir = None;
    }

    fn stop_cleanly(&mut self) -> Verdict {
        let (dir, log) = (self.dir(), self.log.take().expect("the log is open"));
        let Some(reader) = self.settle("closing the log", log.close())? else { return Ok(()) };
        self.model.synced = self.model.synced.max(reader.synced_end().get());
        let written = dir.write_recovery_points(|| [mark(&reader)]);
        if self.settle("writing the recovery point", written)?.is_some()
            && self.settle("the clean mark", dir.close_clean())?.is_some()
        {
            self.seen.clean_stops += 1;
        }
        Ok(())
    }

    fn note_stop(&mut self) {
        self.seen.offline += u64::from(self.is_stopped() && !self.disk.is_down());
    }

    fn note_kill(&mut self, _is_whole: bool) {
        self.seen.killed += 1;
    }
}

pub(crate) fn mark(reader: &LogReader) -> RecoveryMark {
    let (synced_end, log_end) = (reader.synced_end(), reader.log_end());
    RecoveryMark { partition: reader.partition(), synced_end, log_end }
}
