//! What a log directory remembers of its partitions across a restart: one small file for each kind of number.
//!
//! Four files and not one: the recovery point is written every second and the log start only when records
//! are deleted, but then before the answer. Each holds the rows of all partitions in the order of their
//! keys, so that 10,000 partitions cost one sync a second and not 10,000.
//!
//! ```text
//!     recovery-point, log-start, high-watermark:   count 4, then rows: topic id 16, partition 4, offset 8
//!     last-append:   count 4, then rows: topic id 16, partition 4, segment's base offset 8, milliseconds 8
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use thalweg_protocol::{Offset, PartitionIndex, TimestampMs, TopicId, TopicPartition};

use super::state::lock;
use crate::checkpoint::{self, CheckpointError, CheckpointFormat, Damage};
use crate::defects::{self, Defect};
use crate::fs::FileSystem;

/// How far a log is on stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryMark {
    /// The partition.
    pub partition: TopicPartition,
    /// Everything below is on stable storage.
    pub synced_end: Offset,
    /// The log end, at least the synced end.
    pub log_end: Offset,
}

impl RecoveryMark {
    pub(super) fn recovery_point(&self) -> Offset {
        if defects::planted(Defect::CheckpointBeforeSync) { self.log_end } else { self.synced_end }
    }
}

/// When a segment was last appended to, by the broker's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentAppend {
    /// The segment's base offset.
    pub base_offset: Offset,
    /// The time of its last append.
    pub last_append: TimestampMs,
}

/// A partition, and within it a segment's base offset where the file has one.
type Key = (TopicPartition, Offset);

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    RecoveryPoint,
    LogStart,
    HighWatermark,
    LastAppend,
}

impl Kind {
    const fn file_name(self) -> &'static str {
        match self {
            Self::RecoveryPoint => "recovery-point.checkpoint",
            Self::LogStart => "log-start.checkpoint",
            Self::HighWatermark => "high-watermark.checkpoint",
            Self::LastAppend => "last-append.checkpoint",
        }
    }

    const fn format(self) -> CheckpointFormat {
        let tag = match self {
            Self::RecoveryPoint => *b"RECP",
            Self::LogStart => *b"LOGS",
            Self::HighWatermark => *b"HIGH",
            Self::LastAppend => *b"LAST",
        };
        // Some two million rows.
        CheckpointFormat { tag, version: 1, bytes_max: 64 << 20 }
    }

    /// Whether a row names a segment.
    const fn has_segment(self) -> bool {
        matches!(self, Self::LastAppend)
    }

    const fn row_bytes(self) -> usize {
        if self.has_segment() { 36 } else { 28 }
    }
}

/// Writes content to a file in a format, durably.
pub(super) type Write<'a> =
    &'a dyn Fn(&Path, &CheckpointFormat, &[u8]) -> Result<(), CheckpointError>;

/// The rows of one file, as it stands on disk and as it should.
#[derive(Debug)]
pub(super) struct Points {
    kind: Kind,
    file: PathBuf,
    rows: Mutex<Rows>,
}

#[derive(Debug)]
struct Rows {
    values: BTreeMap<Key, i64>,
    /// The file does not say what `values` says.
    changed: bool,
}

impl Points {
    /// Reads the file in `dir`; without one there are no rows.
    pub(super) fn load(
        fs: &dyn FileSystem,
        dir: &Path,
        kind: Kind,
    ) -> Result<Self, CheckpointError> {
        let file = dir.join(kind.file_name());
        let values = match checkpoint::read(fs, &file, &kind.format())? {
            None => BTreeMap::new(),
            Some(found) => decode(kind, &found.content).map_err(|damage| {
                CheckpointError::Damaged { file: file.clone(), damage: Damage::Content(damage) }
            })?,
        };
        Ok(Self { kind, file, rows: Mutex::new(Rows { values, changed: false }) })
    }

    /// As [`load`](Self::load), but a damaged file counts as none and is reported: for what is found out
    /// again, or only makes things later.
    pub(super) fn load_or_none(
        fs: &dyn FileSystem,
        dir: &Path,
        kind: Kind,
        ignored: &mut Vec<CheckpointError>,
    ) -> Result<Self, CheckpointError> {
        match Self::load(fs, dir, kind) {
            Err(damaged @ CheckpointError::Damaged { .. }) => {
                ignored.push(damaged);
                let rows = Mutex::new(Rows { values: BTreeMap::new(), changed: false });
                Ok(Self { kind, file: dir.join(kind.file_name()), rows })
            }
            other => other,
        }
    }

    pub(super) fn get(&self, partition: TopicPartition) -> Option<i64> {
        lock(&self.rows).values.get(&(partition, Offset::ZERO)).copied()
    }

    /// The rows of one partition: second half of the key, and value.
    pub(super) fn of(&self, partition: TopicPartition) -> Vec<(Offset, i64)> {
        let range = (partition, Offset::new(i64::MIN))..=(partition, Offset::new(i64::MAX));
        lock(&self.rows).values.range(range).map(|((_, base), value)| (*base, *value)).collect()
    }

    /// Sets what `collect` gives and writes the file if that changed it.
    ///
    /// `collect` runs under the lock: a value that somebody lowers afterwards is then lowered in the file,
    /// too, by [`lower`](Self::lower), which waits for the lock.
    pub(super) fn update<I>(
        &self,
        write: Write<'_>,
        collect: impl FnOnce() -> I,
    ) -> Result<(), CheckpointError>
    where
        I: IntoIterator<Item = (TopicPartition, i64)>,
    {
        let mut rows = lock(&self.rows);
        for (partition, value) in collect() {
            let before = rows.values.insert((partition, Offset::ZERO), value);
            rows.changed |= before != Some(value);
        }
        self.write(&mut rows, write)
    }

    /// Replaces the rows of each partition by those given and writes the file if that changed it.
    pub(super) fn update_segments(
        &self,
        write: Write<'_>,
        partitions: impl IntoIterator<Item = (TopicPartition, Vec<SegmentAppend>)>,
    ) -> Result<(), CheckpointError> {
        let mut rows = lock(&self.rows);
        for (partition, segments) in partitions {
            let new = segments.iter().map(|it| ((partition, it.base_offset), it.last_append.get()));
            let new: BTreeMap<Key, i64> = new.collect();
            let old: Vec<Key> = keys(&rows.values, partition);
            let same = old.len() == new.len()
                && new.iter().all(|(key, value)| rows.values.get(key) == Some(value));
            if !same {
                for key in old {
                    rows.values.remove(&key);
                }
                rows.values.extend(new);
                rows.changed = true;
            }
        }
        self.write(&mut rows, write)
    }

    /// Lowers a value that is above `to` and writes the file if it says more than `to`.
    pub(super) fn lower(
        &self,
        write: Write<'_>,
        partition: TopicPartition,
        to: Offset,
    ) -> Result<(), CheckpointError> {
        let mut rows = lock(&self.rows);
        if let Some(value) = rows.values.get_mut(&(partition, Offset::ZERO))
            && *value > to.get()
        {
            *value = to.get();
            rows.changed = true;
        }
        // Also when it was lowered before and could not be written then: the file still says more.
        self.write(&mut rows, write)
    }

    /// Forgets a partition; writes the file at once if `write` is given and the file knew it.
    pub(super) fn forget(
        &self,
        write: Option<Write<'_>>,
        partition: TopicPartition,
    ) -> Result<(), CheckpointError> {
        if !self.remove(partition) {
            return Ok(());
        }
        // The lock was released in between: of several that go at the same time, one writes for all.
        write.map_or(Ok(()), |write| self.write(&mut lock(&self.rows), write))
    }

    /// Removes the rows of a partition; false when there are none.
    fn remove(&self, partition: TopicPartition) -> bool {
        let mut rows = lock(&self.rows);
        let known = keys(&rows.values, partition);
        for key in &known {
            rows.values.remove(key);
        }
        rows.changed |= !known.is_empty();
        !known.is_empty()
    }

    fn write(&self, rows: &mut Rows, write: Write<'_>) -> Result<(), CheckpointError> {
        if rows.changed {
            write(&self.file, &self.kind.format(), &encode(self.kind, &rows.values))?;
            rows.changed = false;
        }
        Ok(())
    }
}

fn keys(values: &BTreeMap<Key, i64>, partition: TopicPartition) -> Vec<Key> {
    let range = (partition, Offset::new(i64::MIN))..=(partition, Offset::new(i64::MAX));
    values.range(range).map(|(key, _)| *key).collect()
}

fn encode(kind: Kind, values: &BTreeMap<Key, i64>) -> Vec<u8> {
    let count = u32::try_from(values.len()).expect("rows are bounded by the partitions");
    let mut bytes = Vec::with_capacity(4 + values.len() * kind.row_bytes());
    bytes.extend(count.to_be_bytes());
    for ((partition, base), value) in values {
        bytes.extend(partition.topic.as_bytes());
        bytes.extend(partition.partition.get().to_be_bytes());
        if kind.has_segment() {
            bytes.extend(base.get().to_be_bytes());
        }
        bytes.extend(value.to_be_bytes());
    }
    bytes
}

fn decode(kind: Kind, bytes: &[u8]) -> Result<BTreeMap<Key, i64>, String> {
    let length = || format!("{} bytes of rows are no whole number of them", bytes.len());
    let (count, rows) = bytes.split_first_chunk().ok_or_else(length)?;
    let count = usize::try_from(u32::from_be_bytes(*count)).map_err(|_| length())?;
    let chunks = rows.chunks_exact(kind.row_bytes());
    if !chunks.remainder().is_empty() || chunks.len() != count {
        return Err(format!("{count} rows announced, {} bytes of rows found", rows.len()));
    }
    let values: Option<BTreeMap<Key, i64>> = chunks.map(|row| decode_row(kind, row)).collect();
    match values {
        Some(values) if values.len() == count => Ok(values),
        _ => Err("a partition has two rows, or a row a negative number".to_owned()),
    }
}

/// `None` when a number is negative.
fn decode_row(kind: Kind, row: &[u8]) -> Option<(Key, i64)> {
    let (topic, rest) = row.split_first_chunk::<16>()?;
    let (partition, rest) = rest.split_first_chunk::<4>()?;
    let (base, rest) = if kind.has_segment() {
        let (base, rest) = rest.split_first_chunk::<8>()?;
        (i64::from_be_bytes(*base), rest)
    } else {
        (0, rest)
    };
    let value = i64::from_be_bytes(*rest.first_chunk::<8>()?);
    let partition = i32::from_be_bytes(*partition);
    let partition =
        TopicPartition::new(TopicId::from_bytes(*topic), PartitionIndex::new(partition));
    let good = partition.partition.get() >= 0 && base >= 0 && (value >= 0 || kind.has_segment());
    good.then_some(((partition, Offset::new(base)), value))
}
