//! Consumer groups and their committed offsets.
//!
//! Owns the groups whose shard, a partition of the internal topic `__consumer_offsets`, is led here. What a group
//! is, is a function of the records in its shard: the pure [`Groups`] is asked, makes records, and one `replay`
//! applies them, live and at load alike. A worker for each shard carries it out: appends the records of a round,
//! and answers when they are committed.
//!
//! Invariants: a partition has one owner at a time in a group; an answer is sent only when all that it is built on is
//! committed; while a shard is loading the answer is "loading", never "no offset".

mod attention;
mod batches;
mod error;
mod follow;
mod group;
mod lag;
mod load;
mod restarts;
mod service;
mod serving;
mod shard;
mod share;
mod topics;
mod writer;

pub use error::CoordinatorError;
pub use group::*;
pub use service::{Coordinator, CoordinatorOptions, Listing, shard_of};
