//! Brokers, their log directories, and what is wrong with them.

use std::sync::Arc;

use thalweg_protocol::{BrokerId, DirectoryId};

use super::{Context, Services};
use crate::cluster::{Broker, Image};
use crate::partition::Directory;

/// The cluster as this broker sees it.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) image: Arc<Image>,
    pub(crate) listener: Arc<str>,
    pub(crate) brokers: Vec<DescribedBroker>,
    pub(crate) leaderless: usize,
    pub(crate) under_replicated: usize,
}

/// One broker.
#[derive(Debug)]
pub(crate) struct DescribedBroker {
    pub(crate) broker: Arc<Broker>,
    pub(crate) leaders: usize,
    pub(crate) replicas: usize,
    /// Known for this broker only.
    pub(crate) directories: Vec<DescribedDirectory>,
}

/// One log directory of this broker.
#[derive(Debug)]
pub(crate) struct DescribedDirectory {
    pub(crate) id: DirectoryId,
    pub(crate) path: String,
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) total_bytes: u64,
    pub(crate) free_bytes: u64,
    pub(crate) replicas: usize,
}

/// Counts what the image says.
pub(super) fn answer(services: &Services, context: &Context) -> Response {
    let image = services.metadata.image();
    let me = services.table.me();
    let brokers = image
        .brokers()
        .map(|broker| DescribedBroker {
            leaders: count(&image, |partition| partition.leader == broker.id),
            replicas: count(&image, |partition| partition.replica(broker.id).is_some()),
            directories: if broker.id == me {
                directories(services, &image, me)
            } else {
                Vec::new()
            },
            broker: Arc::clone(broker),
        })
        .collect();
    Response {
        leaderless: count(&image, |partition| partition.leader == BrokerId::NONE),
        under_replicated: count(&image, crate::cluster::Partition::is_under_replicated),
        brokers,
        listener: Arc::clone(&context.listener),
        image,
    }
}

fn count(image: &Image, wanted: impl Fn(&crate::cluster::Partition) -> bool) -> usize {
    image.partitions().filter(|(_, partition)| wanted(partition)).count()
}

fn directories(services: &Services, image: &Image, me: BrokerId) -> Vec<DescribedDirectory> {
    let describe = |directory: &Arc<Directory>| {
        let (state, reason) = directory.state_in_words();
        let dir = directory.dir();
        // A disk that does not answer is shown with nothing on it; its state says why.
        let space = dir.fs().space(dir.path()).ok();
        DescribedDirectory {
            id: dir.directory_id(),
            path: dir.path().display().to_string(),
            state: state.to_owned(),
            reason,
            total_bytes: space.map_or(0, |space| space.total),
            free_bytes: space.map_or(0, |space| space.free),
            replicas: count(image, |partition| {
                partition.replica(me).is_some_and(|replica| replica.directory == dir.directory_id())
            }),
        }
    };
    services.table.directories().iter().map(describe).collect()
}
