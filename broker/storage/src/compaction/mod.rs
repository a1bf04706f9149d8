//! Log compaction: of each key the last record stays, older ones go, and offsets stay what they were.
//!
//! ```text
//!     before:  a1 b1 a2 | c1 a3 b2 | a4 ...       segments 0, 3 and the active one, 6
//!     after:   (0..3) c1 a3 b2     | a4 ...       segment 0: one hole, then what is left of both
//! ```
//!
//! Owns the choice of what is compacted ([`plan`]), the map from keys to their last offsets within a budget of
//! memory ([`key_map`], [`keys`]), the new data file ([`rewrite`], [`output`]) and its way into the place of the old ones
//! ([`swap`]). [`run`] puts them together. Never touches the active segment, nor anything that is not both
//! synced and committed; never reads a clock, never waits: who calls says how fast it goes.
//!
//! Invariants:
//! - offsets have no gap: where a batch has lost all its records stands a *hole*, a batch without records that
//!   covers their offsets, never across two leader epochs;
//! - a record that stays keeps its offset, time, key, value and headers; a record without a key stays;
//! - a tombstone goes only in a run that begins after the horizon which its batch carries, and that was set
//!   by a run that took away everything older of its key;
//! - the batches that the producers' state is made of stay, if need be without records;
//! - at every moment, a loss of power included, the folder holds the old segments or the new one.

mod checkpoint;
mod error;
mod key_map;
mod keys;
mod leftovers;
mod output;
mod plan;
mod producers;
mod rewrite;
mod run;
mod source;
mod swap;

pub(crate) use checkpoint::{forget_cleaned_end, load_cleaned_end};
pub use error::CompactionError;
pub(crate) use leftovers::settle_leftovers;
pub use plan::{CompactionOptions, CompactionPlan};
pub use run::{Compacted, CompactionRequest, WithLog, compact};
