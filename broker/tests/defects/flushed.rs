//! Partitions of one directory with their flusher, over the simulated disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use thalweg_broker::base::{Clock, ManualClock, Tasks};
use thalweg_broker::config::BrokerConfig;
use thalweg_broker::metrics::Metrics;
use thalweg_broker::partition::{
    Accepted, Directory, Flusher, FlusherWorker, Leadership, Member, Partition, PartitionError,
    Parts, Preparer, PreparerWorker, Replica, Settings,
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

/// The epoch in which the partitions are led.
pub const EPOCH: LeaderEpoch = LeaderEpoch::new(5);

const NOW: TimestampMs = TimestampMs::new(1_000_000);

/// The threads end when it is dropped, after a last sync of all that is not synced.
pub struct Flushed {
    pub disk: SimDisk,
    pub partitions: Vec<Arc<Partition>>,
    pub directory: Arc<Directory>,
    flusher: Option<FlusherWorker>,
    preparer: Option<PreparerWorker>,
}

impl Flushed {
    /// So many partitions, led by this broker in [`EPOCH`]; a round of syncs has so many threads at most.
    pub fn start(partitions: i32, threads_max: usize) -> Self {
        let disk = SimDisk::new(1);
        let config = BrokerConfig::default();
        let metrics = Metrics::new(&config);
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW));
        let owner = Owner { node: BrokerId::new(1), cluster: None };
        let options =
            LogDirOptions { free_bytes_min: 0, reserve_bytes: 0, open_files: OpenFiles::new(64) };
        let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
        let dir = LogDir::open(fs, Path::new("/data"), &owner, options).unwrap();
        let figures = metrics.directory(dir.path());
        let (tasks, syncs) = (Tasks::new(|_| {}), Arc::clone(&figures.syncs));
        let (flusher, worker) =
            Flusher::start(&dir, threads_max, Arc::clone(&clock), syncs, &tasks).unwrap();
        let (preparer, preparing) = Preparer::start(&tasks).unwrap();
        let directory = Arc::new(Directory::new(dir, flusher, preparer, figures));
        let settings = Settings::of_topic(&config, &BTreeMap::new());
        let led = (0..partitions).map(|number| {
            let partition = partition(number, &directory, &settings, &metrics);
            let brokers = vec![BrokerId::new(1)];
            let leadership = Leadership {
                epoch: EPOCH,
                partition_epoch: 0,
                replicas: brokers.clone(),
                isr: brokers,
            };
            partition.lead(&leadership, clock.now()).unwrap();
            partition
        });
        let partitions = led.collect();
        Self { disk, partitions, directory, flusher: Some(worker), preparer: Some(preparing) }
    }
}

impl Drop for Flushed {
    fn drop(&mut self) {
        if let Some(flusher) = self.flusher.take() {
            flusher.stop();
        }
        if let Some(preparer) = self.preparer.take() {
            preparer.stop();
        }
    }
}

fn partition(
    number: i32,
    directory: &Arc<Directory>,
    settings: &Settings,
    metrics: &Metrics,
) -> Arc<Partition> {
    let at = TopicPartition::new(TopicId::from_bytes([7; 16]), PartitionIndex::new(number));
    let topic = TopicName::new("events").unwrap();
    let metadata = PartitionMetadata { topic: at.topic, name: topic.to_string() };
    let log = Log::create(directory.dir(), at, &metadata, settings.log.clone(), NOW).unwrap();
    let member = Member { broker: BrokerId::new(1), broker_epoch: BrokerEpoch::new(1) };
    Arc::new(Partition::new(Parts {
        at,
        topic: topic.clone(),
        log,
        replica: Replica::new(member, settings.rules),
        settings: settings.clone(),
        directory: Arc::clone(directory),
        high_watermark: Offset::ZERO,
        traffic: metrics.topic(&topic),
        figures: metrics.partition(&topic, at.partition),
    }))
}

/// Appends a record of the producer with this sequence, with `acks=all`.
pub fn append(
    partition: &Arc<Partition>,
    sequence: i32,
    epoch: LeaderEpoch,
) -> Result<Accepted, PartitionError> {
    let mut builder = BatchBuilder::new(Compression::None, 1024);
    builder.try_append(NOW, None, Some(b"a record"), &[]).unwrap();
    let bytes: Bytes =
        builder.build(ProducerId::new(9), ProducerEpoch::new(0), Sequence::new(sequence));
    let header = partition.check(&bytes, NOW, &mut Scratch::new())?;
    partition.append(&CheckedBatch::new(header, bytes), epoch, true, NOW)
}
