//! All about groups: members, who owns what, how far behind they are.

use super::wire::message;
use super::{Api, ApiError, AssignedTopic, GroupKind, GroupState, GroupSubscription, Request};
use crate::{GroupEpoch, LeaderEpoch, MemberEpoch, Offset, PartitionIndex, TimestampMs, TopicId};

message! {
    /// Asks about groups.
    pub struct DescribeGroupsRequest {
        /// The groups.
        pub groups: Vec<String>,
    }

    /// The groups, in the order of the request.
    pub struct DescribeGroupsResponse {
        /// The groups.
        pub groups: Vec<DescribedGroup>,
    }

    /// One group.
    pub struct DescribedGroup {
        /// Why nothing is known about it.
        pub error: Option<ApiError>,
        /// The group.
        pub group: String,
        /// How its members agree on who reads what: 0 consumer, 1 classic.
        pub kind: GroupKind,
        /// What it is at: 0 empty, 1 assigning, 2 reconciling, 3 stable.
        pub state: GroupState,
        /// Raised when members, subscriptions or topics change.
        pub epoch: GroupEpoch,
        /// Who assigns, such as `sticky`.
        pub assignor: String,
        /// Its members, by id.
        pub members: Vec<DescribedMember>,
        /// Its offsets and what it is assigned, by name of the topic.
        pub offsets: Vec<DescribedTopicOffsets>,
        /// How often its partitions were shared out anew, since this coordinator took the group over.
        pub rebalances: u64,
        /// How long partitions were without an owner while members were there, all together, in
        /// milliseconds, over the same time.
        pub stall_ms: u64,
        /// Offsets committed during the last minute.
        pub commits_per_minute: u64,
    }

    /// One member.
    pub struct DescribedMember {
        /// Its id.
        pub member: String,
        /// Its name, when it is a static member.
        pub instance: Option<String>,
        /// The client's name, from its handshake.
        pub client_name: String,
        /// The client's address.
        pub host: String,
        /// The group's epoch when it was last told to own something else.
        pub epoch: MemberEpoch,
        /// Without a heartbeat for so long it is taken for dead, in milliseconds.
        pub session_timeout_ms: u32,
        /// How long ago its last heartbeat was, in milliseconds.
        pub heartbeat_age_ms: u64,
        /// What it wants to read.
        pub subscription: GroupSubscription,
        /// What it owns.
        pub owned: Vec<AssignedTopic>,
        /// What it shall own when all have let go.
        pub target: Vec<AssignedTopic>,
    }

    /// How far a group has read in one topic.
    pub struct DescribedTopicOffsets {
        /// The topic.
        pub topic: TopicId,
        /// Its name.
        pub name: String,
        /// The partitions with an offset or an owner, or that a member shall own.
        pub partitions: Vec<DescribedOffset>,
    }

    /// How far a group has read in one partition.
    pub struct DescribedOffset {
        /// The partition.
        pub partition: PartitionIndex,
        /// The offset of the next record to read, or -1 when none was committed.
        pub committed: Offset,
        /// The leader epoch of the last record that is done, or -1.
        pub leader_epoch: LeaderEpoch,
        /// The first offset that can be read; -1 when the answering broker does not know.
        pub log_start: Offset,
        /// Readers see what is below; -1 when the answering broker does not know.
        pub high_watermark: Offset,
        /// How many records are still to be read; -1 when it is not known.
        pub lag_records: i64,
        /// How old the next record to be read is, in milliseconds: 0 at the end, -1 when it is not known.
        pub lag_ms: i64,
        /// The member that owns the partition; empty when none does.
        pub owner: String,
        /// The note that was committed with the offset.
        pub metadata: String,
        /// When it was committed, by the broker's clock; -1 when it was not.
        pub commit_time: TimestampMs,
    }
}

impl Request for DescribeGroupsRequest {
    const API: Api = Api::DescribeGroups;
    type Response = DescribeGroupsResponse;
}
