//! Proves that no record costs the broker an allocation: a batch of many records asks for as much memory as one of few, when
//! it is checked, when it is appended, and when it is read.
//!
//! How: a counting allocator, and the same steps for batches of both kinds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;
use thalweg_counting::measure;
use thalweg_protocol::batch::{
    BatchBuilder, BatchLimits, Compression, NO_HEADERS, Scratch, check_produced,
};
use thalweg_protocol::{
    BrokerId, LeaderEpoch, PartitionIndex, TimestampMs, TopicId, TopicPartition,
};
use thalweg_storage::fs::OsFileSystem;
use thalweg_storage::{
    CheckedBatch, Log, LogDir, LogDirOptions, LogOptions, OpenFiles, Owner, PartitionMetadata,
};

#[global_allocator]
static ALLOCATOR: thalweg_counting::Counting = thalweg_counting::Counting;

const NOW: TimestampMs = TimestampMs::new(1_000);

fn batch(records: usize) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None, 16 << 20);
    for _ in 0..records {
        builder.try_append(NOW, Some(b"key"), Some(&[7; 100]), NO_HEADERS).unwrap();
    }
    builder.build_unsequenced()
}

fn limits() -> BatchLimits {
    BatchLimits {
        batch_bytes_max: 16 << 20,
        inflated_bytes_max: 16 << 20,
        ratio_max: 100,
        timestamp_max: TimestampMs::new(i64::MAX),
        timestamp_min: TimestampMs::new(0),
        keys_required: false,
    }
}

fn log() -> (TempDir, Log) {
    let folder = tempfile::tempdir().unwrap();
    let options = LogDirOptions {
        free_bytes_min: 0,
        reserve_bytes: 0,
        open_files: OpenFiles::for_descriptors(64),
    };
    let owner = Owner { node: BrokerId::new(1), cluster: None };
    let path = folder.path().join("data");
    let dir = LogDir::open(Arc::new(OsFileSystem), &path, &owner, options).unwrap();
    let at = TopicPartition::new(TopicId::random(), PartitionIndex::new(0));
    let metadata = PartitionMetadata { topic: at.topic, name: "cost".to_owned() };
    let log = Log::create(&dir, at, &metadata, LogOptions::default(), NOW).unwrap();
    (folder, log)
}

/// How often memory was asked for when batches of so many records were checked, appended and read.
fn allocations(records: usize) -> usize {
    const BATCHES: usize = 20;
    let (_folder, mut log) = log();
    let reader = log.reader();
    let mut scratch = Scratch::default();
    let bytes = batch(records);
    let mut round = || {
        let header = check_produced(&bytes, &limits(), &mut scratch).unwrap();
        let checked = CheckedBatch::new(header, bytes.clone());
        let from = log.log_end();
        log.append(&checked, LeaderEpoch::FIRST, NOW).unwrap();
        let read = reader.read(from, 16 << 20, log.log_end(), true).unwrap();
        assert_eq!(read.bytes().len(), bytes.len());
    };
    // The first one finds files and buffers to be made.
    round();
    let ((), heap) = measure(|| (0..BATCHES).for_each(|_| round()));
    heap.allocations / BATCHES
}

#[test]
fn a_batch_of_many_records_asks_for_no_more_memory_than_one_of_few() {
    let (few, many) = (allocations(10), allocations(10_000));
    // A larger batch has entries in the indexes, which grow now and then.
    assert!(many <= few + 2, "{many} allocations a batch of 10,000 records, {few} of 10");
    assert!(few <= 20, "{few} allocations a batch");
}
