//! One partition with its flusher over the simulated disk; its syncs wait while the test says so.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use thalweg_broker::base::{Clock, ManualClock, Tasks};
use thalweg_broker::config::BrokerConfig;
use thalweg_broker::metrics::Metrics;
use thalweg_broker::partition::{
    Accepted, Directory, Fetched, Flusher, FlusherWorker, Leadership, Member, Partition,
    PartitionError, Parts, Preparer, PreparerWorker, ReadRequest, Replica, Settings,
};
use thalweg_protocol::batch::{BatchBuilder, Compression, Scratch};
use thalweg_protocol::{
    BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId,
    Sequence, TimestampMs, TopicId, TopicName, TopicPartition,
};
use thalweg_storage::fs::FileSystem;
use thalweg_storage::fs::sim::SimDisk;
use thalweg_storage::{
    CheckedBatch, Log, LogDir, LogDirOptions, OpenFiles, Owner, PartitionMetadata,
};

use crate::gate::Gate;

/// The epoch in which the partition is led.
pub const EPOCH: LeaderEpoch = LeaderEpoch::new(5);

const NOW: TimestampMs = TimestampMs::new(1_000_000);

pub struct OnePartition {
    pub partition: Arc<Partition>,
    pub directory: Arc<Directory>,
    flusher: Option<FlusherWorker>,
    preparer: Option<PreparerWorker>,
    gate: Arc<Gate>,
}

impl OnePartition {
    /// Leads in [`EPOCH`]; nothing that is appended gets synced before [`OnePartition::let_sync`].
    pub fn unsynced() -> Self {
        let disk = SimDisk::new(1);
        let config = BrokerConfig::default();
        let metrics = Metrics::new(&config);
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW));
        let owner = Owner { node: BrokerId::new(1), cluster: None };
        let options =
            LogDirOptions { free_bytes_min: 0, reserve_bytes: 0, open_files: OpenFiles::new(16) };
        let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
        let dir = LogDir::open(fs, Path::new("/data"), &owner, options).unwrap();
        let figures = metrics.directory(dir.path());
        let (tasks, syncs) = (Tasks::new(|_| {}), Arc::clone(&figures.syncs));
        let (flusher, worker) = Flusher::start(&dir, 1, Arc::clone(&clock), syncs, &tasks).unwrap();
        let (preparer, preparing) = Preparer::start(&tasks).unwrap();
        let settings = Settings::of_topic(&config, &std::collections::BTreeMap::new());
        let at = TopicPartition::new(TopicId::from_bytes([7; 16]), PartitionIndex::new(0));
        let topic = TopicName::new("events").unwrap();
        let metadata = PartitionMetadata { topic: at.topic, name: topic.to_string() };
        let log = Log::create(&dir, at, &metadata, settings.log.clone(), NOW).unwrap();
        let member = Member { broker: BrokerId::new(1), broker_epoch: BrokerEpoch::new(1) };
        let directory = Arc::new(Directory::new(dir, flusher, preparer, figures));
        let partition = Arc::new(Partition::new(Parts {
            at,
            topic: topic.clone(),
            log,
            replica: Replica::new(member, settings.rules),
            settings,
            directory: Arc::clone(&directory),
            high_watermark: Offset::ZERO,
            traffic: metrics.topic(&topic),
            figures: metrics.partition(&topic, at.partition),
        }));
        let brokers = vec![BrokerId::new(1)];
        let leadership = Leadership {
            epoch: EPOCH,
            partition_epoch: 0,
            replicas: brokers.clone(),
            isr: brokers,
        };
        partition.lead(&leadership, clock.now()).unwrap();
        let gate = Arc::new(Gate::default());
        gate.set(true);
        let held = Arc::clone(&gate);
        disk.during_sync(move || held.pass());
        Self { partition, directory, flusher: Some(worker), preparer: Some(preparing), gate }
    }

    /// From now on syncs end.
    pub fn let_sync(&self) {
        self.gate.set(false);
    }

    /// Appends a record of this producer with `acks=all`.
    pub fn append(&self, sequence: i32, epoch: LeaderEpoch) -> Result<Accepted, PartitionError> {
        let mut builder = BatchBuilder::new(Compression::None, 1024);
        builder.try_append(NOW, None, Some(b"a record"), &[]).unwrap();
        let bytes: Bytes =
            builder.build(ProducerId::new(9), ProducerEpoch::new(0), Sequence::new(sequence));
        let header = self.partition.check(&bytes, NOW, &mut Scratch::new())?;
        self.partition.append(&CheckedBatch::new(header, bytes), epoch, true, NOW)
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

impl Drop for OnePartition {
    fn drop(&mut self) {
        self.let_sync();
        if let Some(flusher) = self.flusher.take() {
            flusher.stop();
        }
        if let Some(preparer) = self.preparer.take() {
            preparer.stop();
        }
    }
}
