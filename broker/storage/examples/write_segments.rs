//! Writes logs of every kind, and beside them what Kafka's own dump tool must say of them: the input of
//! `scripts/dump-tool.sh`.
//!
//! ```text
//! cargo run -p thalweg-storage --example write_segments -- <empty folder>
//!
//! <folder>/logs/<topic id>-<partition>/...   the logs, closed
//! <folder>/partitions.txt                    their folders, in order: name, what is special, batches, records
//! <folder>/expected.txt                      batches and records, in the words of the dump tool
//! <folder>/producers.txt                     the last batch of each idempotent producer
//! ```
//!
//! What is expected comes from what was appended, never from what lies on the disk.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fastrand::Rng;
use thalweg_protocol::batch::control::{ControlRecord, Marker};
use thalweg_protocol::batch::{
    Attributes, BatchBuilder, BatchHeader, Compression, TimestampType, checksum, patched_head,
};
use thalweg_protocol::{
    BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence,
    TimestampMs, TopicId, TopicPartition,
};
use thalweg_storage::fs::OsFileSystem;
use thalweg_storage::{
    CheckedBatch, CompactionOptions, CompactionRequest, FileKind, FileName, Log, LogDir,
    LogDirOptions, LogOptions, OpenFiles, Owner, PartitionMetadata, RecoveryMark, compact,
};

type Failure = Box<dyn Error>;

const BATCHES: i32 = 150;
const PRODUCERS: [ProducerId; 2] = [ProducerId::new(4711), ProducerId::new(1 << 40)];
/// The times of the records wander around this one.
const START_MS: i64 = 1_700_000_000_000;
const WORDS: [&str; 8] =
    ["river", "delta", "naïve", "flood plain", "thalweg", "Übersetzung", "水", "meander"];
const HEADER_KEYS: [&str; 4] = ["trace", "source", "trace", ""];

/// What happens to a log besides appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing: it is closed in the end.
    None,
    /// Left open, as by a crash, its indexes removed, and recovered.
    Recovered,
    /// Cut back in the middle, then written on.
    Cut,
    /// Compacted, but for the end.
    Compacted,
    /// Stored as a follower does, transactions with their markers included.
    Replicated,
}

/// One log to write.
#[derive(Clone, Copy, Debug)]
struct Kind {
    codec: Compression,
    is_idempotent: bool,
    timestamp_type: TimestampType,
    turn: Turn,
}

fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for codec in Compression::ALL {
        for is_idempotent in [false, true] {
            for timestamp_type in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
                kinds.push(Kind { codec, is_idempotent, timestamp_type, turn: Turn::None });
            }
        }
    }
    let timestamp_type = TimestampType::CreateTime;
    for (turn, codec) in [
        (Turn::Recovered, Compression::Zstd),
        (Turn::Recovered, Compression::None),
        (Turn::Cut, Compression::Lz4),
        (Turn::Cut, Compression::None),
        (Turn::Compacted, Compression::None),
        (Turn::Compacted, Compression::Zstd),
        (Turn::Compacted, Compression::Snappy),
        (Turn::Replicated, Compression::Gzip),
        (Turn::Replicated, Compression::None),
    ] {
        kinds.push(Kind { codec, is_idempotent: true, timestamp_type, turn });
    }
    kinds
}

/// A batch that was appended, in the words of the dump tool.
struct Told {
    header: BatchHeader,
    append_time: Option<TimestampMs>,
    /// With their offsets in the batch.
    records: Vec<(i32, DraftRecord)>,
    /// Until when its tombstones stay.
    horizon: Option<TimestampMs>,
    producer: Option<(ProducerId, String)>,
}

/// A batch before it is appended; the texts lack the offsets.
struct Draft {
    bytes: Bytes,
    header: BatchHeader,
    records: Vec<DraftRecord>,
}

#[derive(Clone)]
struct DraftRecord {
    key: Option<String>,
    is_tombstone: bool,
    timestamp: TimestampMs,
    sizes: (i64, i64),
    header_keys: Vec<&'static str>,
    content: String,
}

/// One log while it is written.
struct Scribe {
    kind: Kind,
    random: Rng,
    builder: BatchBuilder,
    next_sequence: [Sequence; 2],
    told: Vec<Told>,
    synced_end: Offset,
}

impl Scribe {
    fn new(kind: Kind, seed: u64) -> Self {
        Self {
            kind,
            random: Rng::with_seed(seed),
            builder: BatchBuilder::new(kind.codec, 64 * 1024),
            next_sequence: [Sequence::FIRST; 2],
            told: Vec::new(),
            synced_end: Offset::ZERO,
        }
    }

    fn draft(&mut self, number: i32) -> Draft {
        let count = if number % 50 == 20 { 200 } else { self.random.i32(1..25) };
        let records: Vec<_> = (0..count).map(|_| self.add_record(number)).collect();
        let bytes = if self.kind.is_idempotent {
            let (producer, next) = if self.random.bool() {
                (PRODUCERS[0], &mut self.next_sequence[0])
            } else {
                (PRODUCERS[1], &mut self.next_sequence[1])
            };
            let first = *next;
            *next = first.plus(count);
            self.builder.build(producer, ProducerEpoch::new(3), first)
        } else {
            self.builder.build_unsequenced()
        };
        let header = BatchHeader::decode(&bytes).expect("just built");
        Draft { bytes, header, records }
    }

    /// Null and empty keys and values, repeated and empty header keys, header values that are null.
    fn add_record(&mut self, number: i32) -> DraftRecord {
        let random = &mut self.random;
        let wander = random.i64(-3_000..3_000);
        let timestamp = TimestampMs::new(START_MS + i64::from(number) * 500 + wander);
        let key = (random.u8(0..4) > 0).then(|| format!("key {}", random.u8(0..20)));
        let key = if random.u8(0..20) == 0 { Some(String::new()) } else { key };
        let value = (random.u8(0..10) > 0).then(|| {
            let words = random.usize(0..40);
            let words: Vec<_> =
                (0..words).filter_map(|_| WORDS.get(random.usize(0..WORDS.len()))).collect();
            words.into_iter().copied().collect::<Vec<_>>().join(" ")
        });
        let header_keys: Vec<&str> = HEADER_KEYS.into_iter().take(random.usize(0..5)).collect();
        let null: Option<&[u8]> = None;
        let value_of = |at: usize| if at == 1 { null } else { Some(b"\x00\xff".as_slice()) };
        let headers: Vec<_> =
            header_keys.iter().enumerate().map(|(at, key)| (*key, value_of(at))).collect();
        let bytes = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().to_vec());
        let added = self.builder.try_append(
            timestamp,
            bytes(&key).as_deref(),
            bytes(&value).as_deref(),
            &headers,
        );
        assert!(added.is_some(), "200 small records fit into a batch");
        let size = |text: &Option<String>| {
            text.as_ref().map_or(-1, |text| i64::try_from(text.len()).unwrap_or(i64::MAX))
        };
        let mut content = String::new();
        for (name, text) in [("key", &key), ("payload", &value)] {
            if let Some(text) = text {
                let _ = write!(content, " {name}: {text}");
            }
        }
        let sizes = (size(&key), size(&value));
        let is_tombstone = key.is_some() && value.is_none();
        DraftRecord { key, is_tombstone, timestamp, sizes, header_keys, content }
    }

    fn append(
        &mut self,
        log: &mut Log,
        draft: &Draft,
        epoch: LeaderEpoch,
        now: TimestampMs,
    ) -> Result<(), Failure> {
        if self.kind.turn == Turn::Replicated {
            return self.replicate(log, draft, epoch, now);
        }
        let batch = CheckedBatch::new(draft.header, draft.bytes.clone());
        let appended = log.append(&batch, epoch, now)?;
        assert!(!appended.duplicate, "each batch is sent once");
        let stored =
            BatchHeader { base_offset: appended.base_offset, leader_epoch: epoch, ..draft.header };
        self.tell(&stored, &draft.records, appended.log_append_time);
        Ok(())
    }

    /// A transaction of one batch, and the marker that ends it.
    fn replicate(
        &mut self,
        log: &mut Log,
        draft: &Draft,
        epoch: LeaderEpoch,
        now: TimestampMs,
    ) -> Result<(), Failure> {
        let attributes = draft.header.attributes.with_transactional();
        let data = placed(&draft.bytes, attributes, log.log_end(), epoch);
        let stored = BatchHeader::decode(&data)?;
        log.append_replicated(&data, now)?;
        self.tell(&stored, &draft.records, None);

        let is_commit = self.random.bool();
        let marker = if is_commit { Marker::Commit } else { Marker::Abort };
        let control = ControlRecord { marker, coordinator_epoch: 3 };
        let marker = control.to_batch(stored.producer, stored.producer_epoch, stored.max_timestamp);
        let attributes = BatchHeader::decode(&marker)?.attributes;
        let marker = placed(&marker, attributes, log.log_end(), epoch);
        log.append_replicated(&marker, now)?;
        let kind = if is_commit { "COMMIT" } else { "ABORT" };
        let record = DraftRecord {
            key: None,
            is_tombstone: false,
            timestamp: stored.max_timestamp,
            sizes: (4, 6),
            header_keys: Vec::new(),
            content: format!(" endTxnMarker: {kind} coordinatorEpoch: 3"),
        };
        self.tell(&BatchHeader::decode(&marker)?, &[record], None);
        Ok(())
    }

    /// Takes note of a batch that was appended.
    fn tell(
        &mut self,
        header: &BatchHeader,
        records: &[DraftRecord],
        append_time: Option<TimestampMs>,
    ) {
        let has_sequence = header.base_sequence != Sequence::NONE;
        let producer = (header.is_idempotent() && has_sequence).then(|| {
            let text = format!(
                "producerId: {} producerEpoch: {} firstSequence: {} lastSequence: {} lastOffset: {}",
                header.producer.get(),
                header.producer_epoch.get(),
                header.base_sequence.get(),
                header.last_sequence().get(),
                header.last_offset(),
            );
            (header.producer, text)
        });
        let records = (0..).zip(records.iter().cloned()).collect();
        self.told.push(Told { header: *header, append_time, records, horizon: None, producer });
    }

    /// Compacts the log, and says by its own lights what is left of it: what was told becomes that.
    fn compact(&mut self, log: Log, now: TimestampMs) -> Result<Log, Failure> {
        let reader = log.reader();
        let log = RefCell::new(log);
        log.borrow_mut().roll()?;
        reader.sync()?;
        let request = CompactionRequest {
            high_watermark: reader.log_end(),
            now,
            memory_bytes_max: 1 << 20,
            is_asked: true,
        };
        let with_log = |with: &mut dyn FnMut(&mut Log)| {
            with(&mut log.borrow_mut());
            true
        };
        let done = compact(&reader, &with_log, &request, &mut |_| true)?;
        assert!(done.removed_records > 0 && done.groups > 0, "{done:?}");
        let mut latest = HashMap::new();
        for told in &self.told {
            for (delta, record) in told.records.iter().filter(|(_, it)| it.key.is_some()) {
                latest.insert(record.key.clone(), (told.header.base_offset, *delta));
            }
        }
        let remembered: HashSet<Offset> =
            PRODUCERS.iter().flat_map(|id| self.last_five(*id)).collect();
        let mut left: Vec<Told> = Vec::new();
        for mut told in std::mem::take(&mut self.told) {
            let base = told.header.base_offset;
            let stays = |delta: i32, record: &DraftRecord| {
                record.key.is_none() || latest.get(&record.key) == Some(&(base, delta))
            };
            told.records.retain(|(delta, record)| stays(*delta, record));
            told.header.record_count = i32::try_from(told.records.len())?;
            if told.records.iter().any(|(_, record)| record.is_tombstone) {
                told.horizon = Some(now.plus(CompactionOptions::default().delete_retention_ms));
            }
            let newest = told.records.iter().map(|(_, record)| record.timestamp).max();
            told.header.max_timestamp = newest.unwrap_or(TimestampMs::NONE);
            if newest.is_none() {
                told.header.attributes = told.header.attributes.with_compression(Compression::None);
            }
            if newest.is_some() || remembered.contains(&told.header.last_offset()) {
                left.push(told);
                continue;
            }
            let hole = left.last_mut().filter(|last| {
                !last.header.is_idempotent()
                    && last.header.record_count == 0
                    && last.header.leader_epoch == told.header.leader_epoch
            });
            if let Some(hole) = hole {
                hole.header.last_offset_delta += told.header.last_offset_delta + 1;
                continue;
            }
            told.header.producer = ProducerId::NONE;
            told.header.producer_epoch = ProducerEpoch::NONE;
            told.header.base_sequence = Sequence::NONE;
            told.producer = None;
            left.push(told);
        }
        self.told = left;
        Ok(log.into_inner())
    }

    fn last_five(&self, id: ProducerId) -> Vec<Offset> {
        let batches = self.told.iter().rev().filter(|told| told.header.producer == id);
        batches.take(5).map(|told| told.header.last_offset()).collect()
    }
}

impl Told {
    /// What the dump tool must say of the batch.
    fn text(&self) -> String {
        let header = &self.header;
        let clock = if self.append_time.is_some() { "LogAppendTime" } else { "CreateTime" };
        let (base, last) = (header.base_offset, header.last_offset());
        let has_sequence = header.base_sequence != Sequence::NONE;
        let last_sequence =
            if has_sequence { header.last_sequence() } else { Sequence::NONE }.get();
        let horizon = self.horizon.map_or_else(
            || "OptionalLong.empty".to_owned(),
            |horizon| format!("OptionalLong[{}]", horizon.get()),
        );
        let mut text = format!(
            "baseOffset: {base} lastOffset: {last} count: {} baseSequence: {} lastSequence: \
             {last_sequence} producerId: {} producerEpoch: {} partitionLeaderEpoch: {} \
             isTransactional: {} isControl: {} deleteHorizonMs: {horizon} {clock}: {} \
             magic: 2 compresscodec: {} isvalid: true\n",
            header.record_count,
            header.base_sequence.get(),
            header.producer.get(),
            header.producer_epoch.get(),
            header.leader_epoch.get(),
            header.attributes.is_transactional(),
            header.attributes.is_control(),
            self.append_time.unwrap_or(header.max_timestamp).get(),
            header.attributes.compression().map_or("?", Compression::name),
        );
        for (delta, record) in &self.records {
            let timestamp = self.append_time.unwrap_or(record.timestamp).get();
            let sequence = if has_sequence { header.base_sequence.plus(*delta).get() } else { -1 };
            let _ = writeln!(
                text,
                "| offset: {} {clock}: {timestamp} keySize: {} valueSize: {} sequence: {sequence} \
                 headerKeys: [{}]{}",
                base.plus(i64::from(*delta)),
                record.sizes.0,
                record.sizes.1,
                record.header_keys.join(","),
                record.content,
            );
        }
        text
    }
}

/// A batch as a leader stores it.
fn placed(batch: &Bytes, attributes: Attributes, at: Offset, epoch: LeaderEpoch) -> Bytes {
    let mut bytes = BytesMut::from(&**batch);
    bytes.get_mut(21..23).expect("a header").copy_from_slice(&attributes.get().to_be_bytes());
    let crc = checksum(&bytes).to_be_bytes();
    bytes.get_mut(17..21).expect("a header").copy_from_slice(&crc);
    let head = patched_head(&bytes, at, epoch);
    bytes.get_mut(..head.len()).expect("a header").copy_from_slice(&head);
    bytes.freeze()
}

fn options(kind: Kind) -> LogOptions {
    let is_plain = kind.codec == Compression::None;
    // Several segments of each log, small as compressed batches are.
    let segment_bytes = if is_plain { 96 * 1024 } else { 24 * 1024 };
    LogOptions {
        segment_bytes,
        batch_bytes_max: segment_bytes,
        // The first is Kafka's own.
        index_interval_bytes: if is_plain { 4096 } else { 1024 },
        timestamp_type: kind.timestamp_type,
        compaction: (kind.turn == Turn::Compacted).then(CompactionOptions::default),
        ..LogOptions::default()
    }
}

/// Leaves the log as a crash does, without indexes, and opens it again.
fn recover(
    dir: &Arc<LogDir>,
    log: Log,
    options: LogOptions,
    now: TimestampMs,
) -> Result<Log, Failure> {
    let (partition, folder) = (log.partition(), log.reader().folder().to_owned());
    drop(log);
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| FileName::parse(name.to_str()?));
        if name.is_some_and(|it| matches!(it.kind, FileKind::OffsetIndex | FileKind::TimeIndex)) {
            fs::remove_file(path)?;
        }
    }
    let (log, report) = Log::open(dir, partition, options, now)?;
    assert!(report.kept_batches > 0 && report.cut_bytes == 0, "{report:?}");
    Ok(log)
}

fn write_log(
    dir: &Arc<LogDir>,
    at: TopicPartition,
    kind: Kind,
    seed: u64,
) -> Result<Scribe, Failure> {
    let metadata = PartitionMetadata { topic: at.topic, name: "events".to_owned() };
    let now = |number: i32| TimestampMs::new(START_MS + 60_000 + i64::from(number) * 400);
    let mut log = Log::create(dir, at, &metadata, options(kind), now(0))?;
    let mut scribe = Scribe::new(kind, seed);
    let mut sequences_before = scribe.next_sequence;
    for number in 0..BATCHES {
        if number == 70 {
            sequences_before = scribe.next_sequence;
        }
        let draft = scribe.draft(number);
        // The epoch rises at some batches.
        scribe.append(&mut log, &draft, LeaderEpoch::new(number / 40 * 2), now(number))?;
        if kind.turn == Turn::Recovered && number % 60 == 45 {
            log = recover(dir, log, options(kind), now(number))?;
        }
        if kind.turn == Turn::Compacted && number == 120 {
            log = scribe.compact(log, now(number))?;
        }
        if kind.turn == Turn::Cut && number == 100 {
            let middle = scribe.told.get(70).map_or(Offset::ZERO, |told| told.header.base_offset);
            log.truncate(middle, now(number))?;
            assert_eq!(log.log_end(), middle, "a batch begins there");
            scribe.told.truncate(70);
            scribe.next_sequence = sequences_before;
        }
    }
    let reader = log.close()?;
    scribe.synced_end = reader.synced_end();
    Ok(scribe)
}

fn open_dir(root: &Path) -> Result<Arc<LogDir>, Failure> {
    let owner = Owner { node: BrokerId::new(1), cluster: None };
    let options =
        LogDirOptions { free_bytes_min: 0, reserve_bytes: 0, open_files: OpenFiles::new(64) };
    Ok(LogDir::open(Arc::new(OsFileSystem), &root.join("logs"), &owner, options)?)
}

fn close_dir(dir: &LogDir, marks: &[RecoveryMark]) -> Result<(), Failure> {
    dir.write_recovery_points(|| marks.to_vec())?;
    Ok(dir.close_clean()?)
}

/// Opens what was cut and closes it again: readers may hold what lies behind a cut, so it leaves the file only
/// when the log is opened next time.
fn reopen(
    root: &Path,
    cut: &[(TopicPartition, Kind)],
    marks: &[RecoveryMark],
) -> Result<(), Failure> {
    let dir = open_dir(root)?;
    for (at, kind) in cut {
        let now = TimestampMs::new(START_MS + 3_600_000);
        Log::open(&dir, *at, options(*kind), now)?.0.close()?;
    }
    close_dir(&dir, marks)
}

fn main() -> Result<(), Failure> {
    let root = PathBuf::from(std::env::args_os().nth(1).ok_or("say into which folder")?);
    let dir = open_dir(&root)?;
    let topic = TopicId::from_bytes([7; 16]);
    let (mut cut, mut marks) = (Vec::new(), Vec::new());
    let (mut partitions, mut expected, mut producers) =
        (String::new(), String::new(), String::new());
    for (number, kind) in (0_i32..).zip(kinds()) {
        let at = TopicPartition::new(topic, PartitionIndex::new(number));
        let scribe = write_log(&dir, at, kind, number.unsigned_abs().into())?;
        let end = scribe.synced_end;
        marks.push(RecoveryMark { partition: at, synced_end: end, log_end: end });
        if kind.turn == Turn::Cut {
            cut.push((at, kind));
        }
        let records: i32 = scribe.told.iter().map(|told| told.header.record_count).sum();
        let Kind { codec, is_idempotent, timestamp_type, turn } = kind;
        writeln!(
            partitions,
            "{at} {codec},idempotent={is_idempotent},{timestamp_type:?},{turn:?} {} {records}",
            scribe.told.len(),
        )?;
        writeln!(expected, "== {at}")?;
        scribe.told.iter().for_each(|told| expected.push_str(&told.text()));
        for id in PRODUCERS {
            let mut told = scribe.told.iter().rev().filter_map(|told| told.producer.as_ref());
            if let Some((_, text)) = told.find(|(producer, _)| *producer == id) {
                writeln!(producers, "{at} {text}")?;
            }
        }
    }
    close_dir(&dir, &marks)?;
    drop(dir);
    reopen(&root, &cut, &marks)?;
    fs::write(root.join("partitions.txt"), partitions)?;
    fs::write(root.join("expected.txt"), expected)?;
    fs::write(root.join("producers.txt"), producers)?;
    writeln!(std::io::stdout(), "{} logs are in {}", kinds().len(), root.join("logs").display())?;
    Ok(())
}
