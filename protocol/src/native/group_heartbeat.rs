//! A member's sign of life: it says what it wants and owns, and learns what it shall own.

use super::wire::message;
use super::{Api, Request};
use crate::{MemberEpoch, PartitionIndex, TopicId};

message! {
    /// Joins, keeps up or leaves a group.
    pub struct GroupHeartbeatRequest {
        /// The group.
        pub group: String,
        /// The member: a random UUID as text, chosen by the client, one for each life of a member.
        pub member: String,
        /// The name of a static member, which keeps its partitions over a restart.
        pub instance: Option<String>,
        /// The member's epoch as it was last answered; 0 joins, -1 leaves, -2 leaves for a while.
        pub epoch: MemberEpoch,
        /// Without a heartbeat for so long the member is taken for dead; 0 takes the broker's default.
        pub session_timeout_ms: u32,
        /// How long the member may take to let go of a partition; 0 takes the broker's default.
        pub drain_timeout_ms: u32,
        /// What it wants to read; none when nothing has changed.
        pub subscription: Option<GroupSubscription>,
        /// Who assigns, `sticky` or `range`; none leaves it to the other members, then to the broker.
        pub assignor: Option<String>,
        /// What it reads now; none when nothing has changed.
        pub owned: Option<Vec<GroupPartitions>>,
    }

    /// The topics that a member wants to read.
    pub struct GroupSubscription {
        /// Topics by name; they need not exist yet.
        pub names: Vec<String>,
        /// Besides, each topic whose whole name this regular expression matches.
        pub pattern: Option<String>,
    }

    /// Partitions of one topic.
    pub struct GroupPartitions {
        /// The topic.
        pub topic: TopicId,
        /// Its partitions.
        pub partitions: Vec<PartitionIndex>,
    }

    /// What the member shall do.
    pub struct GroupHeartbeatResponse {
        /// The member's epoch from now on; as it was sent when the member left.
        pub epoch: MemberEpoch,
        /// When to send the next heartbeat, in milliseconds.
        pub heartbeat_interval_ms: u32,
        /// All that the member shall own now; none when nothing has changed.
        pub target: Option<Vec<AssignedTopic>>,
    }

    /// Partitions of one topic, with its name.
    pub struct AssignedTopic {
        /// The topic.
        pub topic: TopicId,
        /// Its name.
        pub name: String,
        /// Its partitions.
        pub partitions: Vec<PartitionIndex>,
    }
}

impl Request for GroupHeartbeatRequest {
    const API: Api = Api::GroupHeartbeat;
    type Response = GroupHeartbeatResponse;
}
