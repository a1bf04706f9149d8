//! Reads the metadata and takes the broker's place in the cluster.

use std::sync::Arc;
use std::time::Duration;

use thalweg_protocol::{BrokerEpoch, ClusterId};
use thalweg_storage::LogDir;
use thalweg_storage::fs::FileSystem;
use tokio::runtime::Runtime;

use super::error::StartError;
use super::sockets::{Sockets, endpoints};
use crate::cluster::{
    FileMetadataLog, FileMetadataLogOptions, MetadataHandle, MetadataLog, MetadataOptions,
    MetadataWorker, Publisher, Registration, Rules, cluster_to_join,
};
use crate::config::BrokerConfig;

/// How long registering with the metadata may take.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests to the metadata that wait at most.
const METADATA_REQUESTS_MAX: usize = 1_024;

/// Once the metadata log has so many bytes, a snapshot takes its place.
const METADATA_SNAPSHOT_BYTES: u64 = 8 * 1024 * 1024;

/// The folder of the metadata in the first log directory.
const METADATA_FOLDER: &str = "metadata";

/// The broker's place in the cluster.
pub(super) struct Membership {
    pub(super) metadata: MetadataHandle,
    pub(super) cluster: ClusterId,
    pub(super) epoch: BrokerEpoch,
}

/// Reads the metadata and registers this start of the broker: a new broker epoch, new leader epochs.
pub(super) fn join(
    fs: &Arc<dyn FileSystem>,
    config: &BrokerConfig,
    directories: &[Arc<LogDir>],
    sockets: &Sockets,
    control: &Runtime,
) -> Result<Membership, StartError> {
    let folder = config.data_dirs.first().map(|dir| dir.join(METADATA_FOLDER)).unwrap_or_default();
    let log = FileMetadataLog::open(
        Arc::clone(fs),
        FileMetadataLogOptions { folder, snapshot_log_bytes: METADATA_SNAPSHOT_BYTES },
    )?;
    let image = log.image();
    let known = directories.iter().map(|dir| dir.identity().cluster);
    let cluster = cluster_to_join(&image, config.cluster_id, known, ClusterId::random())?;
    let options = MetadataOptions {
        broker: config.node_id,
        rules: Rules::of(config),
        requests_max: METADATA_REQUESTS_MAX,
    };
    let (worker, metadata) = MetadataWorker::new(options, log, Publisher::new(image));
    worker.spawn().map_err(StartError::Thread)?;
    let registration = Registration {
        cluster,
        broker: config.node_id,
        endpoints: endpoints(sockets),
        rack: config.rack.clone(),
        release: env!("CARGO_PKG_VERSION").to_owned(),
        directories: directories.iter().map(|dir| dir.directory_id()).collect(),
    };
    let register = metadata.register_broker(registration, REGISTER_TIMEOUT);
    let epoch = control.block_on(register)?;
    // Only once the metadata has it: a folder that names a cluster which nobody knows would be refused.
    for dir in directories {
        dir.set_cluster(Some(cluster))?;
    }
    Ok(Membership { metadata, cluster, epoch })
}
