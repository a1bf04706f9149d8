//! What a group's coordinator is asked, and what it answers, in the broker's own terms.

use thalweg_protocol::{
    GroupEpoch, LeaderEpoch, MemberEpoch, Offset, PartitionIndex, TimestampMs, TopicId,
    TopicPartition,
};

use super::error::GroupError;

/// How the members of a group agree on who reads what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// The broker assigns; also groups that only commit offsets.
    Consumer,
    /// Members assign among themselves; its place is kept, nothing makes one yet.
    Classic,
}

/// What a group is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupState {
    /// It has no member.
    Empty,
    /// Something has changed, and its target is about to be made.
    Assigning,
    /// Partitions are on their way from owner to owner.
    Reconciling,
    /// Every member owns what it shall own.
    Stable,
}

/// The topics that a member wants to read.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Subscription {
    /// Topics by name; they need not exist yet.
    pub names: Vec<String>,
    /// Besides, each topic whose whole name this regular expression matches.
    pub pattern: Option<String>,
}

/// Who speaks for a member: shown in descriptions, never decided by.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ClientInfo {
    /// The client's name, from its handshake.
    pub name: String,
    /// Its address.
    pub host: String,
}

/// A member's sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The group.
    pub group: String,
    /// The member, named by its client.
    pub member: String,
    /// The name of a static member.
    pub instance: Option<String>,
    /// As it was last answered; [`MemberEpoch::JOIN`], `LEAVE` and `LEAVE_FOR_A_WHILE` say what they say.
    pub epoch: MemberEpoch,
    /// 0 takes the broker's default.
    pub session_timeout_ms: u32,
    /// 0 takes the broker's default.
    pub drain_timeout_ms: u32,
    /// None when nothing has changed.
    pub subscription: Option<Subscription>,
    /// None leaves it to the other members, then to the broker.
    pub assignor: Option<String>,
    /// What the member reads now; none when nothing has changed since it last said so. It follows each answer
    /// that bears a target.
    pub owned: Option<Vec<TopicPartition>>,
    /// Who speaks.
    pub client: ClientInfo,
}

/// What the member shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatAnswer {
    /// The member's epoch from now on; as it was sent when the member left.
    pub epoch: MemberEpoch,
    /// When to send the next heartbeat.
    pub heartbeat_interval_ms: u32,
    /// All that the member shall own now; none when nothing has changed. Repeated until `owned` says the same.
    pub target: Option<Vec<AssignedTopic>>,
}

/// Partitions of one topic, with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignedTopic {
    /// The topic.
    pub topic: TopicId,
    /// Its name; empty when it is there no more.
    pub name: String,
    /// Its partitions, rising.
    pub partitions: Vec<PartitionIndex>,
}

/// Offsets to remember; each partition succeeds or fails on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The group.
    pub group: String,
    /// The member; empty without a membership.
    pub member: String,
    /// The member's epoch; [`MemberEpoch::NONE`] without a membership.
    pub epoch: MemberEpoch,
    /// What to remember.
    pub items: Vec<CommitItem>,
}

/// One offset to remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitItem {
    /// The partition.
    pub partition: TopicPartition,
    /// The offset of the next record to read.
    pub offset: Offset,
    /// The leader epoch of the last record that is done, or -1.
    pub leader_epoch: LeaderEpoch,
    /// A note of the application's own.
    pub metadata: String,
}

/// Something for each partition of a request, in its order.
pub type Each<T> = Vec<(TopicPartition, Result<T, GroupError>)>;

/// Asks how far a group has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchOffsets {
    /// The group.
    pub group: String,
    /// The member; empty without a membership.
    pub member: String,
    /// The member's epoch; [`MemberEpoch::NONE`] without a membership.
    pub epoch: MemberEpoch,
    /// None asks for all that have an offset.
    pub partitions: Option<Vec<TopicPartition>>,
}

/// How far a group has read in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The offset of the next record to read, or -1 when none was committed.
    pub offset: Offset,
    /// The leader epoch of the last record that is done, or -1.
    pub leader_epoch: LeaderEpoch,
    /// The note that was committed with it.
    pub metadata: String,
    /// When it was committed, by the broker's clock, or -1.
    pub commit_time: TimestampMs,
}

impl CommittedOffset {
    /// Nothing was committed.
    pub const NONE: Self = Self {
        offset: Offset::NONE,
        leader_epoch: LeaderEpoch::UNCHECKED,
        metadata: String::new(),
        commit_time: TimestampMs::NONE,
    };
}

/// Forgets offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteOffsets {
    /// The group.
    pub group: String,
    /// The partitions.
    pub partitions: Vec<TopicPartition>,
}

/// One group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// Its name.
    pub group: String,
    /// Its kind.
    pub kind: GroupKind,
    /// What it is at.
    pub state: GroupState,
    /// How many members it has.
    pub members: usize,
}

/// All about one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGroup {
    /// Its name.
    pub group: String,
    /// Its kind.
    pub kind: GroupKind,
    /// What it is at.
    pub state: GroupState,
    /// Raised when members, subscriptions or topics change.
    pub epoch: GroupEpoch,
    /// Who assigns.
    pub assignor: &'static str,
    /// Its members, by id.
    pub members: Vec<DescribedMember>,
    /// The partitions with an offset or an owner, or that a member shall own, by topic id and number.
    pub offsets: Vec<DescribedOffset>,
    /// How often its partitions were shared out anew, since this coordinator took the group over.
    pub rebalances: u64,
    /// How long partitions were without an owner while members were there, all together, over the same time.
    pub stall_ms: u64,
    /// Offsets committed during the last minute.
    pub commits_per_minute: u64,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub member: String,
    /// Its name, when it is a static member.
    pub instance: Option<String>,
    /// Who speaks for it.
    pub client: ClientInfo,
    /// The group's epoch when it was last told to own something else.
    pub epoch: MemberEpoch,
    /// Without a heartbeat for so long it is taken for dead.
    pub session_timeout_ms: u32,
    /// How long ago its last heartbeat was.
    pub heartbeat_age_ms: u64,
    /// What it wants to read.
    pub subscription: Subscription,
    /// What it owns, what it has still to let go of included.
    pub owned: Vec<AssignedTopic>,
    /// What it shall own when all have let go.
    pub target: Vec<AssignedTopic>,
}

/// How far a group has read in one partition, and how far that is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedOffset {
    /// The partition.
    pub partition: TopicPartition,
    /// The topic's name; empty when it is there no more.
    pub topic: String,
    /// What was committed.
    pub committed: CommittedOffset,
    /// The first offset that can be read, or -1 when this broker does not know.
    pub log_start: Offset,
    /// Readers see what is below, or -1 when this broker does not know.
    pub high_watermark: Offset,
    /// How many records are still to be read, or -1.
    pub lag_records: i64,
    /// How old the next record to be read is: 0 at the end, -1 when it is not known.
    pub lag_ms: i64,
    /// The member that owns the partition; empty when none does.
    pub owner: String,
}

/// What a shard is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A member's sign of life.
    Heartbeat(Heartbeat),
    /// Offsets to remember.
    Commit(Commit),
    /// How far a group has read.
    FetchOffsets(FetchOffsets),
    /// All about a group.
    Describe(String),
    /// Forget a group.
    Delete(String),
    /// Forget offsets.
    DeleteOffsets(DeleteOffsets),
    /// The shard's groups in one of these states; empty asks for all.
    List(Vec<GroupState>),
}

impl Request {
    /// The group that it is about; empty when it is about all of a shard.
    pub fn group(&self) -> &str {
        match self {
            Self::Heartbeat(beat) => &beat.group,
            Self::Commit(commit) => &commit.group,
            Self::FetchOffsets(fetch) => &fetch.group,
            Self::Describe(group) | Self::Delete(group) => group,
            Self::DeleteOffsets(delete) => &delete.group,
            Self::List(_) => "",
        }
    }
}

/// What a shard answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a heartbeat.
    Heartbeat(HeartbeatAnswer),
    /// To a commit, and to deleting offsets.
    Done(Each<()>),
    /// To fetching offsets.
    Offsets(Each<CommittedOffset>),
    /// To describing.
    Described(Box<DescribedGroup>),
    /// The group is gone.
    Deleted,
    /// To listing.
    Listed(Vec<ListedGroup>),
}
