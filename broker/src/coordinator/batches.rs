//! From the records of a round to batches, and back from a shard's log to records.

use bytes::Bytes;
use thalweg_protocol::TimestampMs;
use thalweg_protocol::batch::{
    Batch, BatchBuilder, BatchError, BatchReader, Compression, NO_HEADERS,
};

use super::group::{Groups, Record, RecordError};

/// No batch of a shard passes this size, unless one record does.
const BATCH_BYTES_MAX: usize = 256 * 1_024;

/// The records as few batches, none larger than the topic allows.
pub(super) fn batches(records: &[Record], now: TimestampMs, bytes_max: usize) -> Vec<Bytes> {
    let mut builder = BatchBuilder::new(Compression::None, bytes_max.min(BATCH_BYTES_MAX));
    let mut batches = Vec::new();
    for record in records {
        let (key, value) = (record.key(), record.value());
        let append = |builder: &mut BatchBuilder| {
            builder.try_append(now, Some(&key), value.as_deref(), NO_HEADERS)
        };
        if append(&mut builder).is_none() {
            batches.push(builder.build_unsequenced());
            append(&mut builder);
        }
    }
    if !builder.is_empty() {
        batches.push(builder.build_unsequenced());
    }
    batches
}

/// Why a shard's log cannot be read back.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplayError {
    /// A batch is damaged.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A record is not what its version says.
    #[error("the record at offset {offset}: {error}")]
    Record {
        /// Its offset.
        offset: thalweg_protocol::Offset,
        /// What is wrong.
        error: RecordError,
    },
}

/// Applies the records of batches that lie back to back, from the offset `from` on. Returns how many there were.
pub(super) fn replay(
    groups: &mut Groups,
    bytes: Bytes,
    from: thalweg_protocol::Offset,
) -> Result<u64, ReplayError> {
    let mut count = 0;
    for batch in BatchReader::new(bytes) {
        count += replay_batch(groups, &batch?, from)?;
    }
    Ok(count)
}

fn replay_batch(
    groups: &mut Groups,
    batch: &Batch,
    from: thalweg_protocol::Offset,
) -> Result<u64, ReplayError> {
    batch.verify_checksum()?;
    let mut count = 0;
    for record in batch.records()? {
        let record = record?;
        if record.offset < from {
            continue;
        }
        let damaged = |error| ReplayError::Record { offset: record.offset, error };
        let Some(key) = record.key else { continue };
        if let Some(record) = Record::decode(key, record.value).map_err(damaged)? {
            groups.load(record);
            count += 1;
        }
    }
    Ok(count)
}
