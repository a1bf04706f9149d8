//! Builds a stored batch anew from some of its records, as compaction keeps them.
//!
//! Owns what such a batch keeps of the old one: base offset, offset of its last record, leader epoch, producer
//! with its sequences, codec and kind of timestamps. A kept record keeps offset, time, key, value and headers.

use super::attributes::TimestampType;
use super::codecs::Deflater;
use super::compression::Compression;
use super::header::{BatchHeader, HEADER_BYTES, LENGTH_END, checksum_of_parts, put};
use super::record::RecordRef;
use crate::TimestampMs;
use crate::codec::varint;

/// Memory for compressing is kept up to this many bytes.
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Builds one batch after the other; buffers and the codecs' states are kept in between.
#[derive(Debug)]
pub struct BatchRewriter {
    deflaters: [Deflater; 5],
    header: Option<BatchHeader>,
    max_timestamp: TimestampMs,
    record_count: i32,
    record: Vec<u8>,
    records: Vec<u8>,
    deflated: Vec<u8>,
}

impl Default for BatchRewriter {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchRewriter {
    /// Holds nothing yet.
    pub fn new() -> Self {
        Self {
            deflaters: Compression::ALL.map(|codec| Deflater::new(codec, None)),
            header: None,
            max_timestamp: TimestampMs::NONE,
            record_count: 0,
            record: Vec::new(),
            records: Vec::new(),
            deflated: Vec::new(),
        }
    }

    /// Begins a batch in the place of the one with this header. With a `horizon` the batch says until when its
    /// tombstones stay; else it keeps what it says about that.
    pub fn begin(&mut self, source: &BatchHeader, horizon: Option<TimestampMs>) {
        let mut header = *source;
        if let Some(horizon) = horizon {
            header.attributes = header.attributes.with_delete_horizon();
            header.base_timestamp = horizon;
        }
        self.header = Some(header);
        self.max_timestamp = TimestampMs::NONE;
        self.record_count = 0;
        self.records.clear();
    }

    /// Keeps a record of that batch; they come in order. False when its time lies too far from the horizon to be
    /// written beside it: the batch has then to be begun anew, without a horizon.
    ///
    /// # Panics
    /// When no batch was begun.
    pub fn keep(&mut self, record: &RecordRef<'_>) -> bool {
        let header = self.header.as_ref().expect("a batch was begun");
        let delta = record.timestamp.get().checked_sub(header.base_timestamp.get());
        let Some(timestamp_delta) = delta else { return false };
        let fields = &mut self.record;
        fields.clear();
        // The record's attributes: none are defined.
        fields.push(0);
        put_number(fields, timestamp_delta);
        put_number(fields, record.offset.since(header.base_offset));
        put_nullable(fields, record.key);
        put_nullable(fields, record.value);
        put_number(fields, signed(record.headers.len()));
        for one in record.headers {
            put_nullable(fields, Some(one.key));
            put_nullable(fields, one.value);
        }
        put_number(&mut self.records, signed(self.record.len()));
        self.records.extend_from_slice(&self.record);
        self.record_count += 1;
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        true
    }

    /// Adds the finished batch to `target`; answers its header.
    ///
    /// # Panics
    /// When no batch was begun.
    pub fn finish(&mut self, target: &mut Vec<u8>) -> BatchHeader {
        let mut header = self.header.take().expect("a batch was begun");
        let codec = header.attributes.compression().unwrap_or_default();
        let deflater = self.deflaters.iter_mut().find(|deflater| deflater.codec() == codec);
        let compressed = codec != Compression::None
            && deflater.is_some_and(|it| it.deflate(&self.records, &mut self.deflated).is_ok());
        let data = if compressed { &self.deflated } else { &self.records };
        if !compressed {
            // Without memory for the codec the records go as they are.
            header.attributes = header.attributes.with_compression(Compression::None);
        }
        if header.attributes.timestamp_type() == TimestampType::CreateTime {
            header.max_timestamp = self.max_timestamp;
        }
        header.record_count = self.record_count;
        let length = HEADER_BYTES - LENGTH_END + data.len();
        header.length = u32::try_from(length).expect("no larger than what it was made of");
        let head = sealed(&mut header, data);
        target.extend_from_slice(&head);
        target.extend_from_slice(data);
        if self.deflated.capacity() > KEPT_BYTES_MAX || self.records.capacity() > KEPT_BYTES_MAX {
            self.deflated = Vec::new();
            self.records = Vec::new();
        }
        header
    }
}

/// A batch of nothing but a header: that of `source` without its records. What remains is which offsets it covers,
/// its leader epoch, and who wrote it with which sequences.
pub fn without_records(source: &BatchHeader) -> (BatchHeader, [u8; HEADER_BYTES]) {
    let mut header = BatchHeader {
        length: u32::try_from(HEADER_BYTES - LENGTH_END).expect("49 bytes"),
        attributes: source.attributes.with_compression(Compression::None).without_delete_horizon(),
        base_timestamp: TimestampMs::NONE,
        max_timestamp: TimestampMs::NONE,
        record_count: 0,
        ..*source
    };
    let head = sealed(&mut header, &[]);
    (header, head)
}

/// The header's bytes with the checksum over it and `data`, which the header gets, too.
fn sealed(header: &mut BatchHeader, data: &[u8]) -> [u8; HEADER_BYTES] {
    let mut head = header.encode();
    header.crc = checksum_of_parts(&head, data);
    put(&mut head, 17, header.crc.to_be_bytes());
    head
}

/// A length as the format writes it.
fn signed(length: usize) -> i64 {
    i64::try_from(length).expect("lengths are bounded by memory")
}

fn put_number(target: &mut Vec<u8>, value: i64) {
    let mut bytes = [0; varint::I64_BYTES_MAX];
    let end = varint::put_i64(&mut bytes, value);
    target.extend_from_slice(bytes.get(..end).unwrap_or_default());
}

fn put_nullable(target: &mut Vec<u8>, field: Option<&[u8]>) {
    put_number(target, field.map_or(-1, |bytes| signed(bytes.len())));
    target.extend_from_slice(field.unwrap_or_default());
}
