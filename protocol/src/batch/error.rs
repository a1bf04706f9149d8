//! Why bytes are not the record batch that they should be.

use super::compression::Compression;
use crate::ErrorCode;

/// Why a batch could not be read, or is not allowed; each kind says where and with which numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end before the batch does.
    #[error("batch: {needed} bytes needed, {found} given")]
    Short {
        /// How many bytes the batch takes.
        needed: usize,
        /// How many there are.
        found: usize,
    },
    /// The batch has another format than ours.
    #[error("batch: format (magic) {found}, only format 2 is supported")]
    Magic {
        /// The byte at position 16.
        found: u8,
    },
    /// The length field cannot be right.
    #[error("batch: length field says {found} bytes, which cannot hold a header; the least is 49")]
    Length {
        /// The length field.
        found: i32,
    },
    /// The bytes given are not exactly one batch.
    #[error("batch: length field announces {announced} bytes in total, {found} were given")]
    Size {
        /// The bytes that the length field announces, with the 12 before it.
        announced: usize,
        /// The bytes that were given.
        found: usize,
    },
    /// The batch is larger than allowed.
    #[error("batch: {found} bytes, at most {batch_bytes_max} are allowed")]
    TooLarge {
        /// The size of the batch in bytes.
        found: usize,
        /// The largest size allowed, in bytes.
        batch_bytes_max: usize,
    },
    /// The bytes were damaged.
    #[error("batch: checksum is {found:#010x}, the header says {expected:#010x}")]
    Checksum {
        /// What the header says.
        expected: u32,
        /// What the bytes give.
        found: u32,
    },
    /// The attributes name no codec.
    #[error(
        "batch: attributes name codec {found}; known are 0 to 4 (none, gzip, snappy, lz4, zstd)"
    )]
    Codec {
        /// The number of the codec.
        found: u8,
    },
    /// A producer's batch has attribute bits that are not for producers.
    #[error("batch: attribute bits {bits:#06x} are not for producers")]
    Attributes {
        /// Those bits.
        bits: i16,
    },
    /// A producer's batch claims to be a control batch.
    #[error("batch: control batches are written by brokers only")]
    Control,
    /// The batch belongs to a transaction.
    #[error("batch: transactional, and transactions are not supported yet")]
    Transactional,
    /// A producer's batch has an offset already.
    #[error("batch: base offset is {found}, a producer sends 0")]
    BaseOffset {
        /// The base offset.
        found: i64,
    },
    /// The number of records is not possible.
    #[error(
        "batch: {record_count} records with a last offset delta of {last_offset_delta}; it must be one less, and at least one record"
    )]
    Count {
        /// The number of records that the header announces.
        record_count: i32,
        /// The last offset delta that the header announces.
        last_offset_delta: i32,
    },
    /// There are fewer records than the header announces.
    #[error("batch: the record data ends after {found} of {record_count} records")]
    Missing {
        /// The number of records that the header announces.
        record_count: i32,
        /// How many there are.
        found: i32,
    },
    /// Bytes follow the last record.
    #[error("batch: {left} bytes follow the last of {record_count} records")]
    Trailing {
        /// The number of records that the header announces.
        record_count: i32,
        /// How many bytes are left over.
        left: usize,
    },
    /// A record is damaged.
    #[error("record {index}, at byte {position} of the record data: {fault}")]
    Record {
        /// The record's place in the batch, counted from 0.
        index: i32,
        /// Where the record starts, in bytes, after inflating.
        position: usize,
        /// What is wrong with it.
        fault: RecordFault,
    },
    /// The largest timestamp in the header is not that of the records.
    #[error("batch: largest timestamp is {found}, the header says {expected}")]
    MaxTimestamp {
        /// What the header says, in milliseconds since 1970.
        expected: i64,
        /// The largest timestamp of the records.
        found: i64,
    },
    /// A record's timestamp is too far from the broker's clock.
    #[error("record {index}: timestamp {found} is outside of {timestamp_min} to {timestamp_max}")]
    Timestamp {
        /// The record's place in the batch, counted from 0.
        index: i32,
        /// The timestamp, in milliseconds since 1970.
        found: i64,
        /// The earliest timestamp allowed.
        timestamp_min: i64,
        /// The latest timestamp allowed.
        timestamp_max: i64,
    },
    /// A producer's batch claims the broker's timestamps.
    #[error("batch: timestamp type LogAppendTime is set by brokers only")]
    TimestampType,
    /// A record has no key where each needs one.
    #[error("record {index}: no key, and the topic is compacted")]
    KeyMissing {
        /// The record's place in the batch, counted from 0.
        index: i32,
    },
    /// Producer id, epoch and sequence do not go together.
    #[error(
        "batch: producer id {producer}, epoch {epoch} and base sequence {sequence} must be all -1 or all 0 and above"
    )]
    Producer {
        /// The producer id.
        producer: i64,
        /// The producer epoch.
        epoch: i16,
        /// The base sequence.
        sequence: i32,
    },
    /// The records inflate to more than is allowed.
    #[error(
        "batch: {compressed} bytes of {codec} inflate to more than the {inflated_bytes_max} bytes allowed"
    )]
    Inflated {
        /// The codec.
        codec: Compression,
        /// The compressed size in bytes.
        compressed: usize,
        /// The bytes that these may inflate to, by size and ratio.
        inflated_bytes_max: usize,
    },
    /// The records cannot be inflated.
    #[error("batch: {compressed} bytes are no {codec}: {problem}")]
    Compressed {
        /// The codec.
        codec: Compression,
        /// The compressed size in bytes.
        compressed: usize,
        /// What the codec found.
        problem: &'static str,
    },
    /// A control record is not one.
    #[error("control record: {problem}, {found} found")]
    ControlRecord {
        /// What was expected.
        problem: &'static str,
        /// The number found there.
        found: i64,
    },
}

/// What is wrong with one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// A variable-length integer is cut or passes its type.
    #[error("the {what} is cut short or out of range")]
    Number {
        /// The field.
        what: &'static str,
    },
    /// A length or count is negative where it may not be, or passes the bytes that are there.
    #[error("the {what} is {found}, {left} bytes are left")]
    Length {
        /// The field.
        what: &'static str,
        /// Its value.
        found: i32,
        /// How many bytes follow it.
        left: usize,
    },
    /// The fields of the record end before its length says.
    #[error("{left} bytes follow the last field")]
    Trailing {
        /// How many bytes are left over.
        left: usize,
    },
    /// The offset delta is not the next one.
    #[error("offset delta is {found}, {expected} expected")]
    OffsetDelta {
        /// The offset delta.
        found: i32,
        /// The delta that should stand there, or the least possible one.
        expected: i32,
    },
    /// Base timestamp and delta give a timestamp that does not exist.
    #[error("timestamp delta {found} passes the range of timestamps")]
    TimestampDelta {
        /// The timestamp delta.
        found: i64,
    },
}

impl BatchError {
    /// The code that a client gets.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge { .. } | Self::Inflated { .. } => ErrorCode::BatchTooLarge,
            Self::Codec { .. } => ErrorCode::UnsupportedCodec,
            Self::Timestamp { .. } | Self::TimestampType => ErrorCode::InvalidTimestamp,
            Self::KeyMissing { .. } | Self::Control => ErrorCode::InvalidRecord,
            Self::Transactional => ErrorCode::InvalidRequest,
            Self::Short { .. }
            | Self::Magic { .. }
            | Self::Length { .. }
            | Self::Size { .. }
            | Self::Checksum { .. }
            | Self::Attributes { .. }
            | Self::BaseOffset { .. }
            | Self::Count { .. }
            | Self::Missing { .. }
            | Self::Trailing { .. }
            | Self::Record { .. }
            | Self::MaxTimestamp { .. }
            | Self::Producer { .. }
            | Self::Compressed { .. }
            | Self::ControlRecord { .. } => ErrorCode::CorruptBatch,
        }
    }
}
