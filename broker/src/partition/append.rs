//! Appending to one partition: the check before any lock is taken, the append under the `log` mutex, and who waits for
//! the commit.

use std::sync::Arc;

use thalweg_protocol::batch::{BatchError, BatchHeader, BatchLimits, Scratch, check_produced};
use thalweg_protocol::{LeaderEpoch, Offset, TimestampMs};
use thalweg_storage::CheckedBatch;
use thalweg_storage::defects::{Defect, planted};

use super::error::PartitionError;
use super::inflating::SMALL_BYTES_MAX;
use super::partition::Partition;
use super::replica::Input;
use super::waiters::Commit;

/// A batch that is in the log.
#[derive(Debug)]
pub struct Accepted {
    /// The offset of its first record.
    pub base_offset: Offset,
    /// The broker's time where the topic asks for it, or none.
    pub log_append_time: TimestampMs,
    /// The first offset that can be read.
    pub log_start: Offset,
    /// Ends when the batch is committed; nothing when it is already, or when nobody waits.
    pub commit: Option<Commit>,
}

impl Partition {
    /// Checks a batch as it came from a producer, before any lock is taken, while its bytes are hot.
    pub fn check(
        &self,
        records: &[u8],
        now: TimestampMs,
        scratch: &mut Scratch,
    ) -> Result<BatchHeader, PartitionError> {
        check_produced(records, &self.limits(now), scratch).map_err(|error| self.refused(error))
    }

    /// The same where others wait meanwhile: nothing of a batch that inflates to more than can be done in between. That
    /// one is for the [`Inflater`](super::Inflater).
    pub fn check_briefly(
        &self,
        records: &[u8],
        now: TimestampMs,
        scratch: &mut Scratch,
    ) -> Result<Option<BatchHeader>, PartitionError> {
        let limits = self.limits(now);
        let inflated_bytes_max = limits.inflated_bytes_max.min(SMALL_BYTES_MAX);
        match check_produced(records, &BatchLimits { inflated_bytes_max, ..limits }, scratch) {
            Err(BatchError::Inflated { inflated_bytes_max: SMALL_BYTES_MAX, .. })
                if limits.inflated_bytes_max > SMALL_BYTES_MAX =>
            {
                Ok(None)
            }
            checked => checked.map(Some).map_err(|error| self.refused(error)),
        }
    }

    fn limits(&self, now: TimestampMs) -> BatchLimits {
        let settings = self.settings.load();
        BatchLimits {
            batch_bytes_max: settings.batch_bytes_max,
            inflated_bytes_max: settings.inflated_bytes_max,
            ratio_max: settings.inflated_ratio_max,
            timestamp_max: now.plus(settings.timestamp_after_ms_max),
            timestamp_min: now.plus(settings.timestamp_before_ms_max.saturating_neg()),
            keys_required: settings.keys_required,
        }
    }

    /// What a batch may inflate to.
    pub(super) fn inflated_bytes_max(&self) -> usize {
        self.settings.load().inflated_bytes_max
    }

    fn refused(&self, error: BatchError) -> PartitionError {
        PartitionError::Batch { name: self.to_string(), error }
    }

    /// Appends a batch that [`Partition::check`] has passed. With `wait` the answer holds what ends when the
    /// batch is committed.
    pub fn append(
        self: &Arc<Self>,
        batch: &CheckedBatch,
        leader_epoch: LeaderEpoch,
        wait: bool,
        now: TimestampMs,
    ) -> Result<Accepted, PartitionError> {
        let mut log = self.lock_log()?;
        let epoch = self.check_leads(leader_epoch)?;
        if wait {
            self.check_in_sync()?;
        }
        let open = self.open(&mut log)?;
        let appended = open
            .append(batch, epoch, now)
            .map_err(|error| PartitionError::Append { name: self.to_string(), error })?;
        let (wants_preparation, made) = (open.wants_preparation(), open.take_made_in_append());
        let end = appended.last_offset.next();
        let mut commit = None;
        self.step(&Input::Appended { epoch, log_end: self.reader.log_end() }, || {
            // Under the replica's lock, so that the high watermark cannot pass `end` in between. A duplicate
            // waits like its original.
            if wait && self.high_watermark() < end && !answers_early(appended.duplicate) {
                commit = Some(self.waiters.wait_for_commit(end));
            }
        })?;
        drop(log);
        if appended.duplicate {
            self.traffic.duplicate_batches.increment(1);
        } else {
            let header = batch.header();
            let records = u64::try_from(header.record_count).unwrap_or_default();
            self.traffic.produced(batch.bytes().len() as u64, records);
            self.directory.flusher().dirty(self);
        }
        if wants_preparation {
            self.directory.preparer().wanted(self);
        }
        if made > 0 {
            self.directory.metrics().made_in_append.increment(made);
        }
        if wait && commit.is_none() {
            self.traffic.acknowledged_batches.increment(1);
        }
        Ok(Accepted {
            base_offset: appended.base_offset,
            log_append_time: appended.log_append_time.unwrap_or(TimestampMs::NONE),
            log_start: self.reader.log_start(),
            commit,
        })
    }

    fn check_in_sync(&self) -> Result<(), PartitionError> {
        let replica = self.replica.lock().map_err(|_| self.poisoned())?;
        match replica.leader() {
            Some(leader) if !leader.has_enough_in_sync() => {
                let (in_sync, needed) = leader.in_sync();
                Err(PartitionError::NotEnoughReplicas { name: self.to_string(), in_sync, needed })
            }
            _ => Ok(()),
        }
    }
}

/// Two planted defects: acknowledging before the sync, or a duplicate before its original.
fn answers_early(duplicate: bool) -> bool {
    planted(Defect::AckBeforeSync) || (duplicate && planted(Defect::AckDuplicateEarly))
}
