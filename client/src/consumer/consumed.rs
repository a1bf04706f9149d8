//! What a consumer hands out: records, and whole batches.

use bytes::Bytes;
use thalweg_protocol::batch::{Batch, Headers, RecordIter, RecordRef, Records, Scratch};
use thalweg_protocol::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicName};

use crate::error::ConsumeError;

/// A record as it was read. Key, value and headers share the bytes of the fetch; a record that is kept
/// for long keeps that memory, so copy what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumedRecord {
    /// The topic's name.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
    /// The record's offset.
    pub offset: Offset,
    /// The leader's epoch when it was written.
    pub leader_epoch: LeaderEpoch,
    /// The producer's time, or the broker's if the topic keeps that one.
    pub timestamp: TimestampMs,
    /// The key, if any.
    pub key: Option<Bytes>,
    /// The value; none deletes the key in a compacted topic.
    pub value: Option<Bytes>,
    /// The headers, in order, with their duplicates.
    pub headers: Headers,
}

/// A batch as it was read, its checksum verified: the fast way to many records.
#[derive(Clone, Debug)]
pub struct ConsumedBatch {
    /// The topic's name.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
    pub(crate) batch: Batch,
    /// Records below were handed out before, or were not asked for.
    pub(crate) from: Offset,
    /// Records from here on are beyond the end that was asked for.
    pub(crate) below: Offset,
    pub(crate) inflated_bytes_max: usize,
}

impl ConsumedBatch {
    /// The epoch of the leader when the batch was written.
    pub const fn leader_epoch(&self) -> LeaderEpoch {
        self.batch.header.leader_epoch
    }

    /// The batch's size as it is stored, in bytes.
    pub const fn stored_bytes(&self) -> usize {
        self.batch.bytes().len()
    }

    /// The batch's records; inflates them if they are compressed.
    pub fn records(&self) -> Result<BatchRecords, ConsumeError> {
        let mut scratch = Scratch::new();
        let records = self
            .batch
            .records_within(self.inflated_bytes_max, &mut scratch)
            .map_err(|error| self.corrupt(&error.to_string()))?;
        Ok(BatchRecords { batch: self.clone(), records })
    }

    fn corrupt(&self, message: &str) -> ConsumeError {
        ConsumeError::Corrupt {
            topic: self.topic.to_string(),
            partition: self.partition,
            offset: self.batch.header.base_offset,
            next_good: self.batch.header.next_offset(),
            message: message.to_owned(),
        }
    }
}

/// The records of one [`ConsumedBatch`].
#[derive(Clone, Debug)]
pub struct BatchRecords {
    batch: ConsumedBatch,
    records: Records,
}

impl BatchRecords {
    /// The records in order, borrowed: nothing is copied or allocated for them.
    pub fn iter(&self) -> BatchRecordIter<'_> {
        BatchRecordIter { batch: &self.batch, records: self.records.iter() }
    }
}

impl<'a> IntoIterator for &'a BatchRecords {
    type Item = Result<RecordRef<'a>, ConsumeError>;
    type IntoIter = BatchRecordIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Walks over the records of a batch. Ends after the first error.
#[derive(Clone, Debug)]
pub struct BatchRecordIter<'a> {
    batch: &'a ConsumedBatch,
    records: RecordIter<'a>,
}

impl<'a> Iterator for BatchRecordIter<'a> {
    type Item = Result<RecordRef<'a>, ConsumeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.records.next()? {
                Ok(record) if record.offset < self.batch.from => {}
                Ok(record) if record.offset >= self.batch.below => return None,
                Ok(record) => return Some(Ok(record)),
                Err(error) => return Some(Err(self.batch.corrupt(&error.to_string()))),
            }
        }
    }
}

/// How far a consumer is behind in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The topic's name.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
    /// The offset of the next record that is handed out.
    pub position: Offset,
    /// Readers see what is below, as of the last fetch; none before the first.
    pub high_watermark: Option<Offset>,
    /// How many offsets lie between; none before the first fetch.
    pub records: Option<i64>,
}
