//! Why a coordinator refuses, with the code that a client acts on.

use thalweg_protocol::{ErrorCode, GroupEpoch, MemberEpoch, Offset, TopicPartition};

/// Why a request to a group was refused. Nothing of the group has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// The name is empty or too long.
    #[error("a group's name has 1 to {max} bytes, this one has {found}")]
    InvalidGroup {
        /// The name's bytes.
        found: usize,
        /// What is allowed.
        max: usize,
    },
    /// A value is out of its range.
    #[error("group {group:?}: {what}")]
    InvalidRequest {
        /// The group.
        group: String,
        /// What is wrong, with its numbers.
        what: String,
    },
    /// There is no such group.
    #[error("there is no group {group:?}")]
    UnknownGroup {
        /// The group.
        group: String,
    },
    /// The member is not in the group: it never joined, left, or was taken for dead.
    #[error("group {group:?} has no member {member:?}; join it anew")]
    UnknownMember {
        /// The group.
        group: String,
        /// The member.
        member: String,
    },
    /// The member's epoch is one that it cannot have.
    #[error(
        "group {group:?}: member {member:?} came with epoch {found}, it has {current}; join anew"
    )]
    FencedMemberEpoch {
        /// The group.
        group: String,
        /// The member.
        member: String,
        /// The request's epoch.
        found: MemberEpoch,
        /// The member's epoch.
        current: MemberEpoch,
    },
    /// The member's epoch has moved on.
    #[error(
        "group {group:?}: member {member:?} came with epoch {found}, it has {current} by now; \
         heartbeat and try again"
    )]
    StaleMemberEpoch {
        /// The group.
        group: String,
        /// The member.
        member: String,
        /// The request's epoch.
        found: MemberEpoch,
        /// The member's epoch.
        current: MemberEpoch,
    },
    /// The group has members, and this is done only without.
    #[error("group {group:?} has members: {}", members.join(", "))]
    NotEmpty {
        /// The group.
        group: String,
        /// Some of its members, with who speaks for them.
        members: Vec<String>,
    },
    /// The group has as many members as it may.
    #[error("group {group:?} has {members} members, no more may join")]
    GroupFull {
        /// The group.
        group: String,
        /// How many it has.
        members: usize,
    },
    /// All groups together have as many members as they may.
    #[error(
        "group {group:?}: the groups of this coordinator have {members} members, no more may join"
    )]
    TooManyMembers {
        /// The group.
        group: String,
        /// How many there are, in all groups.
        members: usize,
    },
    /// There are as many groups as there may be.
    #[error("group {group:?} cannot be made: this coordinator keeps {groups} groups already")]
    TooManyGroups {
        /// The group.
        group: String,
        /// How many there are.
        groups: usize,
    },
    /// The note with an offset is too long.
    #[error("{name}: the metadata has {bytes} bytes, at most {max} are kept")]
    MetadataTooLarge {
        /// The partition, by its topic's name.
        name: String,
        /// Its bytes.
        bytes: usize,
        /// What is allowed.
        max: usize,
    },
    /// The pattern is no regular expression, or too large a one.
    #[error("pattern {pattern:?}: {reason}")]
    InvalidPattern {
        /// The pattern, cut to what one can read.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
    /// Another member with this instance id is there.
    #[error(
        "group {group:?}: instance {instance:?} is member {member:?}, which is alive; \
         it leaves the group {timeout_ms} ms after its last heartbeat"
    )]
    InstanceInUse {
        /// The group.
        group: String,
        /// The instance.
        instance: String,
        /// Who has it.
        member: String,
        /// Its session timeout.
        timeout_ms: u32,
    },
    /// The offset lies beyond the end of the log.
    #[error("{name}: offset {offset} is beyond the end of the log, {log_end}")]
    OffsetBeyondEnd {
        /// The partition, by its topic's name.
        name: String,
        /// The offset.
        offset: Offset,
        /// The log's end.
        log_end: Offset,
    },
    /// The member does not own the partition.
    #[error(
        "{name}: member {member:?} does not own it in epoch {epoch}; the group is at {group_epoch}"
    )]
    NotOwned {
        /// The partition, by its topic's name.
        name: String,
        /// The member.
        member: String,
        /// Its epoch.
        epoch: MemberEpoch,
        /// The group's epoch.
        group_epoch: GroupEpoch,
    },
    /// No topic has this id.
    #[error("{at}: there is no such topic")]
    UnknownTopic {
        /// The partition.
        at: TopicPartition,
    },
    /// The topic has fewer partitions.
    #[error("{name}: the topic has no such partition")]
    UnknownPartition {
        /// The partition, by its topic's name.
        name: String,
    },
    /// A live group reads the topic.
    #[error("group {group:?} has members and is subscribed to topic {topic}; stop them first")]
    Subscribed {
        /// The group.
        group: String,
        /// The topic's name.
        topic: String,
    },
    /// The group is of the other kind.
    #[error("group {group:?} is a classic group")]
    Kind {
        /// The group.
        group: String,
    },
}

impl GroupError {
    /// What a client acts on.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidGroup { .. } => ErrorCode::InvalidGroup,
            Self::InvalidRequest { .. } => ErrorCode::InvalidRequest,
            Self::UnknownGroup { .. } => ErrorCode::UnknownGroup,
            Self::UnknownMember { .. } => ErrorCode::UnknownMember,
            Self::FencedMemberEpoch { .. } => ErrorCode::FencedMemberEpoch,
            Self::StaleMemberEpoch { .. } => ErrorCode::StaleMemberEpoch,
            Self::NotEmpty { .. } | Self::Subscribed { .. } => ErrorCode::GroupNotEmpty,
            Self::GroupFull { .. } | Self::TooManyMembers { .. } => ErrorCode::GroupFull,
            Self::TooManyGroups { .. } => ErrorCode::TooManyGroups,
            Self::MetadataTooLarge { .. } => ErrorCode::OffsetMetadataTooLarge,
            Self::InvalidPattern { .. } => ErrorCode::InvalidPattern,
            Self::InstanceInUse { .. } => ErrorCode::InstanceInUse,
            Self::OffsetBeyondEnd { .. } => ErrorCode::OffsetBeyondEnd,
            Self::NotOwned { .. } => ErrorCode::NotOwned,
            Self::UnknownTopic { .. } => ErrorCode::UnknownTopic,
            Self::UnknownPartition { .. } => ErrorCode::UnknownPartition,
            Self::Kind { .. } => ErrorCode::GroupKind,
        }
    }
}
