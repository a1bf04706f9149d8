//! One partition with its flusher over the simulated disk; its syncs wait while the test says so.

use std::sync::Arc;

use thalweg_broker::partition::{
    Accepted, Directory, Fetched, Partition, PartitionError, ReadRequest,
};
use thalweg_protocol::{LeaderEpoch, Offset};

pub use crate::flushed::EPOCH;
use crate::flushed::{Flushed, append};
use crate::gate::Gate;

pub struct OnePartition {
    pub partition: Arc<Partition>,
    pub directory: Arc<Directory>,
    /// Open again before the flusher is stopped.
    gate: Gate,
    _flushed: Flushed,
}

impl OnePartition {
    /// Leads in [`EPOCH`]; nothing that is appended gets synced before [`OnePartition::let_sync`].
    pub fn unsynced() -> Self {
        let flushed = Flushed::start(1, 1);
        let gate = Gate::before("flusher", &flushed.disk);
        gate.close();
        let partition = Arc::clone(&flushed.partitions[0]);
        let directory = Arc::clone(&flushed.directory);
        Self { partition, directory, gate, _flushed: flushed }
    }

    /// From now on syncs end.
    pub fn let_sync(&self) {
        self.gate.open();
    }

    /// Appends a record of this producer with `acks=all`.
    pub fn append(&self, sequence: i32, epoch: LeaderEpoch) -> Result<Accepted, PartitionError> {
        append(&self.partition, sequence, epoch)
    }

    pub fn fetch(&self, epoch: LeaderEpoch) -> Result<Fetched, PartitionError> {
        self.partition.fetch(&ReadRequest {
            leader_epoch: epoch,
            last_epoch: LeaderEpoch::UNCHECKED,
            offset: Offset::ZERO,
            bytes_max: 1024,
            at_least_one: true,
        })
    }
}
