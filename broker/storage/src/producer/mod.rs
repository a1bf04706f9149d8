//! What a partition remembers of its idempotent producers, so that a retry is never stored twice.
//!
//! Owns the last five batches of each producer, the decision whether a batch is new, and the layout of the
//! `.snapshot` file (Kafka's). Never reads a clock or a file.
//! Invariants: within one producer epoch, sequences have no gap and no repetition; a snapshot read back
//! equals the table that it was taken from.

mod batch;
mod snapshot;
mod table;

pub use batch::{ProducerBatch, RememberedBatch};
pub use snapshot::SnapshotError;
pub use table::{
    AfterTruncation, Duplicate, PRODUCER_KEPT_MS, ProducerLimits, ProducerTable, SequenceCheck,
    SequenceError,
};

#[cfg(test)]
mod tests;
