//! Proves that segments which a real Kafka broker wrote are read as it meant them: every record of every codec with
//! its offset, time, key, value and headers; and that such a folder is a log to us, whose indexes, producer
//! snapshots and epochs are believed as they are.
//!
//! `tests/golden/kafka/<topic>-0/` is as Kafka's broker left it after a clean stop; `VERSION` says which release.
//! `scripts/dump-tool/WriteSegments.java` made it, and [`sent`] is the same formula.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;
use thalweg_protocol::batch::control::{ControlRecord, Marker};
use thalweg_protocol::batch::{Batch, BatchReader, Compression, TimestampType};
use thalweg_protocol::{
    BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence,
    TimestampMs, TopicPartition,
};
use thalweg_storage::fs::OsFileSystem;
use thalweg_storage::{
    EPOCH_FILE, EpochStart, EpochTable, FileKind, FileName, Log, LogDir, LogDirOptions, LogOptions,
    METADATA_FILE, OpenFiles, Owner, PartitionMetadata, ProducerTable, RecoveryMark,
    RecoveryReport,
};

const START_MS: i64 = 1_700_000_000_000;
const RECORDS: i64 = 60;
const BATCH_RECORDS: i64 = 5;

/// A topic of the golden folder.
#[derive(Clone, Copy, Debug)]
struct Topic {
    name: &'static str,
    codec: Compression,
    is_idempotent: bool,
}

const fn topic(name: &'static str, codec: Compression, is_idempotent: bool) -> Topic {
    Topic { name, codec, is_idempotent }
}

const TOPICS: [Topic; 7] = [
    topic("none", Compression::None, true),
    topic("gzip", Compression::Gzip, false),
    topic("snappy", Compression::Snappy, true),
    topic("lz4", Compression::Lz4, true),
    topic("zstd", Compression::Zstd, true),
    topic("log-append-time", Compression::Lz4, true),
    TRANSACTIONS,
];

/// Transactions of two batches with a marker behind each, of which the third is an abort.
const TRANSACTIONS: Topic = topic("transactions", Compression::None, true);

impl Topic {
    fn folder(&self) -> PathBuf {
        golden_folder().join(format!("{}-0", self.name))
    }

    fn is_transactional(&self) -> bool {
        self.name == TRANSACTIONS.name
    }

    fn is_stamped(&self) -> bool {
        self.name == "log-append-time"
    }

    /// The base offsets of the segments: rolled by age, which markers have as well.
    fn segments(&self) -> &'static [i64] {
        match self.name {
            "log-append-time" => &[0],
            "transactions" => &[0, 10],
            _ => &[0, 20, 40],
        }
    }

    fn log_end(&self) -> i64 {
        if self.is_transactional() { RECORDS + RECORDS / (2 * BATCH_RECORDS) } else { RECORDS }
    }

    /// Where the record with this number lies: ten of them, then a marker.
    fn offset_of(&self, number: i64) -> i64 {
        if self.is_transactional() { number + number / (2 * BATCH_RECORDS) } else { number }
    }
}

/// A record as it was sent, or read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

/// What Kafka's producer sent as the record with this number.
fn sent(topic: &Topic, number: i64) -> Row {
    let times = |count| usize::try_from(count).unwrap();
    let late_ms = if number % 3 == 2 { 2500 } else { 0 };
    let header = |at: i64| {
        let key = if at == 2 { "naïve" } else { "trace" };
        let value = (at != 1).then(|| vec![0, 0xff, u8::try_from(number).unwrap()]);
        (key.to_owned(), value)
    };
    Row {
        offset: topic.offset_of(number),
        timestamp: START_MS + number / 20 * 3_600_000 + number % 20 * 1000 - late_ms,
        key: (number % 4 != 0).then(|| format!("key {}", number % 10).into_bytes()),
        value: (number % 7 != 6)
            .then(|| format!("row {number} of the river; ").repeat(times(number % 6)).into_bytes()),
        headers: (0..number % 4).map(header).collect(),
    }
}

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/kafka")
}

/// The data of all segments of a folder, by the files' names.
fn segments(folder: &Path) -> Vec<(i64, Bytes)> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let logs = names.filter_map(|name| FileName::parse(name.to_str().unwrap()));
    let mut found: Vec<_> = logs
        .filter(|name| name.kind == FileKind::Log)
        .map(|name| (name.offset.get(), fs::read(name.path(folder)).unwrap().into()))
        .collect();
    found.sort();
    found
}

/// Whole batches; nothing may be left behind them.
fn batches(bytes: &Bytes) -> Vec<Batch> {
    let mut reader = BatchReader::new(bytes.clone());
    let found = reader.by_ref().map(|batch| batch.unwrap()).collect();
    assert!(reader.rest().is_empty(), "bytes behind the last batch");
    found
}

fn rows(batch: &Batch) -> Vec<Row> {
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let records = batch.records().unwrap();
    let rows = records.iter().map(|record| {
        let record = record.unwrap();
        let header = |it: thalweg_protocol::batch::HeaderRef<'_>| {
            (it.key_text().into_owned(), owned(it.value))
        };
        Row {
            offset: record.offset.get(),
            timestamp: record.timestamp.get(),
            key: owned(record.key),
            value: owned(record.value),
            headers: record.headers.iter().map(header).collect(),
        }
    });
    rows.collect()
}

/// Compares batches with what was sent; answers how many records and markers there were.
fn check_batches(topic: &Topic, batches: &[Batch]) -> (i64, Vec<Marker>) {
    let (mut number, mut markers) = (0, Vec::new());
    let mut next = Offset::ZERO;
    for batch in batches {
        let header = &batch.header;
        let at = format!("{} at {}", topic.name, header.base_offset);
        batch.verify_checksum().unwrap();
        assert_eq!(header.base_offset, next, "{at}");
        assert_eq!(header.leader_epoch, LeaderEpoch::FIRST, "{at}");
        assert_eq!(header.attributes.is_transactional(), topic.is_transactional(), "{at}");
        next = header.next_offset();
        let found = rows(batch);
        if header.attributes.is_control() {
            let [row] = found.as_slice() else { panic!("{at}: a marker is one record") };
            let control = ControlRecord::decode(row.key.as_deref(), row.value.as_deref()).unwrap();
            markers.push(control.unwrap().marker);
            continue;
        }
        check_header(topic, batch, number);
        for row in found {
            let mut expected = sent(topic, number);
            if topic.is_stamped() {
                assert!(row.timestamp > START_MS + 365 * 86_400_000, "{at}: the broker's clock");
                expected.timestamp = header.max_timestamp.get();
            }
            assert_eq!(row, expected, "{at}");
            number += 1;
        }
    }
    assert_eq!(next.get(), topic.log_end(), "{}", topic.name);
    (number, markers)
}

fn check_header(topic: &Topic, batch: &Batch, number: i64) {
    let header = &batch.header;
    let at = format!("{} at {}", topic.name, header.base_offset);
    assert_eq!(header.attributes.compression(), Ok(topic.codec), "{at}");
    assert_eq!(i64::from(header.record_count), BATCH_RECORDS, "{at}");
    assert_eq!(header.is_idempotent(), topic.is_idempotent, "{at}");
    let expected_type =
        if topic.is_stamped() { TimestampType::LogAppendTime } else { TimestampType::CreateTime };
    assert_eq!(header.attributes.timestamp_type(), expected_type, "{at}");
    // Kafka starts each transaction with another epoch of the producer, and its sequences anew.
    let in_epoch = if topic.is_transactional() { number % (2 * BATCH_RECORDS) } else { number };
    let sequence = if topic.is_idempotent { i32::try_from(in_epoch).unwrap() } else { -1 };
    assert_eq!(header.base_sequence, Sequence::new(sequence), "{at}");
    if !topic.is_stamped() {
        let largest = (number..number + BATCH_RECORDS).map(|it| sent(topic, it).timestamp).max();
        assert_eq!(Some(header.max_timestamp.get()), largest, "{at}");
    }
}

fn expected_markers(topic: &Topic) -> Vec<Marker> {
    let count = usize::try_from(topic.log_end() - RECORDS).unwrap();
    (0..count).map(|at| if at == 2 { Marker::Abort } else { Marker::Commit }).collect()
}

fn partition(topic: &Topic) -> TopicPartition {
    let metadata = fs::read(topic.folder().join(METADATA_FILE)).unwrap();
    let metadata = PartitionMetadata::decode(&metadata).unwrap();
    TopicPartition::new(metadata.topic, PartitionIndex::new(0))
}

fn open_dir(root: &Path) -> Arc<LogDir> {
    let owner = Owner { node: BrokerId::new(1), cluster: None };
    let options =
        LogDirOptions { free_bytes_min: 0, reserve_bytes: 0, open_files: OpenFiles::new(16) };
    LogDir::open(Arc::new(OsFileSystem), root, &owner, options).unwrap()
}

/// A log directory of ours which holds Kafka's folder, as after a clean stop.
fn adopt(topic: &Topic) -> (TempDir, Log, RecoveryReport) {
    let root = tempfile::tempdir().unwrap();
    let at = partition(topic);
    let dir = open_dir(root.path());
    let metadata = PartitionMetadata { topic: at.topic, name: topic.name.to_owned() };
    let folder = dir.create_folder(at, &metadata).unwrap();
    for entry in fs::read_dir(topic.folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if name != METADATA_FILE {
            fs::copy(&path, folder.join(name)).unwrap();
        }
    }
    let end = Offset::new(topic.log_end());
    dir.write_recovery_points(|| [RecoveryMark { partition: at, synced_end: end, log_end: end }])
        .unwrap();
    dir.close_clean().unwrap();
    drop(dir);
    let dir = open_dir(root.path());
    let now = TimestampMs::new(START_MS + 1_000_000_000_000);
    let (log, report) = Log::open(&dir, at, options(), now).unwrap();
    (root, log, report)
}

fn options() -> LogOptions {
    LogOptions { retention_ms: None, ..LogOptions::default() }
}

#[test]
fn every_batch_of_kafka_is_read_back_record_by_record() {
    for topic in &TOPICS {
        let segments = segments(&topic.folder());
        let bases: Vec<_> = segments.iter().map(|(base, _)| *base).collect();
        assert_eq!(bases, topic.segments(), "{}", topic.name);
        let mut all = Vec::new();
        for (base, bytes) in &segments {
            let batches = batches(bytes);
            assert_eq!(batches[0].header.base_offset.get(), *base, "{}", topic.name);
            all.extend(batches);
        }
        assert_eq!(
            check_batches(topic, &all),
            (RECORDS, expected_markers(topic)),
            "{}",
            topic.name
        );
    }
}

#[test]
fn a_folder_of_kafka_opens_as_a_log_whose_indexes_are_believed() {
    for topic in &TOPICS {
        let (_root, log, report) = adopt(topic);
        // Nothing was rebuilt, cut or found damaged: the files were taken as Kafka left them.
        assert_eq!(report, RecoveryReport::default(), "{}", topic.name);
        assert_eq!(log.log_start(), Offset::ZERO, "{}", topic.name);
        assert_eq!(log.log_end().get(), topic.log_end(), "{}", topic.name);
        let start = EpochStart { epoch: LeaderEpoch::FIRST, start: Offset::ZERO };
        assert_eq!(log.epochs().entries(), [start], "{}", topic.name);

        let reader = log.reader();
        let (mut next, mut all) = (reader.log_start(), Vec::new());
        while next < reader.log_end() {
            let read = reader.read(next, 600, reader.log_end(), true).unwrap();
            next = read.next();
            all.extend(batches(read.bytes()));
        }
        assert_eq!(
            check_batches(topic, &all),
            (RECORDS, expected_markers(topic)),
            "{}",
            topic.name
        );
        for from in 0..topic.log_end() {
            let from = Offset::new(from);
            let read = reader.read(from, 1, reader.log_end(), true).unwrap();
            let found = batches(read.bytes());
            assert_eq!(found.len(), 1, "{} from {from}", topic.name);
            let header = &found[0].header;
            assert!(header.base_offset <= from && from <= header.last_offset(), "{}", topic.name);
        }
    }
}

#[test]
fn records_of_kafka_are_found_by_their_time() {
    for topic in TOPICS.iter().filter(|topic| !topic.is_stamped() && !topic.is_transactional()) {
        let (_root, log, _) = adopt(topic);
        let reader = log.reader();
        for wanted in (0..RECORDS).map(|number| sent(topic, number).timestamp) {
            let expected = (0..RECORDS).find(|it| sent(topic, *it).timestamp >= wanted).unwrap();
            let found = reader.offset_at_time(TimestampMs::new(wanted), reader.log_end()).unwrap();
            let found = found.map(|it| (it.offset.get(), it.timestamp.get()));
            let expected = (expected, sent(topic, expected).timestamp);
            assert_eq!(found, Some(expected), "{} at {wanted}", topic.name);
        }
    }
}

#[test]
fn producers_that_kafka_remembers_are_remembered() {
    for topic in TOPICS.iter().filter(|topic| !topic.is_transactional()) {
        let path = FileName::new(Offset::new(RECORDS), FileKind::Snapshot).path(&topic.folder());
        let table = ProducerTable::decode_snapshot(&fs::read(path).unwrap()).unwrap();
        assert_eq!(table.len(), usize::from(topic.is_idempotent), "{}", topic.name);
        if !topic.is_idempotent {
            continue;
        }
        let last = batches(&segments(&topic.folder()).pop().unwrap().1).pop().unwrap().header;
        let (epoch, remembered) = table.batches(last.producer).unwrap();
        assert_eq!(epoch, last.producer_epoch, "{}", topic.name);
        // Kafka writes the last batch of each producer down, we the last five.
        let [batch] = remembered else { panic!("{}: {remembered:?}", topic.name) };
        assert_eq!((batch.first.get(), batch.last.get()), (55, 59), "{}", topic.name);
        assert_eq!(batch.last_offset.get(), 59, "{}", topic.name);

        let (_root, log, _) = adopt(topic);
        assert_eq!(log.producers(), &table, "{}: as the log has it", topic.name);
    }
}

/// The marker that ends a transaction bears its producer's id, but neither a sequence nor one of its records. A
/// producer must go on behind it, whether its batches are replicated one by one or found at a restart.
#[test]
fn a_transaction_marker_is_none_of_its_producers_batches() {
    let all: Vec<_> =
        segments(&TRANSACTIONS.folder()).iter().flat_map(|(_, bytes)| batches(bytes)).collect();
    let producer: ProducerId = all[0].header.producer;
    let (_root, adopted, _) = adopt(&TRANSACTIONS);
    assert!(adopted.producers().batches(producer).is_none(), "Kafka's snapshot names no batch");

    let root = tempfile::tempdir().unwrap();
    let dir = open_dir(root.path());
    let at = partition(&TRANSACTIONS);
    let metadata = PartitionMetadata { topic: at.topic, name: "transactions".to_owned() };
    let now = TimestampMs::new(START_MS);
    let mut log = Log::create(&dir, at, &metadata, options(), now).unwrap();
    for batch in &all {
        log.append_replicated(batch.bytes(), now).unwrap();
        let (epoch, remembered) = log.producers().batches(producer).unwrap();
        assert!(remembered.iter().all(|it| it.first.get() >= 0), "{remembered:?}");
        if !batch.header.attributes.is_control() {
            assert_eq!(epoch, batch.header.producer_epoch);
        }
    }
    assert_eq!(log.producers().batches(producer).unwrap().0, ProducerEpoch::new(5));
    let live = log.producers().clone();
    drop(log);
    let (log, report) = Log::open(&dir, at, options(), now).unwrap();
    assert_eq!(report.kept_batches, 18);
    assert_eq!(log.producers(), &live, "found again after a crash");
}

#[test]
fn the_small_files_of_kafka_are_read() {
    let version = fs::read_to_string(golden_folder().join("VERSION")).unwrap();
    assert!(version.starts_with("4."), "{version}");
    for topic in &TOPICS {
        let read = |name: &str| fs::read(topic.folder().join(name)).unwrap();
        let epochs = EpochTable::decode(&read(EPOCH_FILE)).unwrap();
        assert_eq!(epochs.encode().as_bytes(), read(EPOCH_FILE), "{}", topic.name);
        let metadata = PartitionMetadata::decode(&read(METADATA_FILE)).unwrap();
        assert_eq!(metadata.name, "", "{}: Kafka does not write it there", topic.name);
    }
}
