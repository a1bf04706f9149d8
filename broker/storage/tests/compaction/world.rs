//! A disk, a log directory, one compacted log, and what is done to it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fastrand::Rng;
use thalweg_protocol::batch::{BatchBuilder, BatchHeader, BatchReader, Compression, TimestampType};
use thalweg_protocol::{
    BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence,
    TimestampMs, TopicId, TopicPartition,
};
use thalweg_storage::fs::FileSystem;
use thalweg_storage::fs::sim::{Crash, SimDisk};
use thalweg_storage::{
    CheckedBatch, Compacted, CompactionError, CompactionOptions, CompactionRequest, DirState,
    EPOCH_FILE, FolderError, Log, LogDir, LogDirOptions, LogError, LogOptions, LogReader,
    OpenFiles, Owner, PartitionMetadata, RecoveryMark, compact,
};

use crate::model::{Fields, Model, Sent, Sequenced, Verdict, ensure};
use crate::seen::Seen;

const ROOT: &str = "/data";
const RETENTION_MS: i64 = 5_000;
const WRITERS: usize = 3;
/// As many batches as the log must remember of each producer.
const REMEMBERED: usize = 5;

pub(crate) fn partition() -> TopicPartition {
    TopicPartition::new(TopicId::from_bytes([3; 16]), PartitionIndex::new(0))
}

/// One idempotent producer, as its client knows it.
#[derive(Clone, Copy, Debug)]
struct Writer {
    producer: i64,
    epoch: i16,
    next: i32,
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
    writers: Vec<Writer>,
    /// Keys that are written.
    keys: u32,
    is_created: bool,
    /// What readers hold, and what it was when they got it.
    held: Vec<(Bytes, Vec<u8>)>,
    traces: bool,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
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
            traces: env::var_os("TRACE").is_some(),
        }
    }

    pub(crate) fn log(&mut self) -> &mut Log {
        self.log.as_mut().expect("the log is open")
    }

    pub(crate) fn reader(&self) -> LogReader {
        self.log.as_ref().expect("the log is open").reader()
    }

    pub(crate) fn clock(&self) -> TimestampMs {
        TimestampMs::new(self.now)
    }

    /// Whether only a restart helps.
    pub(crate) fn is_stopped(&self) -> bool {
        let offline = |dir: &Arc<LogDir>| matches!(dir.state(), DirState::Offline { .. });
        self.disk.is_down() || self.dir.as_ref().is_none_or(offline)
    }

    pub(crate) fn trace(&self, step: &str) {
        if self.traces {
            let log = self.log.as_ref();
            let ends = log.map(|log| (log.log_start().get(), log.log_end().get()));
            let cleaned = log.map(|log| log.reader().cleaned_end().get());
            let (synced, down) = (self.model.synced, self.is_stopped());
            eprintln!("{step}: {ends:?}, synced {synced}, cleaned {cleaned:?}, stopped {down}");
        }
    }

    /// An operation may fail when the machine is down or the directory failed; else it must not.
    pub(crate) fn settle<T, E: std::fmt::Display>(
        &self,
        what: &str,
        result: Result<T, E>,
    ) -> Verdict<Option<T>> {
        match result {
            Ok(done) => Ok(Some(done)),
            Err(_) if self.is_stopped() => Ok(None),
            Err(error) => Err(format!("{what} failed without a reason: {error}")),
        }
    }

    // Starting and stopping.

    /// Opens everything, as often as it takes when the power goes meanwhile, and checks it.
    pub(crate) fn start(&mut self) -> Verdict {
        for _ in 0..20 {
            if self.try_start()? {
                self.trace("started");
                return self.check();
            }
            self.stop();
            self.disk.crash(Crash::seeded(self.rng.u64(..)));
            self.plan_crash_while_starting();
        }
        Err("twenty starts did not succeed".to_owned())
    }

    /// False when the machine went down meanwhile.
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

    fn stop(&mut self) {
        self.log = None;
        self.dir = None;
    }

    /// The power goes; then a start.
    pub(crate) fn crash(&mut self, crash: Crash) -> Verdict {
        self.stop();
        self.disk.crash(crash);
        self.plan_crash_while_starting();
        self.start()
    }

    /// The process is killed and the page cache stays; then a start.
    pub(crate) fn kill(&mut self) -> Verdict {
        self.stop();
        self.disk.kill();
        self.seen.killed += 1;
        self.plan_crash_while_starting();
        self.start()
    }

    fn plan_crash_while_starting(&mut self) {
        if self.rng.u8(0..6) == 0 {
            self.disk.crash_at_sync(self.rng.u64(1..8));
        }
    }

    /// A clean stop, unless something that was planned comes in between.
    pub(crate) fn stop_cleanly(&mut self) -> Verdict {
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

    pub(crate) fn dir(&self) -> Arc<LogDir> {
        Arc::clone(self.dir.as_ref().expect("the directory is open"))
    }

    // What is done to the log.

    /// Appends one random batch.
    pub(crate) fn append(&mut self) -> Verdict {
        let records: Vec<_> = (0..self.rng.usize(1..=4)).map(|_| self.fields()).collect();
        let writer = self.writers.get(self.rng.usize(0..=WRITERS)).copied();
        let sequenced =
            writer.map(|it| Sequenced { producer: it.producer, epoch: it.epoch, first: it.next });
        self.append_batch(records, sequenced)
    }

    pub(crate) fn append_batch(
        &mut self,
        mut records: Vec<Fields>,
        sequenced: Option<Sequenced>,
    ) -> Verdict {
        let codec = Compression::ALL[self.rng.usize(0..5)];
        let bytes = build(&records, codec, sequenced);
        if self.options.timestamp_type == TimestampType::LogAppendTime {
            for record in &mut records {
                record.timestamp = self.now;
            }
        }
        let base = self.log().log_end().get();
        ensure!(base == self.model.end(), "log end is {base}, not {}", self.model.end());
        let leader_epoch = self.leader_epoch;
        let sent = Sent { base, leader_epoch, sequenced, records, first_run: None };
        let header = BatchHeader::decode(&bytes).expect("the test's own batch");
        let batch = CheckedBatch::new(header, bytes);
        let now = self.clock();
        let answer = self.log().append(&batch, LeaderEpoch::new(leader_epoch), now);
        let Some(appended) = self.settle("an append", answer)? else {
            self.model.open_append = Some(sent);
            return Ok(());
        };
        ensure!(appended.base_offset.get() == base, "an append answered {appended:?}");
        if let Some(it) = sequenced {
            let mut writers = self.writers.iter_mut();
            let writer = writers.find(|writer| writer.producer == it.producer);
            writer.expect("one of ours").next += header.record_count;
        }
        self.model.appended(sent);
        self.seen.appended += 1;
        Ok(())
    }

    fn fields(&mut self) -> Fields {
        let rng = &mut self.rng;
        let key = format!("key {}", rng.u32(0..self.keys)).into_bytes();
        let value_max = if rng.u8(0..8) == 0 { 900 } else { 60 };
        let value = rng.usize(0..value_max);
        let ancient = rng.u8(0..6) == 0;
        Fields {
            timestamp: if ancient { 1_000_000_000_000 } else { self.now + rng.i64(-50..50) },
            key: (rng.u8(0..20) > 0).then_some(key),
            value: (rng.u8(0..4) > 0).then(|| vec![rng.u8(..); value]),
            headers: match rng.u8(0..6) {
                0 => vec![("trace".to_owned(), Some(vec![7])), ("trace".to_owned(), None)],
                _ => Vec::new(),
            },
        }
    }

    pub(crate) fn sync(&mut self) -> Verdict {
        let synced = self.reader().sync();
        if let Some(end) = self.settle("a sync", synced)? {
            self.model.synced = self.model.synced.max(end.get());
            self.seen.synced += 1;
        }
        Ok(())
    }

    pub(crate) fn roll(&mut self) -> Verdict {
        let rolled = self.log().roll();
        self.seen.rolled += u64::from(self.settle("a roll", rolled)?.is_some());
        Ok(())
    }

    pub(crate) fn checkpoint(&mut self) -> Verdict {
        let reader = self.reader();
        let written = self.dir().write_recovery_points(|| [mark(&reader)]);
        self.settle("the recovery points", written).map(|_| ())
    }

    /// What a follower does whose leader has another tail: never below what was committed.
    pub(crate) fn cut(&mut self) -> Verdict {
        let from = self.model.high_watermark.max(self.model.start);
        let places = self.model.boundaries(from);
        let Some(to) = self.rng.choice(places) else { return Ok(()) };
        self.model.open_cut = Some(to);
        let now = self.clock();
        let done = self.log().truncate(Offset::new(to), now);
        if self.settle("a cut", done)?.is_some() {
            self.model.cut(to);
            self.align_writers();
            self.leader_epoch += 1;
            self.seen.cut += 1;
        }
        Ok(())
    }

    pub(crate) fn delete_records(&mut self) -> Verdict {
        let start = self.log().log_start().get();
        let below = self.rng.i64(start..=self.model.synced.max(start));
        self.delete_below(below)
    }

    pub(crate) fn delete_below(&mut self, below: i64) -> Verdict {
        self.model.start_max = self.model.start_max.max(below);
        let done = self.log().delete_below(Offset::new(below)).map_err(|it| it.to_string());
        let dir = self.dir();
        let done = done.and_then(|_| {
            let start = (partition(), self.log().log_start());
            dir.write_log_starts([start]).map_err(|it| it.to_string())
        });
        if self.settle("deleting records", done)?.is_some() {
            self.model.start = self.model.start.max(below);
            self.seen.records_deleted += 1;
        }
        Ok(())
    }

    pub(crate) fn new_epoch(&mut self) {
        self.leader_epoch += 1;
        self.seen.epochs += 1;
        let writer = &mut self.writers[self.rng.usize(0..WRITERS)];
        if self.rng.bool() && writer.next > 0 {
            writer.epoch += 1;
            writer.next = 0;
        }
    }

    /// A reader takes a slice, and keeps it.
    pub(crate) fn hold_slice(&mut self) -> Verdict {
        let reader = self.reader();
        let (start, end) = (reader.log_start(), reader.log_end());
        let from = Offset::new(self.rng.i64(start.get()..=end.get()));
        let read = reader.read(from, 3000, end, true);
        if let Some(read) = self.settle("a read", read)? {
            let bytes = read.into_bytes();
            let copy = bytes.to_vec();
            self.held.push((bytes, copy));
            self.held.drain(..self.held.len().saturating_sub(20));
            self.seen.slices_held += 1;
        }
        Ok(())
    }

    /// A run, with whatever a broker does meanwhile.
    pub(crate) fn compact(&mut self) -> Verdict {
        let is_asked = self.rng.bool();
        let memory = if self.rng.bool() { 0 } else { 1 << 20 };
        let lowest = self.model.high_watermark.min(self.model.synced);
        let high_watermark = self.rng.i64(lowest..=self.model.synced);
        self.compact_as(is_asked, memory, high_watermark, true).map(|_| ())
    }

    pub(crate) fn compact_as(
        &mut self,
        is_asked: bool,
        memory_bytes_max: usize,
        high_watermark: i64,
        is_busy: bool,
    ) -> Verdict<Option<Compacted>> {
        let reader = self.reader();
        let request = CompactionRequest {
            high_watermark: Offset::new(high_watermark),
            now: self.clock(),
            memory_bytes_max,
            is_asked,
        };
        self.model.high_watermark = self.model.high_watermark.max(high_watermark);
        let rules = self.options.compaction.expect("it is compacted");
        let plan = reader.plan_compaction(&rules, &request);
        self.model.run(plan.end.get(), self.now);
        let segments = reader.segment_count();
        let failed = RefCell::new(Ok(()));
        let world = RefCell::new(&mut *self);
        let with_log = |with: &mut dyn FnMut(&mut Log)| {
            let mut world = world.borrow_mut();
            world.log.as_mut().map(with).is_some()
        };
        let mut pace = |_| {
            let mut world = world.borrow_mut();
            if !is_busy || world.rng.u8(0..12) > 0 {
                return true;
            }
            world.seen.during_a_run += 1;
            let done = world.meanwhile();
            let goes_on = matches!(done, Ok(true));
            *failed.borrow_mut() = done.map(|_| ());
            goes_on
        };
        let done = compact(&reader, &with_log, &request, &mut pace);
        failed.into_inner()?;
        self.seen.runs += 1;
        match done {
            Ok(sum) => {
                self.seen.runs_of_several_passes += u64::from(sum.passes > 1);
                self.seen.exchanged += u64::from(sum.groups);
                self.seen.records_removed += sum.removed_records;
                self.seen.tombstones_removed += sum.removed_tombstones;
                self.seen.merged += u64::from(reader.segment_count() < segments);
                Ok(Some(sum))
            }
            Err(CompactionError::Stopped) => {
                self.seen.stopped += 1;
                Ok(None)
            }
            Err(CompactionError::Interrupted) => {
                self.seen.interrupted += 1;
                Ok(None)
            }
            Err(error) => {
                self.seen.crashed_in_a_run += u64::from(self.disk.is_down());
                self.settle("a run", Err(error))
            }
        }
    }

    /// What happens while a run is under way; false when the run shall end.
    fn meanwhile(&mut self) -> Verdict<bool> {
        if self.is_stopped() {
            return Ok(true);
        }
        match self.rng.u8(0..20) {
            0..6 => self.append()?,
            6..9 => self.sync()?,
            9..11 => self.roll()?,
            11..15 => self.hold_slice()?,
            15 => self.delete_records()?,
            16 => self.cut()?,
            17..19 => self.check()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    // What must hold.

    pub(crate) fn check(&mut self) -> Verdict {
        if self.is_stopped() {
            return Ok(());
        }
        let reader = self.reader();
        let (start, end) = (reader.log_start().get(), reader.log_end().get());
        ensure!(end == self.model.end(), "log end is {end}, not {}", self.model.end());
        let found = self.read_all(&reader, start, end)?;
        let cleaned = reader.cleaned_end().get();
        self.seen.tombstones_missing += self.model.compare(&found, start, cleaned, RETENTION_MS)?;
        for (bytes, copy) in &self.held {
            ensure!(bytes[..] == copy[..], "bytes have changed that a reader holds");
        }
        self.check_times(&reader, &found, end)?;
        self.check_producers(start)
    }

    /// Every record from `start` on; batches must follow each other without a gap.
    fn read_all(
        &mut self,
        reader: &LogReader,
        start: i64,
        end: i64,
    ) -> Verdict<BTreeMap<i64, Fields>> {
        let epochs: BTreeMap<i64, i32> =
            self.model.batches.iter().map(|batch| (batch.base, batch.leader_epoch)).collect();
        let mut found = BTreeMap::new();
        let mut at = start;
        while at < end {
            let bytes_max = self.rng.usize(1..5000);
            let read = reader.read(Offset::new(at), bytes_max, Offset::new(end), true);
            let read = read.map_err(|error| format!("read at {at}: {error}"))?;
            ensure!(read.next().get() > at, "a read at {at} below the log end {end} gave nothing");
            for batch in BatchReader::new(read.bytes().clone()) {
                let batch = batch.map_err(|error| format!("batch at {at}: {error}"))?;
                batch.verify_checksum().map_err(|error| format!("batch at {at}: {error}"))?;
                let header = batch.header;
                let base = header.base_offset.get();
                ensure!(base == at || (at == start && base < at), "{base} follows {at}");
                let epoch = header.leader_epoch.get();
                let sent = epochs.range(base..=header.last_offset().get());
                for (at, sent) in sent {
                    ensure!(*sent == epoch, "epoch at {at} is {epoch}, not {sent}");
                }
                let known = reader.epoch_at(header.base_offset.max(Offset::new(start)));
                ensure!(known == Some(header.leader_epoch), "epoch at {base} is {known:?}");
                self.seen.holes += u64::from(header.record_count == 0 && !header.is_idempotent());
                self.seen.empty_batches +=
                    u64::from(header.record_count == 0 && header.is_idempotent());
                let records = batch.records().map_err(|error| format!("at {base}: {error}"))?;
                for record in &records {
                    let record = record.map_err(|error| format!("at {base}: {error}"))?;
                    let headers = record.headers.iter();
                    let fields = Fields {
                        timestamp: record.timestamp.get(),
                        key: record.key.map(<[u8]>::to_vec),
                        value: record.value.map(<[u8]>::to_vec),
                        headers: headers
                            .map(|it| (it.key_text().into_owned(), it.value.map(<[u8]>::to_vec)))
                            .collect(),
                    };
                    if record.offset.get() >= start {
                        found.insert(record.offset.get(), fields);
                    }
                }
                at = header.next_offset().get();
            }
        }
        Ok(found)
    }

    fn check_times(
        &mut self,
        reader: &LogReader,
        found: &BTreeMap<i64, Fields>,
        end: i64,
    ) -> Verdict {
        for _ in 0..3 {
            let time = match self.rng.u8(0..4) {
                0 => 1_000_000_000_000,
                _ => self.now - self.rng.i64(-100..20_000),
            };
            let expected = found.iter().find(|(_, it)| it.timestamp >= time).map(|(at, _)| *at);
            let answer = reader.offset_at_time(TimestampMs::new(time), Offset::new(end));
            let answer = answer.map_err(|error| format!("search for {time}: {error}"))?;
            let answer = answer.map(|it| it.offset.get());
            ensure!(answer == expected, "the first at {time} is {answer:?}, not {expected:?}");
        }
        Ok(())
    }

    /// What is remembered of producers must be what was sent, whatever was compacted.
    fn check_producers(&mut self, start: i64) -> Verdict {
        let log = self.log.as_ref().expect("the log is open");
        for producer in self.model.producers() {
            let (epoch, expected) = self.model.of_producer(producer, start);
            if expected.is_empty() {
                continue;
            }
            let expected = &expected[expected.len().saturating_sub(REMEMBERED)..];
            let known = log.producers().batches(ProducerId::new(producer));
            let Some((known_epoch, known)) = known else {
                return Err(format!("producer {producer} is forgotten: {expected:?}"));
            };
            let above = known.iter().filter(|batch| batch.base_offset().get() >= start);
            let rows = above.map(|it| (it.first.get(), it.last.get(), it.last_offset.get()));
            let rows: Vec<_> = rows.collect();
            ensure!(
                rows == expected && known_epoch.get() == epoch,
                "producer {producer} is remembered by {rows:?}, not by {expected:?}"
            );
        }
        Ok(())
    }

    /// Producers go on where the log ends for them; one that it may have forgotten gets a new id.
    fn align_writers(&mut self) {
        let start = self.log().log_start().get();
        for writer in &mut self.writers {
            let (epoch, known) = self.model.of_producer(writer.producer, start);
            if let Some((_, last, _)) = known.last() {
                (writer.epoch, writer.next) = (epoch, last + 1);
            } else if writer.next > 0 {
                let producer = writer.producer + i64::try_from(WRITERS).unwrap();
                *writer = Writer { producer, epoch: 0, next: 0 };
            }
        }
    }
}

fn mark(reader: &LogReader) -> RecoveryMark {
    let (synced_end, log_end) = (reader.synced_end(), reader.log_end());
    RecoveryMark { partition: reader.partition(), synced_end, log_end }
}

fn build(records: &[Fields], codec: Compression, sequenced: Option<Sequenced>) -> Bytes {
    let mut builder = BatchBuilder::new(codec, 1 << 20);
    for it in records {
        let headers = it.headers.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
        let headers: Vec<_> = headers.collect();
        let time = TimestampMs::new(it.timestamp);
        let added = builder.try_append(time, it.key.as_deref(), it.value.as_deref(), &headers);
        assert!(added.is_some(), "the batch has room");
    }
    match sequenced {
        None => builder.build_unsequenced(),
        Some(it) => builder.build(
            ProducerId::new(it.producer),
            ProducerEpoch::new(it.epoch),
            Sequence::new(it.first),
        ),
    }
}
