//! Whole folders with one damaged file: segments, indexes, checkpoints, the metadata's log and snapshot.
//!
//! The first byte of an input says which file of the golden folder it takes the place of.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use thalweg_broker::cluster::{FileMetadataLog, FileMetadataLogOptions, MetadataLog};
use thalweg_protocol::batch::{BatchReader, INFLATED_BYTES_MAX};
use thalweg_protocol::{BrokerId, LeaderEpoch, Offset, TimestampMs, TopicPartition};
use thalweg_storage::fs::OsFileSystem;
use thalweg_storage::{
    Believed, Log, LogDir, LogDirOptions, LogOptions, OpenFiles, Owner, ReadError,
};

use super::{Decoder, golden};

const STORAGE: &str = "broker/storage/tests/golden/v1";
const METADATA: &str = "broker/tests/golden/metadata/1/snapshot";

/// A batch on disk may inflate to 64 MiB whatever its size, and memory that doubles on its way there holds the half beside
/// the whole. 595 million executions met that once: 855 bytes with a block that says one byte again and again.
const fn heap_bytes_max(length: usize) -> usize {
    INFLATED_BYTES_MAX / 2 * 3 + 64 * 1024 + 48 * length
}

pub(super) fn all() -> Vec<Decoder> {
    let decoder = |name, root, mend, run| Decoder {
        heap_bytes_max,
        opens_folders: true,
        ..Decoder::quick(name, seeds(root), mend, run)
    };
    vec![
        decoder("log directory", STORAGE, mend_directory, log_directory),
        decoder("metadata folder", METADATA, mend_metadata, metadata_folder),
    ]
}

/// The files of a golden folder, with their paths from it.
fn contents(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_owned();
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn seeds(root: &str) -> Vec<Vec<u8>> {
    let files = contents(&golden::folder(root));
    let number = |place| u8::try_from(place).unwrap();
    files.iter().enumerate().map(|(at, (_, bytes))| [&[number(at)], &bytes[..]].concat()).collect()
}

/// A folder that is filled again for each input; in memory where there is a file system for that.
struct Place {
    folder: TempDir,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Place {
    fn new(root: &str) -> Self {
        let memory = Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { folder: folder.unwrap(), files: contents(&golden::folder(root)) }
    }

    /// The golden folder with the input as one of its files.
    fn lay_out(&self, input: &[u8]) -> PathBuf {
        let path = self.folder.path().join("folder");
        drop(fs::remove_dir_all(&path));
        let damaged = input.first().map(|number| usize::from(*number) % self.files.len());
        for (place, (name, bytes)) in self.files.iter().enumerate() {
            let file = path.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            let bytes = if Some(place) == damaged { &input[1..] } else { bytes };
            fs::write(file, bytes).unwrap();
        }
        path
    }
}

thread_local! {
    static LOGS: RefCell<Option<Place>> = const { RefCell::new(None) };
    static METADATA_FILES: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// Checkpoints of ours and segments: each mended as what it looks like.
#[expect(clippy::ptr_arg, reason = "others mend by making inputs shorter")]
fn mend_directory(input: &mut Vec<u8>) {
    const CHECKPOINT_HEAD_BYTES: usize = 20;
    let Some((_, bytes)) = input.split_first_mut() else { return };
    if bytes.starts_with(b"THLW") && bytes.len() >= CHECKPOINT_HEAD_BYTES {
        let content = u32::try_from(bytes.len() - CHECKPOINT_HEAD_BYTES).unwrap();
        bytes[12..16].copy_from_slice(&content.to_be_bytes());
        let mut crc = crc32fast::Hasher::new();
        crc.update(&bytes[..16]);
        crc.update(&bytes[CHECKPOINT_HEAD_BYTES..]);
        bytes[16..20].copy_from_slice(&crc.finalize().to_be_bytes());
        return;
    }
    // Batches back to back: each whole one gets its checksum.
    let mut rest = bytes;
    while rest.len() > 61 {
        let length = u32::from_be_bytes([rest[8], rest[9], rest[10], rest[11]]);
        let total = usize::try_from(length).unwrap().saturating_add(12);
        if total < 61 || total > rest.len() {
            return;
        }
        let crc = thalweg_protocol::batch::checksum(&rest[..total]);
        rest[17..21].copy_from_slice(&crc.to_be_bytes());
        rest = &mut rest[total..];
    }
}

fn log_directory(input: &[u8]) -> bool {
    LOGS.with_borrow_mut(|place| {
        let path = place.get_or_insert_with(|| Place::new(STORAGE)).lay_out(input);
        let owner = Owner { node: BrokerId::new(1), cluster: None };
        let options =
            LogDirOptions { free_bytes_min: 0, reserve_bytes: 0, open_files: OpenFiles::new(16) };
        let Ok(dir) = LogDir::open(Arc::new(OsFileSystem), &path, &owner, options) else {
            return false;
        };
        let Ok(found) = dir.folders() else { return false };
        // The first holds small files only: its log was emptied, and is refused as such.
        let partitions: Vec<TopicPartition> = found.partitions.keys().copied().skip(1).collect();
        let good = partitions.iter().filter(|at| open_log(&dir, **at, input.len()));
        good.count() == partitions.len()
    })
}

/// Opens a log by what its directory says, or by less, and asks it for everything.
fn open_log(dir: &Arc<LogDir>, at: TopicPartition, length: usize) -> bool {
    let options = LogOptions {
        segment_bytes: 2048,
        index_interval_bytes: 600,
        batch_bytes_max: 2048,
        ..LogOptions::default()
    };
    let now = TimestampMs::new(1_700_000_200_000);
    let mut believed = Believed::from_dir(dir, at);
    if length.is_multiple_of(2) {
        believed.recovery_point = Offset::ZERO;
        believed.clean = false;
    }
    let Ok((log, _)) = Log::open_believing(dir, at, options, &believed, now) else { return false };
    let reader = log.reader();
    let _ = reader.offset_at_time(TimestampMs::new(1_700_000_000_001), reader.log_end());
    let _ = reader.max_timestamp(reader.log_end());
    let _ = reader.epoch_end(LeaderEpoch::new(2));
    let (mut next, mut whole) = (reader.log_start(), true);
    while next < reader.log_end() {
        match reader.read(next, 1 << 20, reader.log_end(), true) {
            Ok(read) => {
                assert!(read.next() > next, "a read at {next} goes nowhere");
                next = read.next();
                for batch in BatchReader::new(read.into_bytes()) {
                    let batch = batch.expect("what is read begins with batches");
                    whole &= batch.verify_checksum().is_ok() && batch.records().is_ok();
                }
            }
            Err(ReadError::Corrupt { next_good, .. }) => {
                assert!(next_good > next, "the next good offset after {next} is {next_good}");
                (next, whole) = (next_good, false);
            }
            Err(_) => return false,
        }
    }
    log.close().is_ok() && whole
}

/// Each checksum of a log or snapshot of the metadata.
#[expect(clippy::ptr_arg, reason = "others mend by making inputs shorter")]
fn mend_metadata(input: &mut Vec<u8>) {
    let Some((_, bytes)) = input.split_first_mut() else { return };
    if bytes.starts_with(b"THLWMSNP") && bytes.len() > 12 {
        let end = bytes.len() - 4;
        let crc = crc32fast::hash(&bytes[..end]);
        bytes[end..].copy_from_slice(&crc.to_be_bytes());
        return;
    }
    if bytes.len() < 24 {
        return;
    }
    let crc = crc32fast::hash(&bytes[..20]);
    bytes[20..24].copy_from_slice(&crc.to_be_bytes());
    let mut rest = &mut bytes[24..];
    while rest.len() > 8 {
        let length = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]);
        let end = usize::try_from(length).unwrap().saturating_add(8);
        if end > rest.len() {
            return;
        }
        let crc = crc32fast::hash(&rest[8..end]);
        rest[4..8].copy_from_slice(&crc.to_be_bytes());
        rest = &mut rest[end..];
    }
}

fn metadata_folder(input: &[u8]) -> bool {
    METADATA_FILES.with_borrow_mut(|place| {
        let folder = place.get_or_insert_with(|| Place::new(METADATA)).lay_out(input);
        let options = FileMetadataLogOptions { folder, snapshot_log_bytes: 1 << 40 };
        let Ok(log) = FileMetadataLog::open(Arc::new(OsFileSystem), options) else { return false };
        log.image().topics().count() < 100
    })
}
