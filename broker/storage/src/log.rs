//! One partition's log: the sequence of its segments, and the only writer of its folder.
//!
//! ```text
//!     segment 40          | segment 47    | segment 53
//!     40 41 42 43 44 45 46|47 48 49 50 51 52|53 54 55 |
//!           ^ log start                 ^ synced end  ^ log end
//! ```
//!
//! Owns the folder, the active segment, the producers and the epochs. Never waits for a sync, never reads a
//! clock, and knows neither topic names nor high watermarks, but what it is handed.
//!
//! Invariants: log start <= log end, synced end <= log end; what lies below the log end never changes, except
//! by a cut; readers see each value only after what it stands for.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use thalweg_protocol::{LeaderEpoch, Offset, TimestampMs, TopicPartition};

use crate::active::Active;
use crate::epoch::EpochTable;
use crate::error::{AppendError, LogError};
use crate::folder::{FileKind, FileName};
use crate::log_dir::SegmentAppend;
use crate::options::LogOptions;
use crate::producer::{ProducerLimits, ProducerTable};
use crate::reader::{LogReader, Shared};
use crate::segments::Segments;

/// A producer snapshot is taken when so much was appended since the last: a restart after a crash walks the
/// headers of no more than this to know the producers.
const SNAPSHOT_BYTES: u64 = 64 * 1024 * 1024;

/// Snapshots that are kept: a cut may need an older one.
const SNAPSHOTS_KEPT: usize = 3;

/// The log of one partition. Whoever holds it is the only writer; everybody else has a [`LogReader`].
#[derive(Debug)]
pub struct Log {
    pub(crate) shared: Arc<Shared>,
    pub(crate) options: LogOptions,
    pub(crate) active: Active,
    pub(crate) producers: ProducerTable,
    /// Bytes appended since the last producer snapshot.
    pub(crate) since_snapshot: u64,
    /// The file system can reserve blocks, as far as we know.
    pub(crate) can_preallocate: bool,
    /// How often an append had to reserve blocks or to make a file itself.
    pub(crate) made_in_append: u64,
}

impl Log {
    /// A view for fetches, the flusher and timers; it stays valid as long as the log is open.
    pub fn reader(&self) -> LogReader {
        LogReader { shared: Arc::clone(&self.shared) }
    }

    /// Whose log it is.
    pub fn partition(&self) -> TopicPartition {
        self.shared.partition
    }

    /// The first offset that can be read.
    pub fn log_start(&self) -> Offset {
        Offset::new(self.shared.log_start.load(Ordering::Acquire))
    }

    /// The offset after the last record.
    pub fn log_end(&self) -> Offset {
        self.shared.ends.log_end()
    }

    /// The settings.
    pub const fn options(&self) -> &LogOptions {
        &self.options
    }

    /// Exchanges the settings; they hold from the next append on.
    pub fn set_options(&mut self, options: LogOptions) {
        self.options = options;
    }

    /// What is remembered of idempotent producers.
    pub const fn producers(&self) -> &ProducerTable {
        &self.producers
    }

    /// Forgets producers that were silent for too long; says how many.
    pub fn expire_producers(&mut self, now: TimestampMs) -> usize {
        let limits = self.producer_limits();
        self.producers.expire(now, &limits)
    }

    /// The epochs of the log with their first offsets.
    pub fn epochs(&self) -> Arc<EpochTable> {
        self.shared.epochs.load_full()
    }

    /// The epoch of the last batch; `None` in an empty log.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.shared.epochs.load().latest()
    }

    /// When each segment was last appended to, for the directory's checkpoint.
    pub fn segment_appends(&self) -> Vec<SegmentAppend> {
        let segments = self.shared.segments.load();
        let known = segments.as_slice().iter().map(|segment| SegmentAppend {
            base_offset: segment.base_offset(),
            last_append: segment.last_append(),
        });
        known.filter(|append| append.last_append != TimestampMs::NONE).collect()
    }

    /// Closes the log for a clean stop: spare blocks are given back, indexes and producers written,
    /// everything synced. Afterwards the caller writes the recovery point, then the clean mark.
    pub fn close(mut self) -> Result<LogReader, LogError> {
        let path = self.active.segment.log_path();
        let shared = Arc::clone(&self.shared);
        let _exclusive = shared.exchange();
        self.active.finish().map_err(|error| self.failed("close", &path, error))?;
        self.shared.ahead.close(|path| drop(self.shared.home.fs.remove(path)));
        if self.since_snapshot > 0 {
            self.snapshot_producers();
        }
        let reader = self.reader();
        let folder = self.shared.home.folder.clone();
        reader.sync().map_err(|error| self.failed("sync", &folder, error))?;
        for segment in self.shared.segments.load().as_slice() {
            segment.slot().close();
        }
        Ok(reader)
    }

    pub(crate) const fn producer_limits(&self) -> ProducerLimits {
        ProducerLimits {
            producers_max: self.options.producers_max,
            expiration_ms: self.options.producer_expiration_ms,
        }
    }

    /// Writes what is known of the producers beside the log, named by the log end. A snapshot that cannot
    /// be written costs a longer walk at the next start, nothing else.
    pub(crate) fn snapshot_producers(&mut self) {
        let end = self.log_end();
        self.since_snapshot = 0;
        let path = self.path_of(end, FileKind::Snapshot);
        let fs = &*self.shared.home.fs;
        let bytes = self.producers.encode_snapshot();
        drop(fs.remove(&path));
        let written = fs.create(&path).and_then(|file| file.write_at(0, &[&bytes]));
        if written.is_err() {
            drop(fs.remove(&path));
        }
        self.remove_old_snapshots();
    }

    /// Takes a snapshot when enough was appended since the last one.
    pub(crate) fn snapshot_if_due(&mut self) {
        if self.since_snapshot >= SNAPSHOT_BYTES {
            self.snapshot_producers();
        }
    }

    fn remove_old_snapshots(&self) {
        let snapshots = self.snapshot_offsets();
        let old = snapshots.len().saturating_sub(SNAPSHOTS_KEPT);
        for offset in snapshots.into_iter().take(old) {
            drop(self.shared.home.fs.remove(&self.path_of(offset, FileKind::Snapshot)));
        }
    }

    /// The offsets of the snapshots that are there, oldest first.
    pub(crate) fn snapshot_offsets(&self) -> Vec<Offset> {
        let home = &self.shared.home;
        let listed = home.fs.list(&home.folder).unwrap_or_default();
        let names = listed.iter().filter_map(|path| FileName::parse(path.file_name()?.to_str()?));
        let snapshots = names.filter(|name| name.kind == FileKind::Snapshot && !name.deleted);
        snapshots.map(|name| name.offset).collect()
    }

    pub(crate) fn path_of(&self, offset: Offset, kind: FileKind) -> PathBuf {
        FileName::new(offset, kind).path(&self.shared.home.folder)
    }

    /// Exchanges the list of segments.
    pub(crate) fn store_segments(&self, segments: Segments) {
        self.shared.segments.store(Arc::new(segments));
    }

    /// An operation on a file failed: a full disk makes the directory read-only, everything else takes it
    /// offline.
    pub(crate) fn failed(&self, action: &'static str, path: &Path, error: io::Error) -> LogError {
        self.shared.dir.failed(&format!("cannot {action} {}", path.display()), &error);
        LogError::io(action, path, error)
    }

    /// The same for an append.
    pub(crate) fn append_failed(
        &self,
        action: &'static str,
        path: PathBuf,
        error: &io::Error,
    ) -> AppendError {
        let at = self.log_end();
        if self.shared.dir.failed(&format!("cannot {action} {}", path.display()), error) {
            return AppendError::StorageFull { path, at };
        }
        AppendError::Offline { path, at, reason: error.to_string() }
    }

    /// What an append answers when the roll before it failed.
    pub(crate) fn as_append_error(&self, error: LogError) -> AppendError {
        let at = self.log_end();
        match error {
            LogError::StorageFull { path, .. } => AppendError::StorageFull { path, at },
            LogError::Refused(refusal) => AppendError::Refused(refusal),
            LogError::Io { path, source, .. } => {
                AppendError::Offline { path, at, reason: source.to_string() }
            }
            other => {
                let path = self.active.segment.log_path();
                AppendError::Offline { path, at, reason: other.to_string() }
            }
        }
    }
}

#[cfg(test)]
mod tests;
