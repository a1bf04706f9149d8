//! Record batches: what producers send, what lies on disk, what consumers get, in one format.
//!
//! Owns Kafka's batch format 2 with its five codecs: the header ([`BatchHeader`]), reading
//! ([`BatchReader`], [`Records`]), building ([`BatchBuilder`]; [`BatchRewriter`] for compaction), the leader's checks ([`check_produced`]) and
//! control records ([`control`]). Never does I/O, never copies a record to read it, never allocates for one.
//!
//! Invariants: bytes from outside neither panic nor make it allocate beyond the bound that was handed in;
//! base offset and leader epoch are not under the checksum, so that a batch is checked once and then
//! stored, replicated and sent as it came.

mod attributes;
mod builder;
mod check;
mod codecs;
mod compression;
pub mod control;
mod error;
mod header;
mod reader;
mod record;
mod records;
mod rewriter;
mod scratch;

pub use attributes::{Attributes, TimestampType, UnknownTimestampType};
pub use builder::{BatchBuilder, NO_HEADERS, RecordHeader};
pub use check::{BatchLimits, check_produced};
pub use compression::{Compression, UnknownCompression};
pub use error::{BatchError, RecordFault};
pub use header::{
    BatchHeader, HEADER_BYTES, LENGTH_END, MAGIC, checksum, patched_head, stamped_head,
    verify_checksum,
};
pub use reader::{Batch, BatchReader};
pub use record::{HeaderRef, Headers, HeadersIter, HeadersRef, Record, RecordRef};
pub use records::{OwnedRecords, RecordIter, Records};
pub use rewriter::{BatchRewriter, without_records};
pub use scratch::{INFLATED_BYTES_MAX, RATIO_MAX, Scratch};
