//! Names of partition folders and of the files in them, and `partition.metadata`: printing and parsing.
//!
//! Owns every name under a log directory's partitions. Touches no disk.
//! Invariant: what is printed parses back to the same value, and nothing else parses.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thalweg_protocol::{Offset, PartitionIndex, TopicId, TopicPartition};

/// Stands behind the name of a folder or file that is to be removed.
pub(crate) const DELETED_SUFFIX: &str = ".deleted";

/// The file of leader epochs in a partition's folder.
pub const EPOCH_FILE: &str = "leader-epoch-checkpoint";

/// The file that says how far a log was compacted.
pub const COMPACTION_FILE: &str = "compaction-checkpoint";

/// The file that says which topic a partition's folder belongs to.
pub const METADATA_FILE: &str = "partition.metadata";

/// Digits of an offset in a file's name: as many as `i64::MAX` may need, and one more, as Kafka has it.
const OFFSET_DIGITS: usize = 20;

/// What a file named by an offset holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// Batches back to back; the name is the base offset.
    Log,
    /// Offset index of the log file of the same name.
    OffsetIndex,
    /// Time index of the log file of the same name.
    TimeIndex,
    /// Aborted transactions of the log file of the same name.
    TransactionIndex,
    /// Producer state of everything below the offset in the name.
    Snapshot,
    /// What recovery cut off a log that ended at the offset in the name.
    Cut,
}

impl FileKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Log,
        Self::OffsetIndex,
        Self::TimeIndex,
        Self::TransactionIndex,
        Self::Snapshot,
        Self::Cut,
    ];

    /// What follows the offset in the name, with its dot.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Log => ".log",
            Self::OffsetIndex => ".index",
            Self::TimeIndex => ".timeindex",
            Self::TransactionIndex => ".txnindex",
            Self::Snapshot => ".snapshot",
            Self::Cut => ".cut",
        }
    }
}

/// The name of a file in a partition's folder that begins with an offset:
/// `<20 digits>.<kind>`, with `.deleted` behind it once it only waits for its last reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName {
    /// The offset in the name; never negative.
    pub offset: Offset,
    /// What the file holds.
    pub kind: FileKind,
    /// Whether the file is out of use and waits to be removed.
    pub deleted: bool,
}

impl FileName {
    /// The name of a file in use.
    pub const fn new(offset: Offset, kind: FileKind) -> Self {
        Self { offset, kind, deleted: false }
    }

    /// The same file, out of use.
    #[must_use]
    pub const fn deleted(self) -> Self {
        Self { deleted: true, ..self }
    }

    /// The file's path in `folder`.
    pub fn path(self, folder: &Path) -> PathBuf {
        folder.join(self.to_string())
    }

    /// Reads a name; `None` if it is not one of ours.
    pub fn parse(name: &str) -> Option<Self> {
        let (name, deleted) = match name.strip_suffix(DELETED_SUFFIX) {
            Some(rest) => (rest, true),
            None => (name, false),
        };
        let (digits, suffix) = name.split_at_checked(OFFSET_DIGITS)?;
        let kind = FileKind::ALL.into_iter().find(|kind| kind.suffix() == suffix)?;
        // `parse` alone would take a sign.
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let offset = Offset::new(digits.parse().ok()?);
        Some(Self { offset, kind, deleted })
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deleted = if self.deleted { DELETED_SUFFIX } else { "" };
        write!(f, "{:020}{}{deleted}", self.offset.get(), self.kind.suffix())
    }
}

/// The name of a partition's folder: `<topic id, hyphenated hex>-<partition>`, with `.deleted` behind it
/// once the partition is gone and its files wait to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderName {
    /// Whose folder it is.
    pub partition: TopicPartition,
    /// Whether the partition was deleted.
    pub deleted: bool,
}

impl FolderName {
    /// Length of a hyphenated UUID.
    const ID_CHARS: usize = 36;

    /// The name of a living partition's folder.
    pub const fn new(partition: TopicPartition) -> Self {
        Self { partition, deleted: false }
    }

    /// The name of a deleted partition's folder.
    pub const fn deleted(partition: TopicPartition) -> Self {
        Self { partition, deleted: true }
    }

    /// Reads a name; `None` if it is not one of ours.
    pub fn parse(name: &str) -> Option<Self> {
        let (living, deleted) = match name.strip_suffix(DELETED_SUFFIX) {
            Some(rest) => (rest, true),
            None => (name, false),
        };
        let (id, rest) = living.split_at_checked(Self::ID_CHARS)?;
        let topic: TopicId = id.parse().ok()?;
        let partition: i32 = rest.strip_prefix('-')?.parse().ok()?;
        let parsed =
            Self { partition: TopicPartition::new(topic, PartitionIndex::new(partition)), deleted };
        // Upper case, leading zeros and signs would make two names for one partition.
        (partition >= 0 && parsed.to_string() == name).then_some(parsed)
    }
}

impl fmt::Display for FolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.partition, if self.deleted { DELETED_SUFFIX } else { "" })
    }
}

/// What `partition.metadata` says. Kafka's two lines, and a third that Kafka does not read: the topic's
/// name, for the human who finds the folder.
///
/// ```text
/// version: 0
/// topic_id: AAECAwQFBgcICQoLDA0ODw
/// topic: events
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// The topic's id.
    pub topic: TopicId,
    /// The topic's name when the folder was made; empty if the file does not say. Nothing depends on it.
    pub name: String,
}

/// Why a `partition.metadata` file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartitionMetadataError {
    /// The text is not UTF-8.
    #[error("{METADATA_FILE}: not a text in UTF-8")]
    NotText,
    /// A line is missing or does not begin with its key.
    #[error("{METADATA_FILE}: line {line} should be `{key}: …`, it is {found:?}")]
    Line {
        /// The line's number, from 1.
        line: usize,
        /// The key that it should begin with.
        key: &'static str,
        /// The line, empty when it is missing.
        found: String,
    },
    /// A version that this release does not know.
    #[error("{METADATA_FILE}: version {found:?} is unknown, this release reads version 0")]
    Version {
        /// The version in the file.
        found: String,
    },
    /// The topic id is not 16 bytes in base64.
    #[error("{METADATA_FILE}: topic id {found:?} is not 16 bytes in base64url")]
    TopicId {
        /// The text in the file.
        found: String,
    },
}

impl PartitionMetadata {
    /// Bound of the file's size on reading, in bytes.
    pub const BYTES_MAX: usize = 4096;

    /// The file's text.
    pub fn encode(&self) -> String {
        let id = URL_SAFE_NO_PAD.encode(self.topic.as_bytes());
        format!("version: 0\ntopic_id: {id}\ntopic: {}\n", self.name)
    }

    /// Reads the file's bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, PartitionMetadataError> {
        let text = std::str::from_utf8(bytes).map_err(|_| PartitionMetadataError::NotText)?;
        let mut lines = text.lines();
        let version = value(lines.next(), 1, "version")?;
        if version != "0" {
            return Err(PartitionMetadataError::Version { found: version.to_owned() });
        }
        let id = value(lines.next(), 2, "topic_id")?;
        let bytes = URL_SAFE_NO_PAD.decode(id).ok().and_then(|bytes| bytes.try_into().ok());
        let Some(bytes) = bytes else {
            return Err(PartitionMetadataError::TopicId { found: id.to_owned() });
        };
        let name = value(lines.next(), 3, "topic").unwrap_or_default().to_owned();
        Ok(Self { topic: TopicId::from_bytes(bytes), name })
    }
}

/// What follows `key: ` in a line.
fn value<'a>(
    line: Option<&'a str>,
    number: usize,
    key: &'static str,
) -> Result<&'a str, PartitionMetadataError> {
    let found = line.unwrap_or_default();
    let rest = found.strip_prefix(key).and_then(|rest| rest.strip_prefix(": "));
    rest.ok_or_else(|| PartitionMetadataError::Line { line: number, key, found: found.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> TopicPartition {
        let id = "00010203-0405-0607-0809-0a0b0c0d0e0f".parse().unwrap();
        TopicPartition::new(id, PartitionIndex::new(12))
    }

    #[test]
    fn file_names_read_back() {
        for kind in FileKind::ALL {
            for offset in [0, 1, 4711, i64::MAX] {
                let name = FileName::new(Offset::new(offset), kind);
                assert_eq!(FileName::parse(&name.to_string()), Some(name));
                let deleted = name.deleted();
                assert_eq!(FileName::parse(&deleted.to_string()), Some(deleted));
            }
        }
        let name = FileName::new(Offset::new(4711), FileKind::TimeIndex);
        assert_eq!(name.to_string(), "00000000000000004711.timeindex");
        assert_eq!(name.deleted().to_string(), "00000000000000004711.timeindex.deleted");
    }

    #[test]
    fn strange_file_names_are_not_ours() {
        for strange in [
            "",
            "1.log",
            "00000000000000000001",
            "0000000000000000000١.log",
            "+0000000000000000001.log",
            "-0000000000000000001.log",
            "99999999999999999999.log",
            "00000000000000000001.log.deleted.deleted",
            "00000000000000000001.logs",
            "leader-epoch-checkpoint",
        ] {
            assert_eq!(FileName::parse(strange), None, "{strange}");
        }
    }

    #[test]
    fn folder_names_read_back() {
        for name in [FolderName::new(partition()), FolderName::deleted(partition())] {
            assert_eq!(FolderName::parse(&name.to_string()), Some(name));
        }
        assert_eq!(
            FolderName::deleted(partition()).to_string(),
            "00010203-0405-0607-0809-0a0b0c0d0e0f-12.deleted"
        );
    }

    #[test]
    fn two_names_never_mean_one_partition() {
        for strange in [
            "00010203-0405-0607-0809-0A0B0C0D0E0F-12",
            "000102030405060708090a0b0c0d0e0f-12",
            "00010203-0405-0607-0809-0a0b0c0d0e0f-012",
            "00010203-0405-0607-0809-0a0b0c0d0e0f-+12",
            "00010203-0405-0607-0809-0a0b0c0d0e0f--12",
            "00010203-0405-0607-0809-0a0b0c0d0e0f",
            "events-0",
        ] {
            assert_eq!(FolderName::parse(strange), None, "{strange}");
        }
    }

    #[test]
    fn partition_metadata_reads_back() {
        let metadata = PartitionMetadata { topic: partition().topic, name: "events".to_owned() };
        let text = metadata.encode();
        assert_eq!(text, "version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw\ntopic: events\n");
        assert_eq!(PartitionMetadata::decode(text.as_bytes()), Ok(metadata));
    }

    #[test]
    fn partition_metadata_of_kafka_has_two_lines() {
        let text = b"version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw\n";
        let metadata = PartitionMetadata::decode(text).unwrap();
        assert_eq!(metadata, PartitionMetadata { topic: partition().topic, name: String::new() });
    }

    #[test]
    fn damaged_partition_metadata_says_which_line() {
        let error = |text: &[u8]| PartitionMetadata::decode(text).unwrap_err().to_string();
        assert!(error(b"").contains("line 1 should be `version: "));
        assert!(error(b"version: 0\n").contains("line 2 should be `topic_id: "));
        assert!(error(b"version: 9\n").contains("\"9\" is unknown"));
        assert!(error(b"version: 0\ntopic_id: AAEC\n").contains("\"AAEC\" is not 16 bytes"));
        assert!(error(b"\xff").contains("UTF-8"));
    }
}
