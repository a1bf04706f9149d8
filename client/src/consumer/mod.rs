//! Reading: long polls read ahead of the handle, which checks batches and hands out records.
//!
//! Owns positions, the read-ahead and its bound, and what to do when a log has moved on, was cut or is damaged.
//! Never skips a record unless told to.
//!
//! Invariants: a partition's records come in the order of their offsets, each once; what is read ahead stays
//! below the bound, but for one answer.

mod commit;
mod consumed;
mod fetcher;
mod group;
mod handle;
mod options;
mod position;
mod progress;
mod start;

pub use commit::{CommitError, CommitOffset, Committed, FailedCommit};
pub use consumed::{BatchRecordIter, BatchRecords, ConsumedBatch, ConsumedRecord, Lag};
pub use group::{AssignedPartition, Event, GroupEvent, GroupPartition};
pub use handle::Consumer;
pub(crate) use start::resolve;

pub use options::{ConsumerBuilder, OnCorrupt, OnOutOfRange, StartAt};
