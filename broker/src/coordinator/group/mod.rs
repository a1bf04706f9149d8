//! One shard's groups, as plain values: told what happened, with the time, they say what is to be written and answered.
//!
//! Never reads a clock, sends or stores anything.

mod error;
mod request;

pub use error::GroupError;
pub use request::{
    AssignedTopic, ClientInfo, Commit, CommitItem, CommittedOffset, DeleteOffsets, DescribedGroup,
    DescribedMember, DescribedOffset, Each, FetchOffsets, GroupKind, GroupState, Heartbeat,
    HeartbeatAnswer, ListedGroup, Subscription,
};
