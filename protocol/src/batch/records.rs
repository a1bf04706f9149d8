//! The records of one batch, inflated if need be, borrowed or shared.

use bytes::Bytes;

use super::attributes::TimestampType;
use super::error::{BatchError, RecordFault};
use super::header::BatchHeader;
use super::record::{RECORD_BYTES_MIN, Record, RecordRef, take_record};
use crate::{Offset, TimestampMs};

/// The records of one batch.
///
/// Lenient where a log is: compaction leaves gaps between offsets, and batches without a record.
#[derive(Clone, Debug)]
pub struct Records {
    data: Bytes,
    walk: Walk,
}

impl Records {
    /// The records in `data`, which is the batch's data after inflating.
    pub(super) fn new(header: &BatchHeader, data: Bytes) -> Self {
        let walk = Walk::new(header, data.len());
        Self { data, walk }
    }

    /// The records, borrowed.
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter { data: &self.data, walk: self.walk }
    }

    /// The record data after inflating, in bytes.
    pub fn data_bytes(&self) -> usize {
        self.data.len()
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = Result<RecordRef<'a>, BatchError>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Records {
    type Item = Result<Record, BatchError>;
    type IntoIter = OwnedRecords;

    fn into_iter(self) -> Self::IntoIter {
        OwnedRecords { data: self.data, walk: self.walk }
    }
}

/// Walks over the records of a batch, borrowed. Ends after the first error.
#[derive(Clone, Debug)]
pub struct RecordIter<'a> {
    data: &'a [u8],
    walk: Walk,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<RecordRef<'a>, BatchError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.walk.step(self.data)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.walk.size_hint(self.data.len())
    }
}

/// Walks over the records of a batch; each shares the batch's bytes. Ends after the first error.
#[derive(Clone, Debug)]
pub struct OwnedRecords {
    data: Bytes,
    walk: Walk,
}

impl Iterator for OwnedRecords {
    type Item = Result<Record, BatchError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let record = match self.walk.step(&self.data)? {
            Ok(record) => record,
            Err(error) => return Some(Err(error)),
        };
        Some(Ok(Record {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(|key| self.data.slice_ref(key)),
            value: record.value.map(|value| self.data.slice_ref(value)),
            headers: record.headers.share(&self.data),
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.walk.size_hint(self.data.len())
    }
}

/// Where a walk over record data stands.
#[derive(Clone, Copy, Debug)]
struct Walk {
    base_offset: Offset,
    base_timestamp: TimestampMs,
    /// What every record bears, with `LogAppendTime`.
    stamp: Option<TimestampMs>,
    last_offset_delta: i32,
    record_count: i32,
    /// The next record's place in the batch.
    index: i32,
    /// The least offset delta that the next record may have.
    delta_min: i32,
    /// Where the next record starts.
    position: usize,
    ended: bool,
}

impl Walk {
    fn new(header: &BatchHeader, data_bytes: usize) -> Self {
        let stamp = match header.attributes.timestamp_type() {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(header.max_timestamp),
        };
        Self {
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            stamp,
            last_offset_delta: header.last_offset_delta,
            record_count: header.record_count,
            index: 0,
            delta_min: 0,
            position: 0,
            ended: header.record_count <= 0 && data_bytes == 0,
        }
    }

    #[inline]
    fn step<'a>(&mut self, data: &'a [u8]) -> Option<Result<RecordRef<'a>, BatchError>> {
        if self.ended {
            return None;
        }
        let mut rest = data.get(self.position..).unwrap_or_default();
        if self.index >= self.record_count || rest.is_empty() {
            self.ended = true;
            return self.end(rest.len()).err().map(Err);
        }
        let left = rest.len();
        let fields = match take_record(&mut rest) {
            Ok(fields) => fields,
            Err(fault) => return Some(Err(self.fail(fault))),
        };
        let delta = fields.offset_delta;
        if delta < self.delta_min || delta > self.last_offset_delta {
            let fault = RecordFault::OffsetDelta { found: delta, expected: self.delta_min };
            return Some(Err(self.fail(fault)));
        }
        self.position += left - rest.len();
        self.index += 1;
        self.delta_min = delta.saturating_add(1);
        let timestamp = match self.stamp {
            None => self.base_timestamp.plus(fields.timestamp_delta),
            Some(stamp) => stamp,
        };
        Some(Ok(RecordRef {
            offset: self.base_offset.plus(i64::from(delta)),
            timestamp,
            key: fields.key,
            value: fields.value,
            headers: fields.headers,
        }))
    }

    /// Ends the walk at a damaged record.
    #[cold]
    fn fail(&mut self, fault: RecordFault) -> BatchError {
        self.ended = true;
        BatchError::Record { index: self.index, position: self.position, fault }
    }

    /// Whether the walk ended where it should.
    fn end(&self, left: usize) -> Result<(), BatchError> {
        if self.index < self.record_count {
            return Err(BatchError::Missing { record_count: self.record_count, found: self.index });
        }
        if left > 0 {
            return Err(BatchError::Trailing { record_count: self.record_count, left });
        }
        Ok(())
    }

    /// Never more than the bytes can hold, so that a caller may reserve by it.
    fn size_hint(&self, data_bytes: usize) -> (usize, Option<usize>) {
        let announced = usize::try_from(self.record_count - self.index).unwrap_or(0);
        let possible = data_bytes.saturating_sub(self.position) / RECORD_BYTES_MIN;
        // One more for the error that may end the walk.
        (0, Some(announced.min(possible).saturating_add(1)))
    }
}
