//! From the metadata image to the replicas that this broker holds: what to create, open, lead and delete.
//!
//! Owns the order in which a replica comes to be: its folder is made and synced, its directory is committed to
//! the metadata, and only then may it be appended to. Fetching from other leaders has its place here and comes
//! with the second broker.

mod assignment;

pub(crate) use assignment::{Assignment, AssignmentOptions};
