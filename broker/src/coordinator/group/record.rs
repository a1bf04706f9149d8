//! What a shard writes down: keyed records, the last one of each key holds; without a value it takes the key away.
//!
//! A key begins with its kind, a value with its version, each a `u16`. `docs/disk-format.md` draws them; golden files
//! pin them. Kinds 1 to 5 are in use; classic groups will share the first two and take kinds of their own.

use std::sync::Arc;

use bytes::Bytes;
use thalweg_protocol::TopicPartition;
use thalweg_protocol::codec::{DecodeError, Reader, Writer};

use super::partitions::Partitions;
use super::request::CommittedOffset;
use super::stored::{
    Current, StoredGroup, StoredMember, put_current, put_group, put_member, put_offset,
    put_partition, put_partitions, take_current, take_group, take_member, take_offset,
    take_partition, take_partitions,
};

/// The name of a group or a member; cheap to clone.
pub type Name = Arc<str>;

/// One record: what it is about, and what holds from now on; nothing when it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// How far a group has read in a partition.
    Offset(Name, TopicPartition, Option<CommittedOffset>),
    /// A group.
    Group(Name, Option<StoredGroup>),
    /// A member: what it is, and what it wants.
    Member(Name, Name, Option<StoredMember>),
    /// What a member shall own when all have let go.
    Target(Name, Name, Option<Partitions>),
    /// What a member owns.
    Current(Name, Name, Option<Current>),
}

/// Why a record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The key or the value is not what its version says.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A later release has written the value.
    #[error("a record of kind {kind} has version {version}; this release knows up to 0")]
    Version {
        /// The key's kind.
        kind: u16,
        /// The value's version.
        version: u16,
    },
}

const OFFSET: u16 = 1;
const GROUP: u16 = 2;
const MEMBER: u16 = 3;
const TARGET: u16 = 4;
const CURRENT: u16 = 5;

/// The version of every value so far.
const VERSION: u16 = 0;

impl Record {
    /// The group that it is about.
    pub const fn group(&self) -> &Name {
        match self {
            Self::Offset(group, ..)
            | Self::Group(group, _)
            | Self::Member(group, ..)
            | Self::Target(group, ..)
            | Self::Current(group, ..) => group,
        }
    }

    /// Whether it takes its key away.
    pub const fn is_tombstone(&self) -> bool {
        matches!(
            self,
            Self::Offset(_, _, None)
                | Self::Group(_, None)
                | Self::Member(_, _, None)
                | Self::Target(_, _, None)
                | Self::Current(_, _, None)
        )
    }

    /// The record's key.
    pub fn key(&self) -> Bytes {
        let mut writer = Writer::with_capacity(64);
        match self {
            Self::Offset(group, at, _) => {
                writer.u16(OFFSET);
                writer.text(group);
                put_partition(&mut writer, *at);
            }
            Self::Group(group, _) => {
                writer.u16(GROUP);
                writer.text(group);
            }
            Self::Member(group, member, _) => put_member_key(&mut writer, MEMBER, group, member),
            Self::Target(group, member, _) => put_member_key(&mut writer, TARGET, group, member),
            Self::Current(group, member, _) => put_member_key(&mut writer, CURRENT, group, member),
        }
        writer.into_bytes()
    }

    /// The record's value; none takes the key away.
    pub fn value(&self) -> Option<Bytes> {
        let mut writer = Writer::with_capacity(64);
        writer.u16(VERSION);
        match self {
            Self::Offset(_, _, value) => put_offset(&mut writer, value.as_ref()?),
            Self::Group(_, value) => put_group(&mut writer, value.as_ref()?),
            Self::Member(_, _, value) => put_member(&mut writer, value.as_ref()?),
            Self::Target(_, _, value) => put_partitions(&mut writer, value.as_ref()?),
            Self::Current(_, _, value) => put_current(&mut writer, value.as_ref()?),
        }
        Some(writer.into_bytes())
    }

    /// Reads a record; none when its kind is one that this release does not know.
    pub fn decode(key: Bytes, value: Option<Bytes>) -> Result<Option<Self>, RecordError> {
        let mut key = Reader::new(key);
        let kind = key.u16("key.kind")?;
        if !(OFFSET..=CURRENT).contains(&kind) {
            return Ok(None);
        }
        let group: Name = key.text("key.group")?.into();
        let mut value = value.map(|value| open(kind, value)).transpose()?;
        let record = match kind {
            OFFSET => {
                Self::Offset(group, take_partition(&mut key)?, take(&mut value, take_offset)?)
            }
            GROUP => Self::Group(group, take(&mut value, take_group)?),
            _ => {
                let member: Name = key.text("key.member")?.into();
                match kind {
                    MEMBER => Self::Member(group, member, take(&mut value, take_member)?),
                    TARGET => Self::Target(group, member, take(&mut value, take_partitions)?),
                    _ => Self::Current(group, member, take(&mut value, take_current)?),
                }
            }
        };
        key.finish("key")?;
        if let Some(value) = value {
            value.finish("value")?;
        }
        Ok(Some(record))
    }
}

fn open(kind: u16, value: Bytes) -> Result<Reader, RecordError> {
    let mut value = Reader::new(value);
    match value.u16("value.version")? {
        VERSION => Ok(value),
        version => Err(RecordError::Version { kind, version }),
    }
}

fn take<T>(
    value: &mut Option<Reader>,
    read: impl FnOnce(&mut Reader) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    value.as_mut().map(read).transpose()
}

fn put_member_key(writer: &mut Writer, kind: u16, group: &str, member: &str) {
    writer.u16(kind);
    writer.text(group);
    writer.text(member);
}
