//! Reading in a group: membership, what it means for the partitions that are read, and commits.
//!
//! Owns the pure [`Member`](member::Member), which is told what the coordinator answered and says what to send, what to
//! begin to read and what to let go; and the task that carries it out, apart from the application's: heartbeats go out
//! however long a record takes. Never hands out a record.
//!
//! Invariants: a partition that the member keeps is never stopped, whatever becomes of the others; one that is taken
//! away is reported as let go only when the application has nothing of it in hand or its time is over; an offset is
//! committed by itself only when all below was handed out and followed by the next call.

mod event;
mod known;
mod member;
mod options;
mod worker;

pub use event::{AssignedPartition, Event, GroupEvent, GroupPartition};
pub(crate) use known::Known;
pub(crate) use options::GroupOptions;
pub(crate) use worker::{Command, CommitItem, GroupHandle, GroupStart};
