//! Who shall read what: an assignor shares the partitions out among the members that want them.
//!
//! Invariants: each partition of a topic that somebody wants goes to exactly one of those who want it; the same
//! input has the same output; what was shared out already, with nothing changed, stays as it is.

mod choice;
mod range;
mod sticky;

pub use choice::{ASSIGNORS, Assignor, Candidate, assignor, default_assignor};
pub use range::Range;
pub use sticky::Sticky;
