//! What the benchmarks share: batches of a given shape, and a log in a temporary folder.
//!
//! Figures are ratios against something in the same run; see `docs/adr/0003-appends-by-pwrite-reads-by-map.md` for
//! the first question that was answered so.

use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;
use thalweg_protocol::batch::{BatchBuilder, BatchHeader, Compression};
use thalweg_protocol::{
    BrokerId, LeaderEpoch, PartitionIndex, ProducerEpoch, ProducerId, Sequence, TimestampMs,
    TopicId, TopicPartition,
};
use thalweg_storage::fs::OsFileSystem;
use thalweg_storage::{
    CheckedBatch, Log, LogDir, LogDirOptions, LogOptions, OpenFiles, Owner, PartitionMetadata,
};

/// One uncompressed batch of `records` records with values of `value_bytes` bytes each.
pub fn batch(records: usize, value_bytes: usize) -> Bytes {
    let value = vec![b'x'; value_bytes];
    let mut builder = BatchBuilder::new(Compression::None, usize::MAX / 2);
    fill(&mut builder, records, &value);
    builder.build(ProducerId::NONE, ProducerEpoch::NONE, Sequence::NONE)
}

/// Puts `records` records with this value into a builder.
///
/// # Panics
/// When they do not fit.
pub fn fill(builder: &mut BatchBuilder, records: usize, value: &[u8]) {
    for _ in 0..records {
        let added = builder.try_append(TimestampMs::new(1_000), None, Some(value), &[]);
        assert!(added.is_some(), "the batch has room");
    }
}

/// A log in a log directory of its own.
#[derive(Debug)]
pub struct Place {
    /// The log.
    pub log: Log,
    /// The directory that it is in.
    pub dir: Arc<LogDir>,
    /// Which partition it is.
    pub partition: TopicPartition,
    /// Taken away at the end.
    _folder: TempDir,
}

/// An empty log; none when there is no place for it.
pub fn open_log() -> Option<Place> {
    let folder = tempfile::tempdir().ok()?;
    let options = LogDirOptions {
        free_bytes_min: 0,
        reserve_bytes: 0,
        open_files: OpenFiles::for_descriptors(1_024),
    };
    let owner = Owner { node: BrokerId::new(1), cluster: None };
    let path = folder.path().join("data");
    let dir = LogDir::open(Arc::new(OsFileSystem), &path, &owner, options).ok()?;
    let partition = TopicPartition::new(TopicId::random(), PartitionIndex::new(0));
    let metadata = PartitionMetadata { topic: partition.topic, name: "bench".to_owned() };
    let log = Log::create(&dir, partition, &metadata, LogOptions::default(), NOW).ok()?;
    Some(Place { log, dir, partition, _folder: folder })
}

/// All is appended at the same time.
const NOW: TimestampMs = TimestampMs::new(1_000);

/// Appends the same batch so often.
///
/// # Panics
/// When the log does not take it.
pub fn append(log: &mut Log, batch: &Bytes, times: usize) {
    let header = BatchHeader::decode(batch).expect("the batch was just built");
    let checked = CheckedBatch::new(header, batch.clone());
    for _ in 0..times {
        log.append(&checked, LeaderEpoch::FIRST, NOW).expect("the log takes the batch");
    }
}
