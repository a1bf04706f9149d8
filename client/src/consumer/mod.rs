//! Reading: long polls read ahead of the handle, which checks batches and hands out records.
//!
//! Owns positions, the read-ahead and its bound, and what to do when a log has moved on, was cut or is damaged.
//! Never skips a record unless told to.
//!
//! Invariants: a partition's records come in the order of their offsets, each once; what is read ahead stays
//! below the bound, but for one answer.

mod consumed;
mod fetcher;
mod handle;
mod options;
mod position;
mod start;

pub use consumed::{BatchRecordIter, BatchRecords, ConsumedBatch, ConsumedRecord, Lag};
pub use handle::Consumer;
pub use options::{ConsumerBuilder, OnCorrupt, OnOutOfRange, StartAt};
