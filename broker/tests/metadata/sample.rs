//! Records and folders that the tests share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use thalweg_broker::cluster::{
    AssignedReplica, BrokerFenceChanged, BrokerRegistered, ClusterCreated, Configs,
    DirectoryAssigned, DirectoryRegistered, Endpoint, FileMetadataLog, FileMetadataLogOptions,
    LeaderEpochsRaised, MetadataLogError, Partition, PartitionChanged, PartitionEpoch,
    PartitionsAdded, ProducerIdsReserved, Record, Replica, TopicConfigChanged, TopicCreated,
    TopicDeleted,
};
use thalweg_protocol::{
    BrokerEpoch, BrokerId, ClusterId, DirectoryId, LeaderEpoch, PartitionIndex, ProducerId,
    TopicId, TopicName,
};
use thalweg_storage::fs::FileSystem;
use thalweg_storage::fs::sim::SimDisk;

pub(crate) fn folder() -> PathBuf {
    PathBuf::from("/data/metadata")
}

/// A disk whose `/data` is there for good, as a log directory is before the metadata folder is made in it.
pub(crate) fn disk(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    disk.create_folder(Path::new("/data")).unwrap();
    disk.sync_folder(Path::new("/")).unwrap();
    disk
}

pub(crate) fn open(
    disk: &(impl FileSystem + Clone),
    snapshot_log_bytes: u64,
) -> Result<FileMetadataLog, MetadataLogError> {
    open_at(disk, &folder(), snapshot_log_bytes)
}

pub(crate) fn open_at(
    disk: &(impl FileSystem + Clone),
    folder: &Path,
    snapshot_log_bytes: u64,
) -> Result<FileMetadataLog, MetadataLogError> {
    let options = FileMetadataLogOptions { folder: folder.to_owned(), snapshot_log_bytes };
    FileMetadataLog::open(Arc::new(disk.clone()), options)
}

pub(crate) const BROKER: BrokerId = BrokerId::new(1);

pub(crate) fn directory(number: u8) -> DirectoryId {
    DirectoryId::from_bytes([number; 16])
}

pub(crate) fn topic_id(number: u8) -> TopicId {
    TopicId::from_bytes([number; 16])
}

pub(crate) fn cluster() -> Record {
    let cluster = ClusterId::from_bytes([0xc1; 16]);
    ClusterCreated { cluster, metadata_version: 1 }.into()
}

pub(crate) fn registered(epoch: i64) -> Record {
    BrokerRegistered {
        broker: BROKER,
        epoch: BrokerEpoch::new(epoch),
        endpoints: vec![Endpoint {
            listener: "auto".to_owned(),
            host: "broker-1.example".to_owned(),
            port: 9092,
        }],
        rack: Some("r1".to_owned()),
        release: "0.1.0".to_owned(),
        directories: vec![directory(0xd1)],
        fenced: false,
    }
    .into()
}

pub(crate) fn partition(index: i32) -> Arc<Partition> {
    Arc::new(Partition {
        index: PartitionIndex::new(index),
        replicas: vec![Replica { broker: BROKER, directory: DirectoryId::NONE }],
        isr: vec![BROKER],
        leader: BROKER,
        leader_epoch: LeaderEpoch::FIRST,
        partition_epoch: PartitionEpoch::FIRST,
    })
}

pub(crate) fn topic(number: u8, name: &str) -> Record {
    TopicCreated {
        topic: topic_id(number),
        name: TopicName::new(name).unwrap(),
        internal: false,
        configs: Configs::from([("retention.ms".to_owned(), "60000".to_owned())]),
        partitions: vec![partition(0), partition(1)],
    }
    .into()
}

/// Entries in which every kind of record comes once or more.
pub(crate) fn every_kind() -> Vec<Vec<Record>> {
    let epoch = BrokerEpoch::new(1);
    let assigned = |index: i32| AssignedReplica {
        topic: topic_id(0xa1),
        partition: PartitionIndex::new(index),
        directory: directory(0xd1),
    };
    vec![
        vec![cluster(), registered(1)],
        vec![topic(0xa1, "events")],
        vec![DirectoryAssigned { broker: BROKER, replicas: vec![assigned(0), assigned(1)] }.into()],
        vec![topic(0xa2, "short.lived")],
        vec![ProducerIdsReserved { broker: BROKER, next: ProducerId::new(1000) }.into()],
        vec![PartitionsAdded { topic: topic_id(0xa1), partitions: vec![partition(2)] }.into()],
        vec![
            TopicConfigChanged {
                topic: topic_id(0xa1),
                changes: [
                    ("retention.ms".to_owned(), None),
                    ("durability".to_owned(), Some("replicated".to_owned())),
                ]
                .into(),
            }
            .into(),
        ],
        vec![TopicDeleted { topic: topic_id(0xa2) }.into()],
        vec![DirectoryRegistered { broker: BROKER, directory: directory(0xd2) }.into()],
        vec![BrokerFenceChanged { broker: BROKER, epoch, fenced: true }.into()],
        vec![
            PartitionChanged {
                topic: topic_id(0xa1),
                partition: PartitionIndex::new(2),
                leader: BrokerId::NONE,
                leader_epoch: LeaderEpoch::new(1),
                isr: vec![BROKER],
                partition_epoch: PartitionEpoch::new(1),
            }
            .into(),
        ],
        vec![registered(2), LeaderEpochsRaised { broker: BROKER }.into()],
    ]
}
