//! Publishing: records gather into batches, batches go to the leaders in order, receipts tell the outcome.
//!
//! Owns batching, the bound on memory, sequences and deliveries. Never reads records back, never decides who
//! leads.
//!
//! Invariants: per partition, batches are stored in the order in which their records came, each once; every
//! receipt is answered by the delivery deadline.

mod accumulator;
mod batch;
mod handle;
mod memory;
mod options;
mod partitioner;
mod queue;
mod receipt;
mod sender;
mod sequence;
mod stats;
mod topics;

pub use handle::Producer;
pub use options::ProducerBuilder;
pub use receipt::{Delivered, Receipt, Receipts};
pub use stats::ProducerStats;
