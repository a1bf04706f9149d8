//! What a leader demands of a batch before it gives it an offset.

use super::attributes::TimestampType;
use super::compression::Compression;
use super::error::{BatchError, RecordFault};
use super::header::{BatchHeader, HEADER_BYTES, verify_checksum};
use super::record::{Fields, take_record};
use super::scratch::Scratch;
use crate::TimestampMs;

/// What a topic allows of a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// The largest batch, in bytes as it is sent.
    pub batch_bytes_max: usize,
    /// The largest record data after inflating, in bytes.
    pub inflated_bytes_max: usize,
    /// How many bytes one compressed byte may inflate to. What a batch may hold uncompressed it may hold
    /// compressed as well, however well: a batch of zeros is no attack.
    pub ratio_max: usize,
    /// The latest timestamp of a record.
    pub timestamp_max: TimestampMs,
    /// The earliest timestamp of a record. One of -1, "no timestamp", is always allowed.
    pub timestamp_min: TimestampMs,
    /// Whether each record needs a key.
    pub keys_required: bool,
}

impl BatchLimits {
    /// What `compressed` bytes may inflate to: by size and by ratio.
    fn inflated_bytes_max(&self, compressed: usize) -> usize {
        let by_ratio = compressed.saturating_mul(self.ratio_max).max(self.batch_bytes_max);
        by_ratio.min(self.inflated_bytes_max)
    }
}

/// Checks that `batch` is exactly one batch as a producer may send it, and that its records are what its
/// header says; compressed ones are inflated into `scratch` for that and thrown away.
///
/// The bytes are then fit to be stored as they came: only base offset and leader epoch are still to be set.
pub fn check_produced(
    batch: &[u8],
    limits: &BatchLimits,
    scratch: &mut Scratch,
) -> Result<BatchHeader, BatchError> {
    let found = batch.len();
    if found > limits.batch_bytes_max {
        return Err(BatchError::TooLarge { found, batch_bytes_max: limits.batch_bytes_max });
    }
    let header = BatchHeader::decode(batch)?;
    if header.total_bytes() != found {
        return Err(BatchError::Size { announced: header.total_bytes(), found });
    }
    verify_checksum(&header, batch)?;
    let codec = check_header(&header)?;
    let data = batch.get(HEADER_BYTES..).unwrap_or_default();
    if codec == Compression::None {
        check_records(&header, data, limits)?;
    } else {
        let inflated_bytes_max = limits.inflated_bytes_max(data.len());
        let checked = scratch
            .inflate(codec, data, inflated_bytes_max)
            .and_then(|data| check_records(&header, data, limits));
        scratch.release();
        checked?;
    }
    Ok(header)
}

/// What the header alone shows.
fn check_header(header: &BatchHeader) -> Result<Compression, BatchError> {
    let attributes = header.attributes;
    let codec = attributes.compression()?;
    if attributes.is_control() {
        return Err(BatchError::Control);
    }
    if attributes.is_transactional() {
        return Err(BatchError::Transactional);
    }
    if attributes.timestamp_type() == TimestampType::LogAppendTime {
        return Err(BatchError::TimestampType);
    }
    let bits = attributes.foreign_to_producers();
    if bits != 0 {
        return Err(BatchError::Attributes { bits });
    }
    if header.base_offset.get() != 0 {
        return Err(BatchError::BaseOffset { found: header.base_offset.get() });
    }
    let (record_count, last_offset_delta) = (header.record_count, header.last_offset_delta);
    if record_count < 1 || record_count - 1 != last_offset_delta {
        return Err(BatchError::Count { record_count, last_offset_delta });
    }
    check_producer(header)?;
    Ok(codec)
}

/// Producer id, epoch and sequence: all there or none.
fn check_producer(header: &BatchHeader) -> Result<(), BatchError> {
    let producer = header.producer.get();
    let epoch = header.producer_epoch.get();
    let sequence = header.base_sequence.get();
    let none = producer == -1 && epoch == -1 && sequence == -1;
    if none || (producer >= 0 && epoch >= 0 && sequence >= 0) {
        return Ok(());
    }
    Err(BatchError::Producer { producer, epoch, sequence })
}

/// Walks over all records.
fn check_records(
    header: &BatchHeader,
    data: &[u8],
    limits: &BatchLimits,
) -> Result<(), BatchError> {
    let record_count = header.record_count;
    let mut rest = data;
    let mut largest = i64::MIN;
    for index in 0..record_count {
        if rest.is_empty() {
            return Err(BatchError::Missing { record_count, found: index });
        }
        let position = data.len() - rest.len();
        let fields = take_record(&mut rest).map_err(|fault| BatchError::Record {
            index,
            position,
            fault,
        })?;
        let timestamp = check_record(&fields, index, position, header, limits)?;
        largest = largest.max(timestamp);
    }
    if !rest.is_empty() {
        return Err(BatchError::Trailing { record_count, left: rest.len() });
    }
    let expected = header.max_timestamp.get();
    if expected != largest {
        return Err(BatchError::MaxTimestamp { expected, found: largest });
    }
    Ok(())
}

/// Checks one record's place, time and key; answers its timestamp.
#[inline]
fn check_record(
    fields: &Fields<'_>,
    index: i32,
    position: usize,
    header: &BatchHeader,
    limits: &BatchLimits,
) -> Result<i64, BatchError> {
    let found = fields.offset_delta;
    if found != index {
        let fault = RecordFault::OffsetDelta { found, expected: index };
        return Err(BatchError::Record { index, position, fault });
    }
    let delta = fields.timestamp_delta;
    let Some(timestamp) = header.base_timestamp.get().checked_add(delta) else {
        let fault = RecordFault::TimestampDelta { found: delta };
        return Err(BatchError::Record { index, position, fault });
    };
    let (timestamp_min, timestamp_max) = (limits.timestamp_min.get(), limits.timestamp_max.get());
    let allowed = (timestamp_min..=timestamp_max).contains(&timestamp);
    if !allowed && timestamp != TimestampMs::NONE.get() {
        return Err(BatchError::Timestamp {
            index,
            found: timestamp,
            timestamp_min,
            timestamp_max,
        });
    }
    if limits.keys_required && fields.key.is_none() {
        return Err(BatchError::KeyMissing { index });
    }
    Ok(timestamp)
}
