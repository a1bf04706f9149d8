//! Appending: the sequence is checked, offsets are assigned, the batch is written once, then published.
//!
//! ```text
//!     the producer's batch:  |base offset, length, epoch|  the rest, as it came ...
//!     written:               |16 bytes, patched         |  the same bytes
//! ```
//!
//! Owns the order of an append. Never looks at a record: batches are checked before they come here.
//! Invariants: the log end moves only after the batch is written and visible; an error leaves log end,
//! epochs and producers as they were.

use std::io;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use thalweg_protocol::batch::{
    BatchHeader, BatchReader, HEADER_BYTES, TimestampType, patched_head, stamped_head,
    verify_checksum,
};
use thalweg_protocol::{LeaderEpoch, Offset, TimestampMs};

use crate::error::AppendError;
use crate::log::Log;
use crate::options::LogOptions;
use crate::producer::{ProducerBatch, SequenceCheck};
use crate::walk::{Found, total_bytes};

/// A batch that has passed [`check_produced`](thalweg_protocol::batch::check_produced), with its header.
#[derive(Clone, Debug)]
pub struct CheckedBatch {
    header: BatchHeader,
    bytes: Bytes,
}

impl CheckedBatch {
    /// `bytes` are exactly one batch with this header, and were checked.
    ///
    /// # Panics
    /// When the header does not cover `bytes`.
    pub fn new(header: BatchHeader, bytes: Bytes) -> Self {
        assert_eq!(header.total_bytes(), bytes.len(), "a checked batch is exactly its bytes");
        Self { header, bytes }
    }

    /// The batch's header.
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The batch.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The offset of its first record; [`Offset::NONE`] of a duplicate so old that this is forgotten.
    pub base_offset: Offset,
    /// The offset of its last record; of a duplicate so old that this is forgotten, one that is not lower.
    pub last_offset: Offset,
    /// The timestamp that its records were given, in a topic with `LogAppendTime`.
    pub log_append_time: Option<TimestampMs>,
    /// The batch was stored before; these are the original's offsets. It is answered like the original: once
    /// the high watermark has passed it.
    pub duplicate: bool,
}

impl Log {
    /// Appends a producer's batch under the leader epoch `epoch`; `now` is the broker's clock.
    pub fn append(
        &mut self,
        batch: &CheckedBatch,
        epoch: LeaderEpoch,
        now: TimestampMs,
    ) -> Result<Appended, AppendError> {
        self.check_writable()?;
        if let Some(duplicate) = self.check_sequence(&batch.header, now)? {
            return Ok(duplicate);
        }
        let base_offset = self.log_end();
        let mut header = BatchHeader { base_offset, leader_epoch: epoch, ..batch.header };
        self.check_fits(&header)?;
        self.make_ready(&header, now)?;
        let stamp = self.options.timestamp_type == TimestampType::LogAppendTime;
        if stamp {
            header.max_timestamp = now;
            header.attributes = header.attributes.with_log_append_time();
            let head = stamped_head(&batch.bytes, base_offset, epoch, now);
            self.write(&[&head, batch.bytes.get(HEADER_BYTES..).unwrap_or_default()])?;
        } else {
            let head = patched_head(&batch.bytes, base_offset, epoch);
            self.write(&[&head, batch.bytes.get(head.len()..).unwrap_or_default()])?;
        }
        self.publish(&header, now);
        Ok(Appended {
            base_offset,
            last_offset: header.last_offset(),
            log_append_time: stamp.then_some(now),
            duplicate: false,
        })
    }

    /// Appends batches as the leader stored them; each must begin where the log ends. Says how many there
    /// were. After an error those before the failing one are appended.
    pub fn append_replicated(
        &mut self,
        batches: &Bytes,
        now: TimestampMs,
    ) -> Result<usize, AppendError> {
        let mut appended = 0;
        for batch in BatchReader::new(batches.clone()) {
            let batch = batch?;
            self.check_writable()?;
            let header = batch.header;
            verify_checksum(&header, batch.bytes())?;
            let expected = self.log_end();
            if header.base_offset != expected {
                return Err(AppendError::OutOfOrder { expected, found: header.base_offset });
            }
            self.check_fits(&header)?;
            self.make_ready(&header, now)?;
            self.write(&[batch.bytes()])?;
            self.publish(&header, now);
            appended += 1;
        }
        Ok(appended)
    }

    /// Refuses while the directory takes no writes.
    fn check_writable(&self) -> Result<(), AppendError> {
        Ok(self.shared.dir.before_write()?)
    }

    /// The original, if the batch is a repetition.
    fn check_sequence(
        &self,
        header: &BatchHeader,
        now: TimestampMs,
    ) -> Result<Option<Appended>, AppendError> {
        let Some(batch) = producer_batch(header) else { return Ok(None) };
        let stamped = self.options.timestamp_type == TimestampType::LogAppendTime;
        Ok(match self.producers.check(&batch, &self.producer_limits(), now)? {
            SequenceCheck::New => None,
            SequenceCheck::Duplicate(original) => Some(Appended {
                base_offset: original.base_offset,
                last_offset: original.last_offset,
                log_append_time: stamped.then_some(original.appended),
                duplicate: true,
            }),
            SequenceCheck::Forgotten { below } => Some(Appended {
                base_offset: Offset::NONE,
                last_offset: below.plus(-1),
                log_append_time: None,
                duplicate: true,
            }),
        })
    }

    /// Refuses what no index could tell the place of, and what an older leader sends.
    fn check_fits(&self, header: &BatchHeader) -> Result<(), AppendError> {
        let (at, count) = (header.base_offset, header.record_count);
        // A batch larger than a segment gets one of its own: settings may shrink while batches travel.
        let bytes_max = u64::from(LogOptions::SEGMENT_BYTES_MAX);
        if total_bytes(header) > bytes_max {
            return Err(AppendError::TooLarge {
                bytes: header.total_bytes(),
                bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX),
            });
        }
        if header.last_offset().get() == i64::MAX {
            return Err(AppendError::OffsetsExhausted { at, count });
        }
        // On a copy: the epoch gets its entry only with a batch that is written.
        let epochs = self.shared.epochs.load();
        if epochs.latest().is_none_or(|latest| latest != header.leader_epoch) {
            epochs.as_ref().clone().assign(header.leader_epoch, at)?;
        }
        Ok(())
    }

    /// Writes one batch behind what is visible.
    fn write(&mut self, parts: &[&[u8]]) -> Result<(), AppendError> {
        let position = self.active.position;
        match self.active.segment.write(position, parts) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.write_failed(&error)),
        }
    }

    /// Takes back what a failed write may have left, or takes the directory offline.
    fn write_failed(&mut self, error: &io::Error) -> AppendError {
        let (path, at) = (self.active.segment.log_path(), self.log_end());
        // Half a batch behind the tail would look like a torn write after a crash, and a shorter batch written
        // over it would leave its end there.
        let cleaned = self.active.segment.give_back(self.active.position);
        let dir = &self.shared.dir;
        if dir.failed(&format!("cannot write {}", path.display()), error) && cleaned.is_ok() {
            return AppendError::StorageFull { path, at };
        }
        let reason = error.to_string();
        dir.fail(&format!("cannot cut {} after a failed write: {reason}", path.display()));
        AppendError::Offline { path, at, reason }
    }

    /// Makes a written batch part of the log.
    fn publish(&mut self, header: &BatchHeader, now: TimestampMs) {
        let found = Found { position: self.active.position, header: *header };
        self.active.note(&found, now, self.options.index_interval_bytes);
        self.assign_epoch(header);
        if let Some(batch) = producer_batch(header) {
            let producers_max = self.options.producers_max;
            self.producers.record(&batch, header.last_offset(), now, producers_max);
        }
        self.active.position = found.end();
        self.active.segment.publish(found.end());
        let shared = &self.shared;
        shared.last_append.fetch_max(now.get(), Ordering::AcqRel);
        // Last: who sees this end finds the batch.
        shared.ends.publish(header.next_offset());
        self.since_snapshot += total_bytes(header);
    }

    /// The epoch gets its entry with its first batch.
    pub(crate) fn assign_epoch(&self, header: &BatchHeader) {
        let epochs = self.shared.epochs.load();
        if epochs.latest() == Some(header.leader_epoch) {
            return;
        }
        let mut table = epochs.as_ref().clone();
        let assigned = table.assign(header.leader_epoch, header.base_offset);
        assert!(assigned.is_ok(), "the epoch was checked before the write");
        self.shared.epochs.store(table.into());
        self.shared.epochs_dirty.store(true, Ordering::Release);
    }
}

/// The batch as far as its producer's sequences are concerned; `None` if the producer is not idempotent, and for
/// the marker of a transaction: it bears a producer's id, but is none of its batches and has no sequence.
pub(crate) fn producer_batch(header: &BatchHeader) -> Option<ProducerBatch> {
    let has_sequence = header.is_idempotent() && !header.attributes.is_control();
    has_sequence.then(|| ProducerBatch {
        producer: header.producer,
        epoch: header.producer_epoch,
        first: header.base_sequence,
        last: header.last_sequence(),
    })
}
