//! Where in a segment an offset or a time is: two sparse tables beside each segment, in Kafka's layouts.
//!
//! Owns the entries, their files and the search in them. An entry is a hint: who uses one looks at the batch
//! that it points to before believing it, and a table that is missing, short or wrong is built again from the
//! segment. A write to an index file that fails is dropped and counted, never reported to an append.
//!
//! Invariant: what is kept in memory continues what the file holds; both rise from entry to entry.

mod file;
mod offset;
mod segment;
mod sparse;
mod time;

pub(crate) use file::{IndexFile, search, search_now};
pub(crate) use offset::OffsetEntry;
pub use sparse::dropped_entries;
pub(crate) use sparse::{Looked, Sparse};
pub(crate) use time::TimeEntry;
