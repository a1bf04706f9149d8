//! Proves that the files which this release writes are those of `docs/disk-format.md`, and that it reads what every
//! release before it has written.
//!
//! `tests/golden/<version>/` is a log directory as one release left it. For the newest, the same directory is
//! written again on a simulated disk with the same ids and times, and compared byte by byte; each of them is
//! opened and asked for what it holds. `THALWEG_WRITE_GOLDEN=1` writes the newest anew: only an ADR may ask for
//! that.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

use bytes::Bytes;
use thalweg_protocol::batch::{BatchBuilder, BatchHeader, BatchReader, Compression};
use thalweg_protocol::{
    BrokerId, ClusterId, DirectoryId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch,
    ProducerId, Sequence, TimestampMs, TopicId, TopicPartition,
};
use thalweg_storage::fs::FileSystem;
use thalweg_storage::fs::sim::SimDisk;
use thalweg_storage::{
    CheckedBatch, EpochTable, FileKind, FileName, Identity, Log, LogDir, LogDirOptions, LogOptions,
    OpenFiles, Owner, PartitionMetadata, ProducerBatch, ProducerTable, RecoveryMark, SegmentAppend,
};

/// The log directory on the simulated disk.
const DIR: &str = "/data";

/// Files of a directory by their path within it.
type Files = BTreeMap<String, Vec<u8>>;

fn golden_folder(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(version)
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn owner() -> Owner {
    let cluster: ClusterId = id("f0e0d0c0-0000-4000-8000-000000000001");
    Owner { node: BrokerId::new(1), cluster: Some(cluster) }
}

fn identity() -> Identity {
    let directory: DirectoryId = id("10203040-5060-4070-8090-a0b0c0d0e0f0");
    Identity { node: owner().node, directory, cluster: owner().cluster }
}

fn partition(number: i32) -> TopicPartition {
    let topic: TopicId = id("00010203-0405-0607-0809-0a0b0c0d0e0f");
    TopicPartition::new(topic, PartitionIndex::new(number))
}

fn metadata() -> PartitionMetadata {
    PartitionMetadata { topic: partition(0).topic, name: "events".to_owned() }
}

fn epochs() -> EpochTable {
    let mut table = EpochTable::new();
    for (epoch, start) in [(0, 0), (3, 7), (4, 4711)] {
        assert_eq!(table.assign(LeaderEpoch::new(epoch), Offset::new(start)), Ok(true));
    }
    table
}

/// Two producers: one with seven batches, of which five are remembered, and one whose sequences wrap.
fn producers() -> ProducerTable {
    let mut table = ProducerTable::new();
    let mut record = |producer, epoch, first, last, last_offset, ms| {
        let batch = ProducerBatch {
            producer: ProducerId::new(producer),
            epoch: ProducerEpoch::new(epoch),
            first: Sequence::new(first),
            last: Sequence::new(last),
        };
        table.record(&batch, Offset::new(last_offset), TimestampMs::new(ms), 10);
    };
    for number in 0_i32..7 {
        let (first, last) = (number * 3, number * 3 + 2);
        record(1000, 2, first, last, i64::from(last) + 100, 1_700_000_000_000 + i64::from(number));
    }
    record(7, 0, i32::MAX - 1, 1, 4710, 1_700_000_000_999);
    table
}

fn recovery_marks() -> [RecoveryMark; 2] {
    let mark = |number, end| RecoveryMark {
        partition: partition(number),
        synced_end: Offset::new(end),
        log_end: Offset::new(end + 5),
    };
    [mark(0, 4711), mark(12, 0)]
}

fn appends() -> Vec<SegmentAppend> {
    let append = |base, ms| SegmentAppend {
        base_offset: Offset::new(base),
        last_append: TimestampMs::new(ms),
    };
    vec![append(0, 1_700_000_000_000), append(4000, 1_700_000_060_000)]
}

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// A record of the golden logs: timestamp, key, value.
type Row = (i64, Option<Vec<u8>>, Option<Vec<u8>>);

/// What batch `number` holds: a record with everything, one without key and header, one without value.
fn rows(number: i64) -> [Row; 3] {
    let value = format!("value of batch {number} ").repeat(9).into_bytes();
    [
        (1_700_000_000_000 + number, Some(b"key".to_vec()), Some(value)),
        (1_700_000_000_500 - number, None, Some(b"small".to_vec())),
        (1_699_999_999_999, Some(vec![0, 255]), None),
    ]
}

/// Batch `number` of an idempotent producer.
fn build(codec: Compression, number: i32) -> Bytes {
    let mut builder = BatchBuilder::new(codec, 1 << 16);
    for (timestamp, key, value) in rows(i64::from(number)) {
        let headers: &[(&str, Option<&[u8]>)] =
            if key.is_some() { &[("h", Some(b"x")), ("h", None)] } else { &[] };
        let time = TimestampMs::new(timestamp);
        builder.try_append(time, key.as_deref(), value.as_deref(), headers).unwrap();
    }
    let (id, epoch) = (ProducerId::new(1000), ProducerEpoch::new(2));
    builder.build(id, epoch, Sequence::new(number * 3))
}

/// One batch of each codec. They come from the golden file when there is one: another release of a codec's
/// library may compress otherwise, and that is no change of the format.
fn compressed_batches() -> Vec<Bytes> {
    let path = golden_folder("v1").join(partition(2).to_string());
    match fs::read(FileName::new(Offset::ZERO, FileKind::Log).path(&path)) {
        Err(_) => (0..).zip(CODECS).map(|(number, codec)| build(codec, number)).collect(),
        Ok(log) => BatchReader::new(log.into()).map(|it| it.unwrap().bytes().clone()).collect(),
    }
}

fn log_options() -> LogOptions {
    LogOptions {
        segment_bytes: 2048,
        index_interval_bytes: 600,
        batch_bytes_max: 2048,
        ..LogOptions::default()
    }
}

/// Writes a log of these batches: the epoch rises at every third.
fn write_log(dir: &Arc<LogDir>, at: TopicPartition, batches: &[Bytes]) {
    let now = |number: i64| TimestampMs::new(1_700_000_100_000 + number);
    let mut log = Log::create(dir, at, &metadata(), log_options(), now(0)).unwrap();
    for (number, bytes) in (0_i32..).zip(batches) {
        let batch = CheckedBatch::new(BatchHeader::decode(bytes).unwrap(), bytes.clone());
        log.append(&batch, LeaderEpoch::new(number / 3 * 2), now(number.into())).unwrap();
    }
    log.close().unwrap();
}

/// Reads all that a log holds: base offset, leader epoch and records of each batch.
fn read_log(dir: &Arc<LogDir>, at: TopicPartition) -> Vec<(i64, i32, Vec<Row>)> {
    let now = TimestampMs::new(1_700_000_200_000);
    let (log, _) = Log::open(dir, at, log_options(), now).unwrap();
    let reader = log.reader();
    let (mut next, mut found) = (reader.log_start(), Vec::new());
    while next < reader.log_end() {
        let read = reader.read(next, 1 << 20, reader.log_end(), true).unwrap();
        next = read.next();
        for batch in BatchReader::new(read.into_bytes()) {
            let batch = batch.unwrap();
            batch.verify_checksum().unwrap();
            let records = batch.records().unwrap();
            let rows = records.iter().map(|record| {
                let record = record.unwrap();
                let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
                (record.timestamp.get(), owned(record.key), owned(record.value))
            });
            let header = batch.header;
            let row = (header.base_offset.get(), header.leader_epoch.get(), rows.collect());
            found.push(row);
        }
    }
    found
}

/// What [`read_log`] must find after [`write_log`] of `count` batches.
fn expected_log(count: i32) -> Vec<(i64, i32, Vec<Row>)> {
    let batch = |number: i32| (i64::from(number) * 3, number / 3 * 2, rows(number.into()).to_vec());
    (0..count).map(batch).collect()
}

fn open(disk: &SimDisk) -> Arc<LogDir> {
    let options =
        LogDirOptions { free_bytes_min: 0, reserve_bytes: 4096, open_files: OpenFiles::new(16) };
    LogDir::open(Arc::new(disk.clone()), Path::new(DIR), &owner(), options).unwrap()
}

fn put(disk: &SimDisk, path: &Path, bytes: &[u8]) {
    disk.create_folder(path.parent().unwrap()).unwrap();
    disk.create(path).unwrap().write_at(0, &[bytes]).unwrap();
}

/// Writes one of each file, as this release does.
fn write_directory(disk: &SimDisk) {
    put(disk, &Path::new(DIR).join("meta.properties"), identity().encode().as_bytes());
    let dir = open(disk);
    let folder = dir.create_folder(partition(0), &metadata()).unwrap();
    put(disk, &folder.join(thalweg_storage::EPOCH_FILE), epochs().encode().as_bytes());
    let snapshot = FileName::new(Offset::new(4711), FileKind::Snapshot).path(&folder);
    put(disk, &snapshot, &producers().encode_snapshot());
    let plain: Vec<Bytes> = (0..9).map(|number| build(Compression::None, number)).collect();
    write_log(&dir, partition(1), &plain);
    write_log(&dir, partition(2), &compressed_batches());
    dir.write_recovery_points(recovery_marks).unwrap();
    dir.write_log_starts([(partition(0), Offset::new(40))]).unwrap();
    dir.write_high_watermarks([(partition(0), Offset::new(4700))]).unwrap();
    dir.write_last_appends([(partition(0), appends())]).unwrap();
    dir.close_clean().unwrap();
}

/// Every file of the directory that is part of the format.
fn files_on(disk: &SimDisk, folder: &Path, files: &mut Files) {
    for path in disk.list(folder).unwrap() {
        let name = path.strip_prefix(DIR).unwrap().to_string_lossy().into_owned();
        if disk.list(&path).is_ok() {
            files_on(disk, &path, files);
        } else if name != ".lock" && name != ".reserve" {
            files.insert(name, disk.read_small(&path, 1 << 20).unwrap());
        }
    }
}

fn golden_files(root: &Path, folder: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            golden_files(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

/// A golden directory, put on a simulated disk.
fn load(version: &str) -> SimDisk {
    let root = golden_folder(version);
    let mut files = Files::new();
    golden_files(&root, &root, &mut files);
    assert!(files.len() >= 9, "{} is not whole: {:?}", root.display(), files.keys());
    let disk = SimDisk::new(1);
    for (name, bytes) in files {
        put(&disk, &Path::new(DIR).join(name), &bytes);
    }
    disk
}

#[test]
fn this_release_writes_the_golden_files_byte_for_byte() {
    let disk = SimDisk::new(1);
    write_directory(&disk);
    let mut written = Files::new();
    files_on(&disk, Path::new(DIR), &mut written);
    let root = golden_folder("v1");
    if env::var_os("THALWEG_WRITE_GOLDEN").is_some() {
        for (name, bytes) in &written {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    let mut golden = Files::new();
    golden_files(&root, &root, &mut golden);
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&written), names(&golden));
    for (name, bytes) in &written {
        assert_eq!(bytes, &golden[name], "{name} is written otherwise than before");
    }
}

#[test]
fn the_directory_of_version_1_opens_and_holds_what_was_written() {
    let disk = load("v1");
    let dir = open(&disk);
    assert!(dir.was_clean() && !dir.is_new() && dir.ignored().is_empty());
    assert_eq!(dir.identity(), identity());
    assert_eq!(dir.recovery_point(partition(0)), Some(Offset::new(4711)));
    assert_eq!(dir.recovery_point(partition(12)), Some(Offset::ZERO));
    assert_eq!(dir.log_start(partition(0)), Some(Offset::new(40)));
    assert_eq!(dir.high_watermark(partition(0)), Some(Offset::new(4700)));
    assert_eq!(dir.last_appends(partition(0)), appends());

    let found = dir.folders().unwrap();
    let names: Vec<_> = found.partitions.keys().copied().collect();
    assert_eq!(names, [partition(0), partition(1), partition(2)]);
    assert_eq!((found.deleted, found.strangers), (vec![], vec![]));
    let folder = dir.existing_folder(partition(0)).unwrap();
    let read = |name: &str| disk.read_small(&folder.join(name), 1 << 20).unwrap();
    assert_eq!(PartitionMetadata::decode(&read("partition.metadata")), Ok(metadata()));
    assert_eq!(EpochTable::decode(&read("leader-epoch-checkpoint")), Ok(epochs()));
    let snapshot = read("00000000000000004711.snapshot");
    assert_eq!(ProducerTable::decode_snapshot(&snapshot), Ok(producers()));
}

#[test]
fn the_logs_of_version_1_open_and_hold_what_was_written() {
    let dir = open(&load("v1"));
    assert_eq!(read_log(&dir, partition(1)), expected_log(9));
    assert_eq!(read_log(&dir, partition(2)), expected_log(5), "one batch of each codec");
}

/// Damage in any file of the directory is an error that says where, or is made good; never a panic, and never
/// a record that was not written.
#[test]
fn no_damage_to_a_golden_file_makes_the_start_panic() {
    let root = golden_folder("v1");
    let mut files = Files::new();
    golden_files(&root, &root, &mut files);
    let mut random = fastrand::Rng::with_seed(7);
    let (mut refused, mut opened) = (0, 0);
    for (name, bytes) in files.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        for round in 0..60 {
            let mut damaged = bytes.clone();
            match round % 3 {
                0 => damaged.truncate(random.usize(0..bytes.len())),
                1 => damaged.extend((0..random.usize(1..99)).map(|_| random.u8(..))),
                _ => damaged[random.usize(0..bytes.len())] ^= 1 << random.u8(0..8),
            }
            let disk = load("v1");
            let path = Path::new(DIR).join(name);
            disk.remove(&path).unwrap();
            put(&disk, &path, &damaged);
            let options = LogDirOptions {
                free_bytes_min: 0,
                reserve_bytes: 0,
                open_files: OpenFiles::new(16),
            };
            let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
            let Ok(dir) = LogDir::open(fs, Path::new(DIR), &owner(), options) else {
                refused += 1;
                continue;
            };
            opened += 1;
            for (at, count) in [(partition(1), 9), (partition(2), 5)] {
                let now = TimestampMs::new(1_700_000_200_000);
                let opened = Log::open(&dir, at, log_options(), now);
                let own = path.starts_with(dir.folder(at))
                    && !name.contains("index")
                    && !name.ends_with("snapshot");
                if opened.is_ok() && !own {
                    drop(opened);
                    assert_eq!(read_log(&dir, at), expected_log(count), "{name} was damaged");
                }
            }
        }
    }
    assert!(refused > 0 && opened > 0, "vacuous: {refused} refused, {opened} opened");
}

/// Kafka's layouts, written down here by hand: our own encoder must not be its only witness.
#[test]
fn a_snapshot_as_kafka_lays_it_out_is_read() {
    // producer 7, epoch 1, last sequence 4, last offset 104, delta 2, timestamp 5, no transaction.
    let row: Vec<u8> = [
        &7_i64.to_be_bytes()[..],
        &1_i16.to_be_bytes(),
        &4_i32.to_be_bytes(),
        &104_i64.to_be_bytes(),
        &2_i32.to_be_bytes(),
        &5_i64.to_be_bytes(),
        &(-1_i32).to_be_bytes(),
        &(-1_i64).to_be_bytes(),
    ]
    .concat();
    let body = [&1_i32.to_be_bytes()[..], &row].concat();
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &body);
    let crc = u32::try_from(crc).unwrap().to_be_bytes();
    let file = [&1_i16.to_be_bytes()[..], &crc, &body].concat();
    let table = ProducerTable::decode_snapshot(&file).unwrap();
    let (epoch, batches) = table.batches(ProducerId::new(7)).unwrap();
    assert_eq!(epoch, ProducerEpoch::new(1));
    assert_eq!(batches.len(), 1);
    assert_eq!((batches[0].first, batches[0].last), (Sequence::new(2), Sequence::new(4)));
    assert_eq!(batches[0].base_offset(), Offset::new(102));
    assert_eq!(table.encode_snapshot(), file);
}
