//! Proves that the log is a sequence of batches and nothing else: thousands of random steps (append, read, roll,
//! sync, cut, delete, retention, reopening with and without a clean stop, damaged index files) on the real file
//! system and on the simulated disk, each compared with a plain `Vec`.
//!
//! `SEED=7 cargo test -p thalweg-storage --test model` replays one seed, `N=…` sets how many seeds run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use fastrand::Rng;
use thalweg_protocol::batch::{
    Batch, BatchBuilder, BatchReader, Compression, NO_HEADERS, patched_head,
};
use thalweg_protocol::{
    BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence,
    TimestampMs, TopicId, TopicPartition,
};
use thalweg_storage::fs::sim::SimDisk;
use thalweg_storage::fs::{FileSystem, OsFileSystem};
use thalweg_storage::{
    AppendError, Believed, CheckedBatch, FileKind, FileName, Log, LogDir, LogDirOptions,
    LogOptions, LogReader, OpenFiles, Owner, PartitionMetadata, ReadError,
};

/// A batch as it must lie in the log.
#[derive(Clone)]
struct Stored {
    batch: Batch,
    produced: Bytes,
}

impl Stored {
    fn base(&self) -> Offset {
        self.batch.header.base_offset
    }

    fn last(&self) -> Offset {
        self.batch.header.last_offset()
    }

    fn records(&self) -> Vec<(Offset, TimestampMs)> {
        let records = self.batch.records().unwrap();
        records.iter().map(|record| record.map(|r| (r.offset, r.timestamp)).unwrap()).collect()
    }
}

/// What the log must hold, and what it takes to open it again.
struct Model {
    stored: Vec<Stored>,
    log_start: Offset,
    log_end: Offset,
    epoch: LeaderEpoch,
    producers: i64,
    now: TimestampMs,
}

/// The log under test beside its model.
struct Bench {
    seed: u64,
    random: Rng,
    dir: Arc<LogDir>,
    partition: TopicPartition,
    options: LogOptions,
    log: Option<Log>,
    model: Model,
    reads: usize,
    duplicates: usize,
    reopened: usize,
    cuts: usize,
    damaged: usize,
    oversized: usize,
}

impl Bench {
    fn new(fs: Arc<dyn FileSystem>, root: &Path, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let owner = Owner { node: BrokerId::new(1), cluster: None };
        let dir_options = LogDirOptions {
            free_bytes_min: 0,
            reserve_bytes: 0,
            open_files: OpenFiles::new(random.usize(1..8)),
        };
        let dir = LogDir::open(fs, root, &owner, dir_options).unwrap();
        let topic = TopicId::from_bytes([7; 16]);
        let partition = TopicPartition::new(topic, PartitionIndex::new(0));
        let metadata = PartitionMetadata { topic, name: "events".to_owned() };
        let options = LogOptions {
            // Small ones roll all the time; large ones have indexes that reach into their files.
            segment_bytes: *random.choice(&[3_000, 12_000, 12_000, 400_000]).unwrap(),
            segment_ms: 50_000,
            index_interval_bytes: *random.choice(&[0, 300, 4096]).unwrap(),
            retention_ms: None,
            retention_bytes: None,
            preallocate: random.bool(),
            ..LogOptions::default()
        };
        let now = TimestampMs::new(1_000_000);
        let log = Log::create(&dir, partition, &metadata, options.clone(), now).unwrap();
        let model = Model {
            stored: Vec::new(),
            log_start: Offset::ZERO,
            log_end: Offset::ZERO,
            epoch: LeaderEpoch::FIRST,
            producers: 0,
            now,
        };
        Self {
            seed,
            random,
            dir,
            partition,
            options,
            log: Some(log),
            model,
            reads: 0,
            duplicates: 0,
            reopened: 0,
            cuts: 0,
            damaged: 0,
            oversized: 0,
        }
    }

    fn segment_bytes(&self) -> usize {
        usize::try_from(self.options.segment_bytes).unwrap()
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    fn reader(&self) -> LogReader {
        self.log.as_ref().unwrap().reader()
    }

    fn step(&mut self) {
        self.model.now = self.model.now.plus(self.random.i64(0..100));
        match self.random.u32(0..1000) {
            0..500 => self.append(),
            500..800 => self.read(),
            800..840 => self.look_up_time(),
            840..870 => self.look_up_epoch(),
            870..890 => self.log().roll().unwrap(),
            890..900 => {
                self.log().wants_preparation();
                self.log().reader().prepare();
            }
            900..930 => self.sync(),
            930..950 => self.truncate(),
            950..965 => self.delete_below(),
            965..975 => self.retain(),
            975..985 => self.reopen_clean(),
            985..995 => self.reopen_after_kill(),
            _ => self.append_replicated(),
        }
        self.check_ends();
    }

    /// A batch with random records; sometimes larger than a segment.
    fn batch(&mut self, producer: ProducerId, epoch: ProducerEpoch, sequence: Sequence) -> Bytes {
        let codec = *self.random.choice(&Compression::ALL).unwrap();
        let mut builder = BatchBuilder::new(codec, 1 << 20);
        let value_max = *self.random.choice(&[1, 10, 200, 3000]).unwrap();
        for _ in 0..self.random.usize(1..12) {
            let mut value = vec![0; self.random.usize(0..=value_max)];
            self.random.fill(&mut value);
            let at = TimestampMs::new(self.random.i64(0..1_000_000));
            builder.try_append(at, Some(b"key"), Some(&value), NO_HEADERS).unwrap();
        }
        builder.build(producer, epoch, sequence)
    }

    fn append(&mut self) {
        if self.random.u32(0..10) == 0 {
            self.model.epoch = LeaderEpoch::new(self.model.epoch.get() + self.random.i32(1..3));
        }
        if self.random.u32(0..8) == 0 && self.append_again() {
            return;
        }
        let (producer, sequence) = self.next_sequence();
        let epoch =
            if producer == ProducerId::NONE { ProducerEpoch::NONE } else { ProducerEpoch::new(0) };
        let produced = self.batch(producer, epoch, sequence);
        let header = Batch::decode(&produced).unwrap().header;
        let (epoch, now) = (self.model.epoch, self.model.now);
        let batch = CheckedBatch::new(header, produced.clone());
        let appended = self.log().append(&batch, epoch, now).unwrap();
        self.oversized += usize::from(produced.len() > self.segment_bytes());
        assert_eq!(appended.base_offset, self.model.log_end);
        assert!(!appended.duplicate);
        self.store(produced);
        assert_eq!(appended.last_offset.next(), self.model.log_end);
    }

    fn store(&mut self, produced: Bytes) {
        let head = patched_head(&produced, self.model.log_end, self.model.epoch);
        let stored = [&head, &produced[head.len()..]].concat();
        let batch = Batch::decode(&Bytes::from(stored)).unwrap();
        self.model.log_end = batch.header.next_offset();
        self.model.stored.push(Stored { batch, produced });
    }

    /// A producer that goes on, a new one, or none.
    fn next_sequence(&mut self) -> (ProducerId, Sequence) {
        if self.random.u32(0..3) == 0 {
            return (ProducerId::NONE, Sequence::NONE);
        }
        let recent = self.model.stored.iter().rev().take(20);
        let known: Vec<_> = recent.filter(|it| it.batch.header.is_idempotent()).collect();
        if known.is_empty() || self.random.u32(0..10) == 0 {
            self.model.producers += 1;
            return (ProducerId::new(self.model.producers), Sequence::FIRST);
        }
        let header = known[self.random.usize(..known.len())].batch.header;
        let newest = |it: &&Stored| it.batch.header.producer == header.producer;
        let last = self.model.stored.iter().rev().find(newest).unwrap().batch.header;
        (header.producer, last.last_sequence().plus(1))
    }

    /// Sends a stored batch again: it must be answered with the original's offsets.
    fn append_again(&mut self) -> bool {
        let live = self.model.stored.iter().filter(|it| it.batch.header.is_idempotent());
        let Some(original) = live.last().cloned() else { return false };
        let header = Batch::decode(&original.produced).unwrap().header;
        let again = CheckedBatch::new(header, original.produced.clone());
        let (epoch, now) = (self.model.epoch, self.model.now);
        let appended = self.log().append(&again, epoch, now).unwrap();
        assert!(appended.duplicate, "seed {}: {header:?}", self.seed);
        assert_eq!(appended.base_offset, original.base());
        assert_eq!(appended.last_offset, original.last());
        self.duplicates += 1;
        true
    }

    /// Batches as a leader stored them, several at once.
    fn append_replicated(&mut self) {
        let mut bytes = Vec::new();
        let mut produced = Vec::new();
        let mut end = self.model.log_end;
        for _ in 0..self.random.usize(1..4) {
            let batch = self.batch(ProducerId::NONE, ProducerEpoch::NONE, Sequence::NONE);
            let head = patched_head(&batch, end, self.model.epoch);
            end = end.plus(i64::from(Batch::decode(&batch).unwrap().header.record_count));
            bytes.extend(head);
            bytes.extend(&batch[head.len()..]);
            produced.push(batch);
        }
        let now = self.model.now;
        let bytes = Bytes::from(bytes);
        assert_eq!(self.log().append_replicated(&bytes, now).unwrap(), produced.len());
        for batch in produced {
            self.store(batch);
        }
        if !bytes.is_empty() {
            let again = self.log().append_replicated(&bytes, now);
            assert!(matches!(again, Err(AppendError::OutOfOrder { .. })), "{again:?}");
        }
    }

    /// Any offset, also outside of the log.
    fn any_offset(&mut self) -> Offset {
        let (start, end) = (self.model.log_start.get(), self.model.log_end.get());
        Offset::new(self.random.i64(start - 2..=end + 2))
    }

    fn read(&mut self) {
        self.reads += 1;
        let from = self.any_offset();
        let below = if self.random.bool() { self.model.log_end } else { self.any_offset() };
        let bytes_max = *self.random.choice(&[0, 50, 500, 5_000, 50_000, usize::MAX]).unwrap();
        let at_least_one = self.random.bool();
        let read = self.reader().read(from, bytes_max, below, at_least_one);
        let Model { log_start, log_end, .. } = self.model;
        let seed = self.seed;
        if from < log_start || from > log_end {
            assert!(
                matches!(read, Err(ReadError::OutOfRange { log_start: s, log_end: e, .. })
                    if s == log_start && e == log_end),
                "seed {seed}: {read:?}"
            );
            return;
        }
        let read = read.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let held = self.model.stored.iter().skip_while(|it| it.last() < from);
        let allowed: Vec<_> = held.take_while(|it| it.last() < below).collect();
        let mut left = &read.bytes()[..];
        let mut next = from;
        for stored in &allowed {
            let bytes = stored.batch.bytes();
            if left.is_empty() {
                break;
            }
            assert!(left.starts_with(bytes), "seed {seed}: offset {} differs", stored.base());
            left = &left[bytes.len()..];
            next = stored.last().next();
        }
        assert!(left.is_empty(), "seed {seed}: {} bytes too many", left.len());
        assert_eq!(read.next(), next, "seed {seed}");
        match allowed.first() {
            Some(first) if at_least_one || first.batch.bytes().len() <= bytes_max => {
                assert!(!read.bytes().is_empty(), "seed {seed}: nothing read at {from}");
                let one = first.batch.bytes().len();
                assert!(read.bytes().len() <= bytes_max.max(one), "seed {seed}");
            }
            _ => assert!(read.bytes().is_empty(), "seed {seed}"),
        }
    }

    /// Reads everything in large pieces, and compares.
    fn read_all(&self) {
        let reader = self.reader();
        let mut at = self.model.log_start;
        let mut bytes = Vec::new();
        while at < self.model.log_end {
            let read = reader.read(at, 5_000, self.model.log_end, true).unwrap();
            assert!(read.next() > at, "seed {}: no progress at {at}", self.seed);
            read.populate().unwrap();
            bytes.extend_from_slice(read.bytes());
            at = read.next();
        }
        let live = self.model.stored.iter().filter(|it| it.last() >= self.model.log_start);
        let expected: Vec<_> = live.map(|it| it.batch.bytes().clone()).collect();
        let batches = BatchReader::new(bytes.into());
        let found: Vec<_> = batches.map(|batch| batch.unwrap().bytes().clone()).collect();
        assert!(found == expected, "seed {}: the log differs from its model", self.seed);
    }

    fn records(&self, below: Offset) -> impl Iterator<Item = (Offset, TimestampMs)> {
        let records = self.model.stored.iter().flat_map(Stored::records);
        let start = self.model.log_start;
        records.filter(move |(offset, _)| *offset >= start && *offset < below)
    }

    fn look_up_time(&mut self) {
        let below = self.any_offset().min(self.model.log_end);
        let time = TimestampMs::new(self.random.i64(0..1_100_000));
        let found = self.reader().offset_at_time(time, below).unwrap();
        let expected = self.records(below).find(|(_, at)| *at >= time);
        assert_eq!(
            found.map(|it| (it.offset, it.timestamp)),
            expected,
            "seed {}: from {time} below {below}",
            self.seed
        );
        let largest = self.reader().max_timestamp(below).unwrap();
        let time = self.records(below).map(|(_, at)| at).max();
        let expected = self.records(below).find(|(_, at)| Some(*at) == time);
        let largest = largest.map(|it| (it.offset, it.timestamp));
        assert_eq!(largest.map(|it| it.1), expected.map(|it| it.1), "seed {}", self.seed);
        assert_eq!(largest, expected, "seed {}", self.seed);
    }

    fn look_up_epoch(&mut self) {
        let live: Vec<_> =
            self.model.stored.iter().filter(|it| it.last() >= self.model.log_start).collect();
        if live.is_empty() {
            return;
        }
        let at = self.random.usize(..live.len());
        let epoch = live[at].batch.header.leader_epoch;
        let next = live.iter().find(|it| it.batch.header.leader_epoch > epoch);
        let end = next.map_or(self.model.log_end, |it| it.base());
        let found = self.reader().epoch_end(epoch).unwrap();
        assert_eq!((found.epoch, found.end), (epoch, end), "seed {}", self.seed);
        let offset = live[at].last();
        assert_eq!(self.reader().epoch_at(offset), Some(epoch), "seed {}", self.seed);
    }

    fn sync(&mut self) {
        let end = self.reader().sync().unwrap();
        assert_eq!(end, self.model.log_end);
        assert_eq!(self.reader().synced_end(), end);
        assert!(!self.reader().is_dirty());
    }

    fn truncate(&mut self) {
        let to = self.any_offset();
        let held = self.reader().read(self.model.log_start, 4_000, self.model.log_end, true).ok();
        let copy = held.as_ref().map(|read| read.bytes().to_vec());
        let now = self.model.now;
        let cut = self.log().truncate(to, now);
        let Model { log_start, log_end, .. } = self.model;
        if to < log_start {
            assert!(cut.is_err());
            return;
        }
        self.cuts += 1;
        let kept = self.model.stored.iter().take_while(|it| it.last() < to).count();
        self.model.stored.truncate(kept);
        let end = self.model.stored.last().map_or(log_start, |it| it.last().next());
        self.model.log_end = end.max(log_start);
        assert_eq!(cut.unwrap(), self.model.log_end, "seed {}: {to} of {log_end}", self.seed);
        // Other batches follow at the same offsets: a new epoch, as a new leader would write.
        self.model.epoch = self.model.epoch.next();
        self.append();
        if let (Some(held), Some(copy)) = (held, copy) {
            assert!(held.bytes()[..] == copy[..], "seed {}: held bytes changed", self.seed);
        }
    }

    fn delete_below(&mut self) {
        let to = self.any_offset();
        let deleted = self.log().delete_below(to);
        if to > self.model.log_end {
            assert!(deleted.is_err());
            return;
        }
        deleted.unwrap();
        self.model.log_start = self.model.log_start.max(to);
        self.forget_deleted();
    }

    fn forget_deleted(&mut self) {
        let start = self.model.log_start;
        self.model.stored.retain(|it| it.last() >= start);
    }

    fn retain(&mut self) {
        let bytes_max = self.random.u64(0..60_000);
        let by_size = self.random.bool();
        self.options.retention_bytes = by_size.then_some(bytes_max);
        self.options.retention_ms = (!by_size).then(|| self.random.i64(0..5_000));
        let options = self.options.clone();
        self.log().set_options(options);
        let before = self.reader().bytes_on_disk();
        let (now, end) = (self.model.now, self.model.log_end);
        let removed = self.log().apply_retention(now, end).unwrap();
        let reader = self.reader();
        assert_eq!(reader.bytes_on_disk(), before - removed.bytes);
        assert!(reader.log_start() >= self.model.log_start);
        let fits = before <= bytes_max || reader.bytes_on_disk() >= bytes_max;
        assert!(!by_size || fits, "seed {}: too much was deleted", self.seed);
        self.model.log_start = reader.log_start();
        self.forget_deleted();
    }

    fn believed(&self, recovery_point: Offset, clean: bool) -> Believed {
        let log_start = self.model.log_start;
        let last_appends = self.log.as_ref().map(Log::segment_appends).unwrap_or_default();
        Believed { recovery_point, clean, log_start, last_appends }
    }

    fn reopen_clean(&mut self) {
        let believed = self.believed(self.model.log_end, true);
        self.log.take().unwrap().close().unwrap();
        self.reopen(&believed, true);
    }

    /// The process was killed: everything is still in the page cache, or was synced.
    fn reopen_after_kill(&mut self) {
        let recovery_point = self.reader().synced_end();
        let believed = self.believed(recovery_point, false);
        drop(self.log.take());
        self.reopen(&believed, false);
    }

    fn reopen(&mut self, believed: &Believed, clean: bool) {
        self.reopened += 1;
        let damaged = self.random.u32(0..3) == 0;
        if damaged {
            self.damage_indexes();
        }
        let opened = Log::open_believing(
            &self.dir,
            self.partition,
            self.options.clone(),
            believed,
            self.model.now,
        );
        let (log, report) = opened.unwrap();
        let seed = self.seed;
        assert_eq!(report.cut_bytes, 0, "seed {seed}, clean {clean}: {report:?}");
        let start = self.model.log_start;
        assert!(
            report.bad_ranges.is_empty(),
            "seed {seed}, clean {clean}, log start {start}: {report:?} {believed:?}"
        );
        assert!(!report.may_have_lost_suffix, "seed {seed}");
        if clean {
            assert_eq!(report.kept_batches, 0, "seed {seed}: {report:?}");
        }
        self.log = Some(log);
        let (reader, end) = (self.reader(), self.model.log_end);
        assert_eq!((reader.log_end(), reader.synced_end()), (end, end), "seed {seed}");
        self.read_all();
    }

    /// Index files are hints: whatever they hold, reads are right.
    fn damage_indexes(&mut self) {
        let fs = Arc::clone(self.dir.fs());
        let folder = self.dir.folder(self.partition);
        for path in fs.list(&folder).unwrap() {
            let name = FileName::parse(path.file_name().unwrap().to_str().unwrap());
            let hint = [FileKind::OffsetIndex, FileKind::TimeIndex];
            if name.is_none_or(|name| !hint.contains(&name.kind)) || self.random.bool() {
                continue;
            }
            self.damaged += 1;
            let file = fs.open(&path).unwrap();
            let length = file.length().unwrap();
            match self.random.u32(0..4) {
                0 => fs.remove(&path).unwrap(),
                1 => file.set_length(self.random.u64(0..=length)).unwrap(),
                2 => file.set_length(length + self.random.u64(1..50)).unwrap(),
                _ if length == 0 => {}
                _ => {
                    let mut garbage = vec![0; self.random.usize(1..30)];
                    self.random.fill(&mut garbage);
                    file.write_at(self.random.u64(0..length), &[&garbage]).unwrap();
                }
            }
        }
    }

    fn check_ends(&self) {
        let (reader, model) = (self.reader(), &self.model);
        assert_eq!(reader.log_start(), model.log_start, "seed {}", self.seed);
        assert_eq!(reader.log_end(), model.log_end, "seed {}", self.seed);
        assert!(reader.synced_end() <= reader.log_end(), "seed {}", self.seed);
    }
}

fn seeds(default: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("N").unwrap_or(default),
    }
}

fn run(fs: &Arc<dyn FileSystem>, root: &Path, seed: u64, steps: usize) -> Bench {
    let mut bench = Bench::new(Arc::clone(fs), root, seed);
    for _ in 0..steps {
        bench.step();
    }
    bench.read_all();
    bench.reopen_after_kill();
    bench
}

/// A run in which something never happened proves nothing about it.
fn check_not_vacuous(benches: &[Bench]) {
    let sum = |count: fn(&Bench) -> usize| benches.iter().map(count).sum::<usize>();
    let [reads, duplicates, oversized] =
        [sum(|b| b.reads), sum(|b| b.duplicates), sum(|b| b.oversized)];
    let [reopened, cuts, damaged] = [sum(|b| b.reopened), sum(|b| b.cuts), sum(|b| b.damaged)];
    let all = [reads, duplicates, oversized, reopened, cuts, damaged];
    assert!(benches.len() < 10 || all.iter().all(|count| *count > 10), "vacuous: {all:?}");
}

#[test]
fn a_log_on_real_files_equals_its_model() {
    let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
    let mut benches = Vec::new();
    for seed in seeds(20) {
        let folder = tempfile::tempdir().unwrap();
        benches.push(run(&fs, folder.path(), seed, 600));
    }
    check_not_vacuous(&benches);
}

#[test]
fn a_log_on_the_simulated_disk_equals_its_model() {
    let mut benches = Vec::new();
    for seed in seeds(60) {
        let fs: Arc<dyn FileSystem> = Arc::new(SimDisk::new(seed));
        benches.push(run(&fs, &PathBuf::from("/data"), seed, 600));
    }
    check_not_vacuous(&benches);
}
