//! Groups: finding a group's coordinator, membership, committed offsets, and what one can know about groups.

mod ask;
mod find;

pub(super) use ask::begin;
pub(crate) use ask::{Request, Response};
pub(crate) use find::CoordinatorAt;
