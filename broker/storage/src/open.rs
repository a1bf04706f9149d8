//! Creating a log, and opening one that is there.
//!
//! Owns the order: the folder's identity, leftovers, the segments (see `recover.rs`), epochs, producers. A
//! folder that is missing is an error and never made a second time.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use thalweg_protocol::{Offset, TimestampMs, TopicPartition};

use crate::active::Active;
use crate::append::producer_batch;
use crate::epoch::EpochTable;
use crate::error::LogError;
use crate::folder::{EPOCH_FILE, FileKind, FileName, METADATA_FILE, PartitionMetadata};
use crate::log::Log;
use crate::log_dir::{LogDir, SegmentAppend};
use crate::options::LogOptions;
use crate::producer::ProducerTable;
use crate::reader::Shared;
use crate::recover::{DataFile, Recovery, RecoveryReport, goes_with_its_log};
use crate::recovery::Stop;
use crate::segment::{Home, Segment};
use crate::segments::Segments;
use crate::visit::visit;

/// The largest producer snapshot that is read.
const SNAPSHOT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What the caller of [`Log::open`] believes of the log, from its directory's checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Believed {
    /// Everything below was synced.
    pub recovery_point: Offset,
    /// The last stop was clean: everything was synced.
    pub clean: bool,
    /// The first offset that may be read.
    pub log_start: Offset,
    /// When segments were last appended to.
    pub last_appends: Vec<SegmentAppend>,
}

impl Believed {
    /// What the directory's checkpoints say.
    pub fn from_dir(dir: &LogDir, partition: TopicPartition) -> Self {
        Self {
            recovery_point: dir.recovery_point(partition).unwrap_or(Offset::ZERO),
            clean: dir.was_clean(),
            log_start: dir.log_start(partition).unwrap_or(Offset::ZERO),
            last_appends: dir.last_appends(partition),
        }
    }
}

impl Log {
    /// Makes the folder of a new partition, durably, and its first segment.
    pub fn create(
        dir: &Arc<LogDir>,
        partition: TopicPartition,
        metadata: &PartitionMetadata,
        options: LogOptions,
        now: TimestampMs,
    ) -> Result<Self, LogError> {
        dir.create_folder(partition, metadata)?;
        let believed = Believed {
            recovery_point: Offset::ZERO,
            clean: false,
            log_start: Offset::ZERO,
            last_appends: Vec::new(),
        };
        Ok(Self::open_believing(dir, partition, options, &believed, now)?.0)
    }

    /// Opens the log of a partition whose folder is there, by what its directory's checkpoints say. After a
    /// crash this cuts a torn tail, and writes and syncs again what it keeps above the recovery point.
    pub fn open(
        dir: &Arc<LogDir>,
        partition: TopicPartition,
        options: LogOptions,
        now: TimestampMs,
    ) -> Result<(Self, RecoveryReport), LogError> {
        let believed = Believed::from_dir(dir, partition);
        Self::open_believing(dir, partition, options, &believed, now)
    }

    /// The same, by what the caller believes.
    pub fn open_believing(
        dir: &Arc<LogDir>,
        partition: TopicPartition,
        options: LogOptions,
        believed: &Believed,
        now: TimestampMs,
    ) -> Result<(Self, RecoveryReport), LogError> {
        let folder = dir.existing_folder(partition)?;
        check_identity(dir, &folder, partition)?;
        let (fs, files) = (Arc::clone(dir.fs()), Arc::clone(dir.open_files()));
        let home = Arc::new(Home { fs, files, folder });
        let found = list(&home)?;
        let (mut recovery, epochs_known) = recovery(&home, found, &options, believed);
        let io = |action| {
            let folder = home.folder.clone();
            move |error| LogError::io(action, &folder, error)
        };
        recovery.run().map_err(io("recover the log in"))?;
        let crashed = recovery.stop == Stop::Crash;
        let Recovery { mut segments, log_end, epochs, report, resumes, .. } = recovery;
        if segments.is_empty() || resumes {
            let map_bytes = u64::from(options.segment_bytes);
            let first =
                Segment::create(&home, log_end, map_bytes).map_err(io("create a segment in"))?;
            first.sync().map_err(io("sync a segment in"))?;
            segments.push(Arc::new(first));
        }
        if crashed || resumes || segments.len() == 1 {
            home.fs.sync_folder(&home.folder).map_err(io("sync"))?;
        }
        note_last_appends(&segments, believed, now);
        let segments = Segments::new(segments);
        let mut epochs = epochs;
        if !epochs_known {
            epochs = epochs_from_batches(&segments, log_end).map_err(io("read"))?;
        }
        let log_start = log_start(&segments, believed, log_end);
        let shared = share(dir, partition, &home, segments, log_start, log_end, epochs);
        shared.epochs_dirty.store(!epochs_known || crashed, Ordering::Release);
        let mut log = Self::around(shared, options, believed, now);
        log.load_producers(now).map_err(io("read the producers of"))?;
        log.reader().save_epochs().map_err(io("write the epochs of"))?;
        for segment in log.shared.segments.load().as_slice() {
            // Thousands of quiet partitions keep nothing open.
            segment.slot().close();
        }
        Ok((log, report))
    }

    /// A log around recovered segments; without producers yet.
    fn around(
        shared: Arc<Shared>,
        options: LogOptions,
        believed: &Believed,
        now: TimestampMs,
    ) -> Self {
        let segments = shared.segments.load();
        let segment = Arc::clone(segments.active().expect("an open log has a segment"));
        drop(segments);
        let position = segment.visible();
        let mut active = Active::new(segment, position);
        if position > 0 {
            let base = active.segment.base_offset();
            let known = believed.last_appends.iter().find(|known| known.base_offset == base);
            active.first_append = Some(known.map_or(now, |known| known.last_append.min(now)));
        }
        active.resume();
        let producers = ProducerTable::new();
        Self { shared, options, active, producers, since_snapshot: 0, can_preallocate: true }
    }

    /// Loads the newest snapshot at or below the log end and records the batches behind it. Snapshots above
    /// the end, and damaged ones, are removed.
    pub(crate) fn load_producers(&mut self, now: TimestampMs) -> std::io::Result<()> {
        let log_end = self.log_end();
        let fs = Arc::clone(&self.shared.home.fs);
        let mut from = None;
        self.producers = ProducerTable::new();
        for offset in self.snapshot_offsets().into_iter().rev() {
            let path = self.path_of(offset, FileKind::Snapshot);
            let load = || {
                let bytes = fs.read_small(&path, SNAPSHOT_BYTES_MAX).ok()?;
                ProducerTable::decode_snapshot(&bytes).ok()
            };
            if offset <= log_end
                && let Some(table) = load()
            {
                self.producers = table;
                from = Some(offset);
                break;
            }
            drop(fs.remove(&path));
        }
        let segments = self.shared.segments.load_full();
        let from = from.unwrap_or_else(|| self.log_start());
        let producers = &mut self.producers;
        let mut walked = 0;
        visit(&segments, from, log_end, |_, found| {
            if let Some(batch) = producer_batch(&found.header) {
                producers.record(&batch, found.header.last_offset(), now);
            }
            walked += found.end() - found.position;
            ControlFlow::Continue(())
        })?;
        self.since_snapshot = walked;
        Ok(())
    }
}

/// Refuses a folder of another topic.
fn check_identity(dir: &LogDir, folder: &Path, partition: TopicPartition) -> Result<(), LogError> {
    let path = folder.join(METADATA_FILE);
    let bytes = dir
        .fs()
        .read_small(&path, PartitionMetadata::BYTES_MAX)
        .map_err(|error| LogError::io("read", &path, error))?;
    let reason = match PartitionMetadata::decode(&bytes) {
        Ok(metadata) if metadata.topic == partition.topic => return Ok(()),
        Ok(metadata) => format!("the folder belongs to topic {}", metadata.topic),
        Err(error) => error.to_string(),
    };
    Err(LogError::Identity { path, reason })
}

/// The data files of the folder; what is left over from deletions is removed.
fn list(home: &Home) -> Result<Vec<DataFile>, LogError> {
    let io = |action| {
        let folder = home.folder.clone();
        move |error| LogError::io(action, &folder, error)
    };
    let listed = home.fs.list(&home.folder).map_err(io("list"))?;
    let names: Vec<FileName> =
        listed.iter().filter_map(|path| FileName::parse(path.file_name()?.to_str()?)).collect();
    let is_log = |name: &FileName| name.kind == FileKind::Log && !name.deleted;
    let logs: Vec<Offset> = names.iter().filter(|name| is_log(name)).map(|n| n.offset).collect();
    let orphan = |name: &FileName| goes_with_its_log(name.kind) && !logs.contains(&name.offset);
    for name in names.iter().filter(|name| name.deleted || orphan(name)) {
        // What cannot be removed now is in nobody's way.
        drop(home.fs.remove(&name.path(&home.folder)));
    }
    let mut files = Vec::with_capacity(logs.len());
    for base_offset in logs {
        let path = FileName::new(base_offset, FileKind::Log).path(&home.folder);
        let length = home.fs.open(&path).and_then(|file| file.length());
        let bytes = length.map_err(|error| LogError::io("open", &path, error))?;
        files.push(DataFile { base_offset, bytes });
    }
    files.sort_by_key(|file| file.base_offset);
    Ok(files)
}

/// The walk to come, and whether the epochs are in their file.
fn recovery<'a>(
    home: &'a Arc<Home>,
    files: Vec<DataFile>,
    options: &LogOptions,
    believed: &Believed,
) -> (Recovery<'a>, bool) {
    let Believed { recovery_point: synced, log_start, .. } = *believed;
    let path = home.folder.join(EPOCH_FILE);
    let read = home.fs.read_small(&path, EpochTable::FILE_BYTES_MAX).ok();
    let known = read.and_then(|bytes| EpochTable::decode(&bytes).ok());
    let epochs_known = known.is_some();
    let mut epochs = known.unwrap_or_default();
    epochs.truncate_to(synced);
    let recovery = Recovery {
        home,
        stop: if believed.clean { Stop::Clean } else { Stop::Crash },
        synced,
        log_start,
        map_bytes: u64::from(options.segment_bytes),
        log_end: files.first().map_or(synced.max(log_start), |file| file.base_offset),
        files,
        epochs,
        segments: Vec::new(),
        resumes: false,
        report: RecoveryReport::default(),
    };
    (recovery, epochs_known)
}

fn note_last_appends(segments: &[Arc<Segment>], believed: &Believed, now: TimestampMs) {
    for segment in segments {
        let base = segment.base_offset();
        let known = believed.last_appends.iter().find(|known| known.base_offset == base);
        // Not known: kept longer rather than shorter.
        let last_append = known.map_or(now, |known| known.last_append);
        segment.note_times(segment.newest(), last_append);
    }
}

/// The epochs as the batches tell them, when their file is missing or damaged.
fn epochs_from_batches(segments: &Segments, log_end: Offset) -> std::io::Result<EpochTable> {
    let mut epochs = EpochTable::new();
    visit(segments, Offset::ZERO, log_end, |_, found| {
        // A batch of an older epoch is damage that the readers will meet.
        drop(epochs.assign(found.header.leader_epoch, found.header.base_offset));
        ControlFlow::Continue(())
    })?;
    Ok(epochs)
}

fn log_start(segments: &Segments, believed: &Believed, log_end: Offset) -> Offset {
    let first = segments.as_slice().first().map_or(log_end, |first| first.base_offset());
    believed.log_start.max(first).min(log_end)
}

fn share(
    dir: &Arc<LogDir>,
    partition: TopicPartition,
    home: &Arc<Home>,
    segments: Segments,
    log_start: Offset,
    log_end: Offset,
    epochs: EpochTable,
) -> Arc<Shared> {
    let last_append = segments.active().map_or(TimestampMs::NONE, |active| active.last_append());
    Arc::new(Shared {
        dir: Arc::clone(dir),
        partition,
        home: Arc::clone(home),
        segments: ArcSwap::from_pointee(segments),
        log_start: AtomicI64::new(log_start.get()),
        log_end: AtomicI64::new(log_end.get()),
        synced_end: AtomicI64::new(log_end.get()),
        folder_dirty: AtomicBool::new(false),
        epochs: ArcSwap::from_pointee(epochs),
        epochs_dirty: AtomicBool::new(false),
        syncing: Mutex::new(()),
        cuts: Mutex::new(0),
        last_append: AtomicI64::new(last_append.get()),
    })
}
