//! The replica's part in its partition: it leads or resigns, hears what happened, and what it says is carried out.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use thalweg_protocol::{BrokerId, LeaderEpoch, Offset};
use thalweg_storage::defects::{Defect, planted};

use super::error::PartitionError;
use super::high_watermark::Ends;
use super::leader::Leadership;
use super::partition::Partition;
use super::replica::{Effect, Input};
use crate::base::Monotonic;

impl Partition {
    /// Whether this broker leads in this epoch or a later one.
    pub fn leads_in(&self, epoch: LeaderEpoch) -> bool {
        self.leading.load(Ordering::Acquire) >= epoch.get()
    }

    /// The image names this broker as the leader.
    pub fn lead(
        self: &Arc<Self>,
        leadership: &Leadership,
        now: Monotonic,
    ) -> Result<(), PartitionError> {
        let log = self.lock_log()?;
        let ends = Ends { log_end: self.reader.log_end(), synced_end: self.reader.synced_end() };
        let high_watermark = self.high_watermark();
        self.leading.fetch_max(leadership.epoch.get(), Ordering::AcqRel);
        self.step(&Input::Lead { leadership, ends, high_watermark, now }, || {})?;
        drop(log);
        if ends.synced_end < ends.log_end {
            self.directory.flusher().dirty(self);
        }
        Ok(())
    }

    /// The image names another leader, or the partition is going away: who waits is told.
    pub fn resign(&self) {
        // A poisoned log has failed its waiters already and leads nothing.
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        self.leading.store(LeaderEpoch::UNCHECKED.get(), Ordering::Release);
        let stepped = self.step(&Input::Resign, || {});
        drop(log);
        if stepped.is_err() {
            self.waiters.fail();
        }
    }

    /// More of the log is on stable storage.
    pub(super) fn synced(&self, synced_end: Offset) {
        // A poisoned replica commits nothing more; its waiters end by their deadlines.
        let _ = self.step(&Input::Synced { synced_end }, || {});
    }

    /// Time has passed.
    pub(super) fn tick(&self, now: Monotonic) {
        let _ = self.step(&Input::Tick { now }, || {});
    }

    /// The epoch in which this broker leads, if the request's fits.
    pub(super) fn check_leads(&self, found: LeaderEpoch) -> Result<LeaderEpoch, PartitionError> {
        let current = LeaderEpoch::new(self.leading.load(Ordering::Acquire));
        if current == LeaderEpoch::UNCHECKED {
            return Err(PartitionError::NotLeader {
                name: self.to_string(),
                leader: BrokerId::NONE,
                epoch: current,
            });
        }
        let name = || self.to_string();
        if found == LeaderEpoch::UNCHECKED || found == current || planted(Defect::IgnoreLeaderEpoch)
        {
            Ok(current)
        } else if found < current {
            Err(PartitionError::FencedEpoch { name: name(), found, current })
        } else {
            Err(PartitionError::UnknownEpoch { name: name(), found, current })
        }
    }

    /// Takes a step of the replica and carries out what it says, then `then`, before the lock is released.
    pub(super) fn step(
        &self,
        input: &Input<'_>,
        then: impl FnOnce(),
    ) -> Result<(), PartitionError> {
        let mut effects = Vec::new();
        let mut replica = self.replica.lock().map_err(|_| self.poisoned())?;
        replica.step(input, &mut effects);
        for effect in &effects {
            if let Effect::AdvanceHighWatermark { to } = effect {
                self.high_watermark.store(to.get(), Ordering::Release);
            }
        }
        then();
        drop(replica);
        // Only wake-ups follow: a late one changes nothing.
        for effect in &effects {
            match effect {
                Effect::AdvanceHighWatermark { to } => {
                    self.traffic.acknowledged_batches.increment(self.waiters.committed(*to));
                    self.waiters.wake_readers();
                }
                Effect::FailWaiters => self.waiters.fail(),
                // The controller of several brokers hears of it; a broker alone has nobody to drop.
                Effect::ProposeIsr { .. } => {}
            }
        }
        Ok(())
    }
}
