//! The metadata of one broker over a simulated disk of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thalweg_broker::cluster::{
    FileMetadataLog, FileMetadataLogOptions, MetadataHandle, MetadataLog, MetadataOptions,
    MetadataWorker, Publisher, Registration, Rules,
};
use thalweg_protocol::{BrokerId, ClusterId, DirectoryId};
use thalweg_storage::fs::FileSystem;
use thalweg_storage::fs::sim::SimDisk;

/// The broker is registered, and there is no topic.
pub async fn metadata(broker: BrokerId, patience: Duration) -> MetadataHandle {
    let disk = SimDisk::new(2);
    disk.create_folder(Path::new("/data")).unwrap();
    disk.sync_folder(Path::new("/")).unwrap();
    let folder = PathBuf::from("/data/metadata");
    let options = FileMetadataLogOptions { folder, snapshot_log_bytes: 1 << 20 };
    let log = FileMetadataLog::open(Arc::new(disk), options).unwrap();
    let options = MetadataOptions { broker, rules: Rules::default(), requests_max: 16 };
    let publisher = Publisher::new(log.image());
    let (worker, metadata) = MetadataWorker::new(options, log, publisher);
    worker.spawn().unwrap();
    let registration = Registration {
        cluster: ClusterId::from_bytes([1; 16]),
        broker,
        endpoints: Vec::new(),
        rack: None,
        release: "0.1.0".to_owned(),
        directories: vec![DirectoryId::from_bytes([1; 16])],
    };
    metadata.register_broker(registration, patience).await.unwrap();
    metadata
}
