//! Reading one partition: records from an offset on, offsets by their time, ends of epochs.
//!
//! Takes no lock: the log's reader and the published high watermark are all that it looks at.

use std::sync::Arc;

use bytes::Bytes;
use thalweg_protocol::{LeaderEpoch, Offset, TimestampMs};
use thalweg_storage::defects::{Defect, planted};
use thalweg_storage::{DirState, Read, ReadError};

use super::error::PartitionError;
use super::partition::Partition;
use crate::metrics::TopicMetrics;

/// What a reader wants.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequest {
    /// The leader's epoch as the reader knows it, or -1.
    pub leader_epoch: LeaderEpoch,
    /// The epoch of the last record that the reader has, or -1.
    pub last_epoch: LeaderEpoch,
    /// The first offset to read.
    pub offset: Offset,
    /// At most so many bytes.
    pub bytes_max: usize,
    /// Whether a first batch that is larger comes whole.
    pub at_least_one: bool,
}

/// What was read: slices of the log that go to the socket without a copy.
#[derive(Debug)]
pub struct Fetched {
    /// Readers see what is below.
    pub high_watermark: Offset,
    /// The first offset that can be read.
    pub log_start: Offset,
    read: Option<Read>,
    /// The disk had to be waited for to find them.
    waited: bool,
    traffic: Arc<TopicMetrics>,
}

/// Which offset is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetQuery {
    /// The log start.
    Earliest,
    /// The high watermark.
    Latest,
    /// The record with the largest timestamp.
    MaxTimestamp,
    /// The first record that is not older.
    AtOrAfter(TimestampMs),
}

/// An offset by its time; -1 for both when no record is that young.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The offset.
    pub offset: Offset,
    /// The record's timestamp, or -1 at the ends of the log.
    pub timestamp: TimestampMs,
    /// The epoch of the record, or -1.
    pub leader_epoch: LeaderEpoch,
}

impl Partition {
    /// Reads what is committed from an offset on. May wait for the disk.
    pub fn fetch(&self, request: &ReadRequest) -> Result<Fetched, PartitionError> {
        let mut fetched = self.fetch_by(request, |below| {
            let ReadRequest { offset, bytes_max, at_least_one, .. } = *request;
            self.reader.read(offset, bytes_max, below, at_least_one)
        })?;
        fetched.waited = true;
        Ok(fetched)
    }

    /// The same without waiting for the disk: nothing when finding the records would.
    pub fn fetch_now(&self, request: &ReadRequest) -> Result<Option<Fetched>, PartitionError> {
        let mut is_cold = false;
        let fetched = self.fetch_by(request, |below| {
            let ReadRequest { offset, bytes_max, at_least_one, .. } = *request;
            let read = self.reader.read_now(offset, bytes_max, below, at_least_one)?;
            is_cold = read.is_none();
            Ok(read.unwrap_or_else(|| Read::empty(offset)))
        })?;
        Ok((!is_cold).then_some(fetched))
    }

    fn fetch_by(
        &self,
        request: &ReadRequest,
        read: impl FnOnce(Offset) -> Result<Read, ReadError>,
    ) -> Result<Fetched, PartitionError> {
        self.check_leads(request.leader_epoch)?;
        self.check_history(request)?;
        let high_watermark = if planted(Defect::ReadAboveHighWatermark) {
            self.reader.log_end()
        } else {
            self.readable_end()
        };
        let log_start = self.reader.log_start();
        if request.offset < log_start || request.offset > high_watermark {
            return Err(PartitionError::OutOfRange {
                name: self.to_string(),
                offset: request.offset,
                log_start,
                high_watermark,
            });
        }
        let wanted =
            request.offset < high_watermark && (request.bytes_max > 0 || request.at_least_one);
        let read = wanted.then(|| read(high_watermark)).transpose();
        let read = read.map_err(|error| self.read_failed(error))?;
        let traffic = Arc::clone(self.traffic.figures());
        Ok(Fetched { high_watermark, log_start, read, waited: false, traffic })
    }

    /// Finds an offset by its time. May read the disk.
    pub fn find_offset(
        &self,
        query: OffsetQuery,
        leader_epoch: LeaderEpoch,
    ) -> Result<Found, PartitionError> {
        self.check_leads(leader_epoch)?;
        let end = |offset| Found {
            offset,
            timestamp: TimestampMs::NONE,
            leader_epoch: self.epoch_at(offset),
        };
        let found = match query {
            OffsetQuery::Earliest => return Ok(end(self.reader.log_start())),
            OffsetQuery::Latest => return Ok(end(self.readable_end())),
            OffsetQuery::MaxTimestamp => self.reader.max_timestamp(self.readable_end()),
            OffsetQuery::AtOrAfter(time) => self.reader.offset_at_time(time, self.readable_end()),
        };
        let found = found.map_err(|error| self.read_failed(error))?;
        Ok(found.map_or(
            Found {
                offset: Offset::NONE,
                timestamp: TimestampMs::NONE,
                leader_epoch: LeaderEpoch::UNCHECKED,
            },
            |found| Found {
                offset: found.offset,
                timestamp: found.timestamp,
                leader_epoch: found.leader_epoch,
            },
        ))
    }

    /// The largest epoch in the log that is not above `wanted`, and where it ends.
    pub fn epoch_end(
        &self,
        wanted: LeaderEpoch,
        leader_epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, PartitionError> {
        self.check_leads(leader_epoch)?;
        Ok(self.reader.epoch_end(wanted).map(|found| (found.epoch, found.end)))
    }

    /// A reader whose last record is of an epoch that ended earlier here has read what was cut since.
    fn check_history(&self, request: &ReadRequest) -> Result<(), PartitionError> {
        if request.last_epoch == LeaderEpoch::UNCHECKED {
            return Ok(());
        }
        match self.reader.epoch_end(request.last_epoch) {
            Some(found) if found.epoch < request.last_epoch || found.end < request.offset => {
                Err(PartitionError::Truncated {
                    name: self.to_string(),
                    epoch: found.epoch,
                    end: found.end,
                })
            }
            _ => Ok(()),
        }
    }

    /// Where readers stop: a directory that failed is trusted only up to its last sync.
    fn readable_end(&self) -> Offset {
        let high_watermark = self.high_watermark();
        match self.dir().state() {
            DirState::Offline { .. } => high_watermark.min(self.reader.synced_end()),
            _ => high_watermark,
        }
    }

    fn epoch_at(&self, offset: Offset) -> LeaderEpoch {
        self.reader.epoch_at(offset).unwrap_or(LeaderEpoch::UNCHECKED)
    }

    fn read_failed(&self, error: ReadError) -> PartitionError {
        PartitionError::Read { name: self.to_string(), error }
    }
}

impl Fetched {
    /// How many bytes of records there are.
    pub fn bytes(&self) -> usize {
        self.read.as_ref().map_or(0, |read| read.bytes().len())
    }

    /// Whether sending them would wait for the disk.
    pub fn is_cold(&self) -> bool {
        self.read.as_ref().is_some_and(Read::is_cold)
    }

    /// Reads them into memory. Waits for the disk.
    pub fn populate(&self) -> std::io::Result<()> {
        let Some(read) = &self.read else { return Ok(()) };
        // Looking for them may have brought them into memory, too.
        if self.waited || read.is_cold() {
            self.traffic.cold_fetched_bytes.increment(read.bytes().len() as u64);
        }
        read.populate()
    }

    /// The records: whole batches as they are stored. Counts them as sent.
    pub fn into_records(self) -> Bytes {
        self.traffic.fetched_bytes.increment(self.bytes() as u64);
        self.traffic.fetched_records.increment(self.read.as_ref().map_or(0, Read::span));
        self.read.map_or_else(Bytes::new, Read::into_bytes)
    }
}
