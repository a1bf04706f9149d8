//! The settings of one log, as its topic gives them; they can be exchanged while the log is in use.

use thalweg_protocol::batch::TimestampType;

use crate::compaction::CompactionOptions;

/// What a log holds itself to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// A segment is closed before it would grow past this many bytes; at most 2^31-1.
    pub segment_bytes: u32,
    /// A segment is closed when its first batch is older than this.
    pub segment_ms: i64,
    /// A segment is closed when its offset index would grow past this many bytes.
    pub segment_index_bytes: u32,
    /// One index entry for each this many bytes of log.
    pub index_interval_bytes: u32,
    /// The largest batch, in bytes; never above `segment_bytes`.
    pub batch_bytes_max: u32,
    /// Segments whose newest record is older are deleted; `None` keeps them for ever.
    pub retention_ms: Option<i64>,
    /// Oldest segments are deleted while the log is larger; `None` sets no limit.
    pub retention_bytes: Option<u64>,
    /// How the log is compacted; `None` when it is not.
    pub compaction: Option<CompactionOptions>,
    /// Whose clock the records' timestamps come from.
    pub timestamp_type: TimestampType,
    /// Whether blocks are reserved ahead of the writes.
    pub preallocate: bool,
    /// Idempotent producers that are remembered at most.
    pub producers_max: usize,
    /// A producer that has been silent for longer is forgotten.
    pub producer_expiration_ms: i64,
}

impl LogOptions {
    /// The largest segment: positions in the offset index are signed 32-bit numbers.
    pub const SEGMENT_BYTES_MAX: u32 = i32::MAX.cast_unsigned();
}

impl Default for LogOptions {
    fn default() -> Self {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * DAY_MS,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            batch_bytes_max: (1 << 20) + 12,
            retention_ms: Some(7 * DAY_MS),
            retention_bytes: None,
            compaction: None,
            timestamp_type: TimestampType::CreateTime,
            preallocate: true,
            producers_max: 10_000,
            producer_expiration_ms: DAY_MS,
        }
    }
}
