//! Creating a log, and opening one that is there.
//!
//! Owns the order: the folder's identity, leftovers, the segments (see `recover.rs`), epochs, producers. A
//! folder that is missing is an error and never made a second time.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use thalweg_protocol::{Offset, TimestampMs, TopicPartition};

use crate::active::Active;
use crate::ahead::Ahead;
use crate::compaction::{load_cleaned_end, settle_leftovers};
use crate::ends::Ends;
use crate::epoch::EpochTable;
use crate::error::LogError;
use crate::folder::{EPOCH_FILE, FileKind, FileName, METADATA_FILE, PartitionMetadata};
use crate::log::Log;
use crate::log_dir::{LogDir, SegmentAppend};
use crate::names::Names;
use crate::options::LogOptions;
use crate::producer::ProducerTable;
use crate::reader::Shared;
use crate::rebuild::epochs_from_batches;
use crate::recover::{DataFile, Recovery, RecoveryReport};
use crate::segment::{Home, Segment};
use crate::segments::Segments;

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
        let home = Arc::new(Home { fs, files, folder, deleted: Arc::clone(dir.deleted_files()) });
        let failed = |error| LogError::io("recover the log in", &home.folder, error);
        let finished_exchanges = settle_leftovers(&home).map_err(failed)?;
        let found = list(&home)?;
        if found.is_empty() && believed.recovery_point.max(believed.log_start) > Offset::ZERO {
            // An open log always has a segment: these files were taken away.
            return Err(LogError::Emptied {
                path: home.folder.clone(),
                recovery_point: believed.recovery_point,
            });
        }
        let recovered = recover(&home, found, &options, believed, now).map_err(failed)?;
        let Recovered { segments, log_end, epochs, epochs_saved, names_synced, report } = recovered;
        let report = RecoveryReport { finished_exchanges, ..report };
        let log_start = log_start(&segments, believed, log_end);
        let cleaned_end = load_cleaned_end(&home, log_end).map_err(failed)?;
        let shared = share(dir, partition, &home, segments, log_start, log_end, epochs);
        shared.cleaned_end.store(cleaned_end.get(), Ordering::Release);
        shared.epochs_dirty.store(!epochs_saved, Ordering::Release);
        if !names_synced {
            shared.names.changed();
        }
        let mut log = Self::around(shared, options, believed, now);
        log.load_producers(now).map_err(failed)?;
        log.reader().save_epochs().map_err(failed)?;
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
        Self {
            shared,
            options,
            active,
            producers,
            since_snapshot: 0,
            can_preallocate: true,
            made_in_append: 0,
        }
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

/// Whether a file of this kind is of use only beside the log file of the same name.
const fn goes_with_log(kind: FileKind) -> bool {
    matches!(kind, FileKind::OffsetIndex | FileKind::TimeIndex | FileKind::TransactionIndex)
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
    let orphan = |name: &FileName| goes_with_log(name.kind) && !logs.contains(&name.offset);
    for name in names.iter().filter(|name| name.deleted || orphan(name)) {
        // What cannot be removed now is in nobody's way.
        drop(home.fs.remove(&name.path(&home.folder)));
    }
    for path in listed.iter().filter(|path| path.extension().is_some_and(|it| it == "tmp")) {
        // The new content of a file that a crash left aside.
        drop(home.fs.remove(path));
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

/// What came out of the walk over the segments.
struct Recovered {
    segments: Segments,
    log_end: Offset,
    epochs: EpochTable,
    /// The epochs are in their file as they are here.
    epochs_saved: bool,
    /// The names in the folder are on stable storage.
    names_synced: bool,
    report: RecoveryReport,
}

fn recover(
    home: &Arc<Home>,
    files: Vec<DataFile>,
    options: &LogOptions,
    believed: &Believed,
    now: TimestampMs,
) -> io::Result<Recovered> {
    let known = known_epochs(home, believed);
    let complete = known.is_some();
    let durable = known.as_ref().filter(|known| known.is_durable).map(|known| known.epochs.clone());
    let known = known.map(|known| known.epochs);
    let map_bytes = u64::from(options.segment_bytes);
    let mut walk = Recovery::new(home, files, known, believed, map_bytes);
    walk.run()?;
    let Recovery { mut segments, log_end, epochs, report, resumes, .. } = walk;
    let is_made = segments.is_empty() || resumes;
    if is_made {
        let first = Segment::create(home, log_end, map_bytes)?;
        first.sync()?;
        segments.push(Arc::new(first));
    }
    let goes_further = log_end > believed.recovery_point || report.cut_bytes > 0;
    let syncs_folder = is_made || (!believed.clean && goes_further);
    if syncs_folder {
        home.fs.sync_folder(&home.folder)?;
    }
    // The recovery point speaks for the names of segments that begin below it. Nothing is in one that begins there:
    // its name may wait for its first sync.
    let begins_above =
        segments.last().is_some_and(|it| it.base_offset() >= believed.recovery_point);
    let names_synced = believed.clean || syncs_folder || !begins_above;
    note_last_appends(&segments, believed, now);
    let segments = Segments::new(segments);
    let epochs = if complete { epochs } else { epochs_from_batches(&segments, log_end)? };
    let epochs_saved = match durable {
        Some(durable) => durable == epochs,
        // No file tells the same as one without entries.
        None => !complete && epochs.entries().is_empty(),
    };
    Ok(Recovered { segments, log_end, epochs, epochs_saved, names_synced, report })
}

/// What the epochs' file tells.
struct KnownEpochs {
    /// Those that begin below the recovery point: what follows is told by the batches themselves.
    epochs: EpochTable,
    /// The file tells these and no more. Then it is on stable storage: an end is published as synced only after the
    /// epochs below it were.
    is_durable: bool,
}

/// The epochs that the file tells, as far as they were synced; `None` when it is missing or damaged.
fn known_epochs(home: &Home, believed: &Believed) -> Option<KnownEpochs> {
    let path = home.folder.join(EPOCH_FILE);
    let bytes = home.fs.read_small(&path, EpochTable::FILE_BYTES_MAX).ok()?;
    let mut epochs = EpochTable::decode(&bytes).ok()?;
    let goes_further = epochs.truncate_to(believed.recovery_point);
    Some(KnownEpochs { epochs, is_durable: believed.clean || !goes_further })
}

fn note_last_appends(segments: &[Arc<Segment>], believed: &Believed, now: TimestampMs) {
    let newest = segments.last().map(|segment| segment.base_offset());
    for segment in segments {
        let base = segment.base_offset();
        let known = believed.last_appends.iter().find(|known| known.base_offset == base);
        // Kept longer rather than shorter: where nothing is known, and where a crash may have come between
        // an append and its note.
        let grew_since = !believed.clean && newest == Some(base);
        let last_append = known.filter(|_| !grew_since).map_or(now, |known| known.last_append);
        segment.note_times(segment.newest(), last_append);
    }
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
        ends: Ends::of_synced(log_end),
        names: Names::default(),
        ahead: Ahead::default(),
        epochs: ArcSwap::from_pointee(epochs),
        epochs_dirty: AtomicBool::new(false),
        syncing: Mutex::new(()),
        last_append: AtomicI64::new(last_append.get()),
        cleaned_end: AtomicI64::new(0),
        exchange: Mutex::new(()),
    })
}
