//! What records hold of groups, members and offsets, as bytes: `docs/disk-format.md` draws them.

use thalweg_protocol::codec::{DecodeError, Reader, Writer};
use thalweg_protocol::{
    GroupEpoch, LeaderEpoch, MemberEpoch, Offset, PartitionIndex, TimestampMs, TopicId,
    TopicPartition,
};

use super::partitions::Partitions;
use super::request::{ClientInfo, CommittedOffset, GroupKind, Subscription};

/// What is kept of a group as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGroup {
    /// Its kind.
    pub kind: GroupKind,
    /// Raised when members, subscriptions or topics change.
    pub epoch: GroupEpoch,
    /// Who assigns.
    pub assignor: String,
    /// Since when it has no member, by the wall clock; none while it has.
    pub empty_since: Option<TimestampMs>,
}

/// What is kept of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMember {
    /// Its name, when it is a static member.
    pub instance: Option<String>,
    /// Who speaks for it.
    pub client: ClientInfo,
    /// Without a heartbeat for so long it is taken for dead.
    pub session_timeout_ms: u32,
    /// How long it may take to let go.
    pub drain_timeout_ms: u32,
    /// Who shall assign, if it says so.
    pub assignor: Option<String>,
    /// What it wants to read.
    pub subscription: Subscription,
}

/// What a member owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// The group's epoch when it was last told to own something else, or
    /// [`MemberEpoch::LEAVE_FOR_A_WHILE`].
    pub epoch: MemberEpoch,
    /// The one before: the member may not have heard of the newer one yet.
    pub previous: MemberEpoch,
    /// What it owns and keeps.
    pub assigned: Partitions,
    /// What it owns and was told to let go of.
    pub revoking: Partitions,
}

fn put_i32(writer: &mut Writer, number: i32) {
    writer.put(&number.to_be_bytes());
}

fn put_i64(writer: &mut Writer, number: i64) {
    writer.put(&number.to_be_bytes());
}

fn take_i32(reader: &mut Reader, what: &'static str) -> Result<i32, DecodeError> {
    reader.array(what).map(i32::from_be_bytes)
}

fn take_i64(reader: &mut Reader, what: &'static str) -> Result<i64, DecodeError> {
    reader.array(what).map(i64::from_be_bytes)
}

fn put_optional(writer: &mut Writer, text: Option<&str>) {
    writer.u8(u8::from(text.is_some()));
    if let Some(text) = text {
        writer.text(text);
    }
}

fn take_optional(reader: &mut Reader, what: &'static str) -> Result<Option<String>, DecodeError> {
    match reader.u8(what)? {
        0 => Ok(None),
        1 => reader.text(what).map(Some),
        found => Err(DecodeError::Value { what, found: i64::from(found) }),
    }
}

pub(super) fn put_partition(writer: &mut Writer, at: TopicPartition) {
    writer.put(at.topic.as_bytes());
    put_i32(writer, at.partition.get());
}

pub(super) fn take_partition(reader: &mut Reader) -> Result<TopicPartition, DecodeError> {
    let topic = TopicId::from_bytes(reader.array("topic")?);
    Ok(TopicPartition::new(topic, PartitionIndex::new(take_i32(reader, "partition")?)))
}

pub(super) fn put_offset(writer: &mut Writer, offset: &CommittedOffset) {
    put_i64(writer, offset.offset.get());
    put_i32(writer, offset.leader_epoch.get());
    writer.text(&offset.metadata);
    put_i64(writer, offset.commit_time.get());
}

pub(super) fn take_offset(reader: &mut Reader) -> Result<CommittedOffset, DecodeError> {
    Ok(CommittedOffset {
        offset: Offset::new(take_i64(reader, "offset.offset")?),
        leader_epoch: LeaderEpoch::new(take_i32(reader, "offset.leader_epoch")?),
        metadata: reader.text("offset.metadata")?,
        commit_time: TimestampMs::new(take_i64(reader, "offset.commit_time")?),
    })
}

pub(super) fn put_group(writer: &mut Writer, group: &StoredGroup) {
    writer.u8(match group.kind {
        GroupKind::Consumer => 0,
        GroupKind::Classic => 1,
    });
    put_i32(writer, group.epoch.get());
    writer.text(&group.assignor);
    put_i64(writer, group.empty_since.map_or(-1, TimestampMs::get));
}

pub(super) fn take_group(reader: &mut Reader) -> Result<StoredGroup, DecodeError> {
    let kind = match reader.u8("group.kind")? {
        0 => GroupKind::Consumer,
        1 => GroupKind::Classic,
        found => return Err(DecodeError::Value { what: "group.kind", found: i64::from(found) }),
    };
    Ok(StoredGroup {
        kind,
        epoch: GroupEpoch::new(take_i32(reader, "group.epoch")?),
        assignor: reader.text("group.assignor")?,
        empty_since: match take_i64(reader, "group.empty_since")? {
            -1 => None,
            ms => Some(TimestampMs::new(ms)),
        },
    })
}

pub(super) fn put_member(writer: &mut Writer, member: &StoredMember) {
    put_optional(writer, member.instance.as_deref());
    writer.text(&member.client.name);
    writer.text(&member.client.host);
    writer.u32(member.session_timeout_ms);
    writer.u32(member.drain_timeout_ms);
    put_optional(writer, member.assignor.as_deref());
    writer.count(member.subscription.names.len());
    for name in &member.subscription.names {
        writer.text(name);
    }
    put_optional(writer, member.subscription.pattern.as_deref());
}

pub(super) fn take_member(reader: &mut Reader) -> Result<StoredMember, DecodeError> {
    Ok(StoredMember {
        instance: take_optional(reader, "member.instance")?,
        client: ClientInfo {
            name: reader.text("member.client")?,
            host: reader.text("member.host")?,
        },
        session_timeout_ms: reader.u32("member.session_timeout_ms")?,
        drain_timeout_ms: reader.u32("member.drain_timeout_ms")?,
        assignor: take_optional(reader, "member.assignor")?,
        subscription: Subscription {
            names: {
                let count = reader.count(2, "member.names")?;
                (0..count).map(|_| reader.text("member.names")).collect::<Result<_, _>>()?
            },
            pattern: take_optional(reader, "member.pattern")?,
        },
    })
}

pub(super) fn put_partitions(writer: &mut Writer, partitions: &Partitions) {
    writer.count(partitions.by_topic().count());
    for (topic, partitions) in partitions.by_topic() {
        writer.put(topic.as_bytes());
        writer.count(partitions.len());
        for partition in partitions {
            put_i32(writer, partition.get());
        }
    }
}

pub(super) fn take_partitions(reader: &mut Reader) -> Result<Partitions, DecodeError> {
    let mut partitions = Vec::new();
    for _ in 0..reader.count(20, "topics")? {
        let topic = TopicId::from_bytes(reader.array("topic")?);
        for _ in 0..reader.count(4, "partitions")? {
            let partition = PartitionIndex::new(take_i32(reader, "partition")?);
            partitions.push(TopicPartition::new(topic, partition));
        }
    }
    Ok(partitions.into_iter().collect())
}

pub(super) fn put_current(writer: &mut Writer, current: &Current) {
    put_i32(writer, current.epoch.get());
    put_i32(writer, current.previous.get());
    put_partitions(writer, &current.assigned);
    put_partitions(writer, &current.revoking);
}

pub(super) fn take_current(reader: &mut Reader) -> Result<Current, DecodeError> {
    Ok(Current {
        epoch: MemberEpoch::new(take_i32(reader, "current.epoch")?),
        previous: MemberEpoch::new(take_i32(reader, "current.previous")?),
        assigned: take_partitions(reader)?,
        revoking: take_partitions(reader)?,
    })
}
