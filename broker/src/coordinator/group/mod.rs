//! One shard's groups, as plain values: told what happened, with the time, they say what is to be written and answered.
//!
//! Never reads a clock, sends or stores anything. What groups are is changed by one `replay` of records, live and at load
//! alike; sessions, drain timers and figures are begun anew with each load.
//!
//! Invariants: a partition has at most one owner in a group, and a new one only after the old one has let go or was
//! taken out; a commit changes something only in its member's current epoch; what is read back after a load is what
//! was.

pub mod assignor;
mod describe;
mod error;
mod figures;
mod member;
mod membership;
mod offsets;
mod options;
mod partitions;
mod pattern;
mod rebalance;
mod record;
mod request;
mod room;
mod round;
mod sessions;
mod state;
mod stored;
mod subscription;

pub use describe::GroupFigures;
pub use error::GroupError;
pub use options::{GroupOptions, Moment, TopicFacts, Topics};
pub use partitions::Partitions;
pub use record::{Name, Record, RecordError};
pub use request::{
    Answer, AssignedTopic, ClientInfo, Commit, CommitItem, CommittedOffset, DeleteOffsets,
    DescribedGroup, DescribedMember, DescribedOffset, Each, FetchOffsets, GroupKind, GroupState,
    Heartbeat, HeartbeatAnswer, ListedGroup, Request, Subscription,
};
pub use room::check_group;
pub use round::Round;
pub use sessions::{Fenced, SESSION_CHECK};
pub use state::Groups;
pub use stored::{Current, StoredGroup, StoredMember};
