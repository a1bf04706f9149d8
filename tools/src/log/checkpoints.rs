//! The checkpoints of a log directory: rows of partitions with an offset or a time.

use std::path::Path;

use thalweg_protocol::{PartitionIndex, TopicId, TopicPartition};
use thalweg_storage::checkpoint::{self, CheckpointFormat};
use thalweg_storage::fs::OsFileSystem;

/// What a checkpoint holds, told by its file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    CleanStop,
    RecoveryPoint,
    LogStart,
    HighWatermark,
    LastAppend,
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) partition: TopicPartition,
    /// The segment's base offset, where the rows have one.
    pub(super) segment: Option<i64>,
    /// An offset, or milliseconds.
    pub(super) value: i64,
}

impl Kind {
    /// By the file's name.
    pub(super) fn of(path: &Path) -> Option<Self> {
        match path.file_name()?.to_str()? {
            "clean-stop" => Some(Self::CleanStop),
            "recovery-point.checkpoint" => Some(Self::RecoveryPoint),
            "log-start.checkpoint" => Some(Self::LogStart),
            "high-watermark.checkpoint" => Some(Self::HighWatermark),
            "last-append.checkpoint" => Some(Self::LastAppend),
            _ => None,
        }
    }

    /// What it says.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::CleanStop => "clean stop",
            Self::RecoveryPoint => "recovery point",
            Self::LogStart => "log start",
            Self::HighWatermark => "high watermark",
            Self::LastAppend => "last append",
        }
    }

    /// Whether a broker refuses the directory when the file is damaged.
    pub(super) const fn is_vital(self) -> bool {
        matches!(self, Self::RecoveryPoint | Self::LogStart)
    }

    const fn format(self) -> CheckpointFormat {
        let tag = match self {
            Self::CleanStop => *b"STOP",
            Self::RecoveryPoint => *b"RECP",
            Self::LogStart => *b"LOGS",
            Self::HighWatermark => *b"HIGH",
            Self::LastAppend => *b"LAST",
        };
        CheckpointFormat { tag, version: 1, bytes_max: 64 << 20 }
    }
}

/// The rows of the file; a clean stop has none.
pub(super) fn rows(path: &Path, kind: Kind) -> Result<Vec<Row>, String> {
    let read =
        checkpoint::read(&OsFileSystem, path, &kind.format()).map_err(|error| error.to_string())?;
    let Some(read) = read else { return Ok(Vec::new()) };
    if kind == Kind::CleanStop {
        return Ok(Vec::new());
    }
    let (count, rows) = read.content.split_first_chunk::<4>().ok_or("it has no number of rows")?;
    let row_bytes = if kind == Kind::LastAppend { 36 } else { 28 };
    let count = u32::from_be_bytes(*count);
    if usize::try_from(count).ok().and_then(|count| count.checked_mul(row_bytes))
        != Some(rows.len())
    {
        return Err(format!("{count} rows announced, {} bytes of rows found", rows.len()));
    }
    Ok(rows.chunks_exact(row_bytes).filter_map(|row| decode(row, kind)).collect())
}

/// The length was checked.
fn decode(row: &[u8], kind: Kind) -> Option<Row> {
    let (topic, rest) = row.split_first_chunk::<16>()?;
    let (partition, rest) = rest.split_first_chunk::<4>()?;
    let (segment, rest) = if kind == Kind::LastAppend {
        let (segment, rest) = rest.split_first_chunk::<8>()?;
        (Some(i64::from_be_bytes(*segment)), rest)
    } else {
        (None, rest)
    };
    let partition = PartitionIndex::new(i32::from_be_bytes(*partition));
    let partition = TopicPartition::new(TopicId::from_bytes(*topic), partition);
    Some(Row { partition, segment, value: i64::from_be_bytes(*rest.first_chunk::<8>()?) })
}
