//! Builds batches: records are encoded straight into one growing buffer behind room for the header.

use bytes::{Bytes, BytesMut};

use super::attributes::Attributes;
use super::codecs::Deflater;
use super::compression::Compression;
use super::header::{BatchHeader, HEADER_BYTES, LENGTH_END, MAGIC, checksum_of_parts, put};
use crate::codec::varint;
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

/// No batch passes this size, whatever is allowed: lengths are 32-bit fields.
const BATCH_BYTES_MAX: usize = 1 << 30;
/// What the first batch's buffer starts with, in bytes; later ones start with the size of the last.
const FIRST_BYTES: usize = 4 * 1024;
/// Memory for compressing is kept up to this many bytes.
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// "No headers", for [`BatchBuilder::try_append`].
pub const NO_HEADERS: &[(&str, Option<&[u8]>)] = &[];

/// What can be written as a header of a record.
pub trait RecordHeader {
    /// The header's key.
    fn key(&self) -> &str;
    /// The header's value.
    fn value(&self) -> Option<&[u8]>;
}

impl<K: AsRef<str>, V: AsRef<[u8]>> RecordHeader for (K, Option<V>) {
    fn key(&self) -> &str {
        self.0.as_ref()
    }

    fn value(&self) -> Option<&[u8]> {
        self.1.as_ref().map(AsRef::as_ref)
    }
}

/// Builds one batch after the other; buffers and the codec's state are kept in between.
///
/// ```
/// use thalweg_protocol::TimestampMs;
/// use thalweg_protocol::batch::{Batch, BatchBuilder, Compression};
///
/// let mut builder = BatchBuilder::new(Compression::Zstd, 16 * 1024);
/// let delta = builder.try_append(TimestampMs::new(7), Some(b"k"), Some(b"v"), &[("h", None)]);
/// assert_eq!(delta, Some(0));
/// let batch = Batch::decode(&builder.build_unsequenced())?;
/// let records = batch.records()?;
/// let first = records.iter().next().expect("one record")?;
/// assert_eq!(first.value, Some(b"v".as_slice()));
/// # Ok::<(), thalweg_protocol::batch::BatchError>(())
/// ```
#[derive(Debug)]
pub struct BatchBuilder {
    bytes_max: usize,
    /// Room for the header, then the records; empty before the first record.
    buffer: BytesMut,
    record_count: i32,
    base_timestamp: TimestampMs,
    max_timestamp: TimestampMs,
    /// The size of the last batch before compression.
    last_bytes: usize,
    deflater: Deflater,
    deflated: Vec<u8>,
}

impl BatchBuilder {
    /// Builds batches of at most `bytes_max` bytes before compression, header included.
    pub fn new(compression: Compression, bytes_max: usize) -> Self {
        Self::with_level(compression, None, bytes_max)
    }

    /// As [`Self::new`], with a level for gzip (1 to 9) or zstd (negative to 22); the others have none.
    pub fn with_level(compression: Compression, level: Option<i32>, bytes_max: usize) -> Self {
        Self {
            bytes_max: bytes_max.min(BATCH_BYTES_MAX),
            buffer: BytesMut::new(),
            record_count: 0,
            base_timestamp: TimestampMs::NONE,
            max_timestamp: TimestampMs::NONE,
            last_bytes: FIRST_BYTES,
            deflater: Deflater::new(compression, level),
            deflated: Vec::new(),
        }
    }

    /// Makes room for a first batch of so many bytes at once, instead of growing towards it.
    #[must_use]
    pub fn expecting(mut self, bytes: usize) -> Self {
        self.last_bytes = bytes.clamp(FIRST_BYTES, self.bytes_max.max(FIRST_BYTES));
        self
    }

    /// Whether the next batch can take the memory of the last one: nobody holds that any more.
    pub fn is_reusable(&mut self) -> bool {
        self.is_empty() && self.buffer.try_reclaim(self.last_bytes.min(self.bytes_max))
    }

    /// How many records wait to be built into a batch.
    pub const fn record_count(&self) -> i32 {
        self.record_count
    }

    /// Whether no record waits.
    pub const fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// The size of the batch so far, in bytes before compression, header included.
    pub fn bytes(&self) -> usize {
        self.buffer.len().max(HEADER_BYTES)
    }

    /// The largest timestamp so far; -1 when no record waits.
    pub const fn max_timestamp(&self) -> TimestampMs {
        self.max_timestamp
    }

    /// Adds a record; answers its offset delta, or `None` when the batch is full and must be built first.
    ///
    /// The first record of a batch is always taken, however large, up to 1 GiB: the caller bounds the size
    /// of a record.
    pub fn try_append(
        &mut self,
        timestamp: TimestampMs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) -> Option<i32> {
        self.try_append_with(timestamp, key, value, headers)
    }

    /// As [`Self::try_append`], with headers of any kind.
    pub fn try_append_with<H: RecordHeader>(
        &mut self,
        timestamp: TimestampMs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[H],
    ) -> Option<i32> {
        let base = if self.is_empty() { timestamp } else { self.base_timestamp };
        let timestamp_delta = timestamp.get().checked_sub(base.get())?;
        let offset_delta = self.record_count;
        // All but the record's own length field.
        let length = 1
            + varint::i64_bytes(timestamp_delta)
            + varint::i64_bytes(i64::from(offset_delta))
            + nullable_bytes(key)
            + nullable_bytes(value)
            + headers_bytes(headers);
        let total = varint::i64_bytes(signed(length)) + length;
        let after = self.bytes() + total;
        if after > BATCH_BYTES_MAX || (after > self.bytes_max && !self.is_empty()) {
            return None;
        }
        if self.is_empty() {
            self.start(timestamp, after);
        }
        self.buffer.reserve(total);
        // The numbers up to the first bytes of the record are gathered, so that they are copied in one go.
        let mut head = [0; 5 * varint::I64_BYTES_MAX];
        let mut at = put_next(&mut head, 0, signed(length));
        at += 1; // the record's attributes: none are defined
        at = put_next(&mut head, at, timestamp_delta);
        at = put_next(&mut head, at, i64::from(offset_delta));
        at = put_next(&mut head, at, nullable_length(key));
        if let Some(key) = key {
            self.buffer.extend_from_slice(head.get(..at).unwrap_or_default());
            self.buffer.extend_from_slice(key);
            at = 0;
        }
        at = put_next(&mut head, at, nullable_length(value));
        self.buffer.extend_from_slice(head.get(..at).unwrap_or_default());
        self.buffer.extend_from_slice(value.unwrap_or_default());
        put_number(&mut self.buffer, signed(headers.len()));
        for header in headers {
            put_nullable(&mut self.buffer, Some(header.key().as_bytes()));
            put_nullable(&mut self.buffer, header.value());
        }
        self.record_count += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        Some(offset_delta)
    }

    /// The batch of an idempotent producer, with base offset 0 and leader epoch -1; the builder is then
    /// empty again.
    ///
    /// # Panics
    /// When no record waits: there is no batch without a record.
    pub fn build(
        &mut self,
        producer: ProducerId,
        producer_epoch: ProducerEpoch,
        base_sequence: Sequence,
    ) -> Bytes {
        assert!(!self.is_empty(), "a batch has at least one record");
        let compressed = self.deflater.codec() != Compression::None && self.compress();
        let codec = if compressed { self.deflater.codec() } else { Compression::None };
        let raw = self.buffer.get(HEADER_BYTES..).unwrap_or_default();
        let data = if compressed { &self.deflated } else { raw };
        let length = HEADER_BYTES - LENGTH_END + data.len();
        let header = BatchHeader {
            base_offset: Offset::ZERO,
            length: u32::try_from(length).expect("a batch is bounded to 1 GiB"),
            leader_epoch: LeaderEpoch::UNCHECKED,
            magic: MAGIC,
            crc: 0,
            attributes: Attributes::default().with_compression(codec),
            last_offset_delta: self.record_count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer,
            producer_epoch,
            base_sequence,
            record_count: self.record_count,
        };
        let mut head = header.encode();
        let crc = checksum_of_parts(&head, data);
        put(&mut head, 17, crc.to_be_bytes());
        self.finish(&head, compressed)
    }

    /// The batch of a producer that is not idempotent; the builder is then empty again.
    ///
    /// # Panics
    /// When no record waits: there is no batch without a record.
    pub fn build_unsequenced(&mut self) -> Bytes {
        self.build(ProducerId::NONE, ProducerEpoch::NONE, Sequence::NONE)
    }

    /// Throws away the records that wait.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.record_count = 0;
        self.max_timestamp = TimestampMs::NONE;
    }

    fn start(&mut self, timestamp: TimestampMs, bytes: usize) {
        let expected = self.last_bytes.min(self.bytes_max).max(bytes);
        // Takes the last batch's memory again if nobody holds that any more.
        self.buffer.reserve(expected);
        self.buffer.resize(HEADER_BYTES, 0);
        self.base_timestamp = timestamp;
        self.max_timestamp = timestamp;
    }

    /// Compresses the records into the second buffer. Says no when the codec could not get its memory: the
    /// records then go as they are.
    fn compress(&mut self) -> bool {
        let records = self.buffer.get(HEADER_BYTES..).unwrap_or_default();
        self.deflater.deflate(records, &mut self.deflated).is_ok()
    }

    fn finish(&mut self, head: &[u8; HEADER_BYTES], compressed: bool) -> Bytes {
        self.last_bytes = self.buffer.len();
        let batch = if compressed {
            let mut batch = Vec::with_capacity(HEADER_BYTES + self.deflated.len());
            batch.extend_from_slice(head);
            batch.extend_from_slice(&self.deflated);
            if self.deflated.capacity() > KEPT_BYTES_MAX {
                self.deflated = Vec::new();
            }
            batch.into()
        } else {
            put(&mut self.buffer, 0, *head);
            self.buffer.split().freeze()
        };
        self.clear();
        batch
    }
}

/// A length as the format writes it.
fn signed(length: usize) -> i64 {
    i64::try_from(length).expect("lengths are bounded by memory")
}

/// The length field of a key or value: -1 when there is none.
fn nullable_length(field: Option<&[u8]>) -> i64 {
    field.map_or(-1, |bytes| signed(bytes.len()))
}

fn nullable_bytes(field: Option<&[u8]>) -> usize {
    field.map_or(1, |bytes| varint::i64_bytes(signed(bytes.len())) + bytes.len())
}

fn headers_bytes<H: RecordHeader>(headers: &[H]) -> usize {
    let count = varint::i64_bytes(signed(headers.len()));
    let bytes =
        |header: &H| nullable_bytes(Some(header.key().as_bytes())) + nullable_bytes(header.value());
    count + headers.iter().map(bytes).sum::<usize>()
}

/// Writes a number into `head` at `at`; answers where the next one goes.
#[inline]
fn put_next(head: &mut [u8], at: usize, value: i64) -> usize {
    at + varint::put_i64(head.get_mut(at..).unwrap_or_default(), value)
}

#[inline]
fn put_number(buffer: &mut BytesMut, value: i64) {
    let mut bytes = [0; varint::I64_BYTES_MAX];
    let end = varint::put_i64(&mut bytes, value);
    buffer.extend_from_slice(bytes.get(..end).unwrap_or_default());
}

#[inline]
fn put_nullable(buffer: &mut BytesMut, field: Option<&[u8]>) {
    put_number(buffer, nullable_length(field));
    buffer.extend_from_slice(field.unwrap_or_default());
}
