//! Consumer groups and their committed offsets.
//!
//! Owns the groups whose shard, a partition of the internal topic `__consumer_offsets`, is led here. What a group
//! is, is a function of the records in its shard: the pure [`Groups`] is asked, makes records, and one `replay`
//! applies them, live and at load alike. A worker for each shard carries it out: appends the records of a round,
//! and answers when they are committed.
//!
//! Invariants: a partition has one owner at a time in a group; an answer is sent only when all that it is built on is
//! committed; while a shard is loading the answer is "loading", never "no offset".

mod group;
mod service;

pub use group::{
    AssignedTopic, ClientInfo, Commit, CommitItem, CommittedOffset, DeleteOffsets, DescribedGroup,
    DescribedMember, DescribedOffset, Each, FetchOffsets, GroupError, GroupKind, GroupState,
    Heartbeat, HeartbeatAnswer, ListedGroup, Subscription,
};
pub use service::{Answer, Coordinator, CoordinatorError, Request};
