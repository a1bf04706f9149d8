//! Brokers: registration with a new epoch, fencing, log directories and which replica is in which.

use thalweg_protocol::{BrokerEpoch, BrokerId, ClusterId, DirectoryId, TopicPartition};

use super::election;
use super::{Each, Refusal};
use crate::cluster::image::{Endpoint, Image};
use crate::cluster::record::{
    AssignedReplica, BrokerFenceChanged, BrokerRegistered, ClusterCreated, DirectoryAssigned,
    DirectoryRegistered, METADATA_VERSION, Record,
};

/// What a broker says of itself when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The cluster that its log directories belong to. When the metadata is empty, the cluster to create.
    pub cluster: ClusterId,
    /// Its number; not negative.
    pub broker: BrokerId,
    /// Where it is reached, one for each listener.
    pub endpoints: Vec<Endpoint>,
    /// The rack that it stands in.
    pub rack: Option<String>,
    /// Its release.
    pub release: String,
    /// Its log directories that are online.
    pub directories: Vec<DirectoryId>,
}

/// Registers a broker's start: a new broker epoch, a new leader epoch for what it leads, and the cluster
/// itself if there is none. Returns the records and the broker's new epoch.
pub(in crate::cluster) fn register(
    image: &Image,
    asked: &Registration,
) -> Result<(Vec<Record>, BrokerEpoch), Refusal> {
    let broker = asked.broker;
    if broker.get() < 0 {
        return Err(Refusal::BrokerId { broker });
    }
    let mut records = Vec::new();
    if image.is_empty() {
        let (cluster, metadata_version) = (asked.cluster, METADATA_VERSION);
        records.push(ClusterCreated { cluster, metadata_version }.into());
    } else if image.cluster() != asked.cluster {
        let (expected, found) = (image.cluster(), asked.cluster);
        return Err(Refusal::ForeignCluster { broker, expected, found });
    }
    let epoch = BrokerEpoch::new(image.broker_epoch_last.get() + 1);
    let registered = BrokerRegistered {
        broker,
        epoch,
        endpoints: asked.endpoints.clone(),
        rack: asked.rack.clone(),
        release: asked.release.clone(),
        directories: directories(image, asked),
        fenced: false,
    };
    records.push(registered.into());
    records.extend(election::on_start(image, broker));
    Ok((records, epoch))
}

/// The directories that are online now, then those of earlier lives that still hold replicas: a disk that is
/// away stays known, so that its return is no surprise.
fn directories(image: &Image, asked: &Registration) -> Vec<DirectoryId> {
    let mut directories = asked.directories.clone();
    if let Some(known) = image.broker(asked.broker) {
        let away = known.directories.iter().filter(|one| !asked.directories.contains(one));
        directories.extend(away);
    }
    directories
}

/// Fences a broker, or lets it lead again. Nothing when it stays as it is.
pub(in crate::cluster) fn change_fence(
    image: &Image,
    broker: BrokerId,
    epoch: BrokerEpoch,
    fenced: bool,
) -> Result<Vec<Record>, Refusal> {
    check_epoch(image, broker, epoch)?;
    if image.broker(broker).is_some_and(|known| known.fenced == fenced) {
        return Ok(Vec::new());
    }
    let mut records = vec![BrokerFenceChanged { broker, epoch, fenced }.into()];
    if fenced {
        records.extend(election::without(image, broker));
    } else {
        records.extend(election::leaderless(image, broker));
    }
    Ok(records)
}

/// Makes another log directory of a running broker known.
pub(in crate::cluster) fn register_directory(
    image: &Image,
    broker: BrokerId,
    epoch: BrokerEpoch,
    directory: DirectoryId,
) -> Result<Vec<Record>, Refusal> {
    check_epoch(image, broker, epoch)?;
    if image.broker(broker).is_some_and(|known| known.directories.contains(&directory)) {
        return Ok(Vec::new());
    }
    Ok(vec![DirectoryRegistered { broker, directory }.into()])
}

/// Notes in which directories a broker has made the folders of its replicas; each replica succeeds or
/// fails on its own (its topic may be gone by now), and one record holds those that succeed.
pub(in crate::cluster) fn assign_directories(
    image: &Image,
    broker: BrokerId,
    epoch: BrokerEpoch,
    replicas: &[AssignedReplica],
) -> Result<(Vec<Record>, Each<()>), Refusal> {
    check_epoch(image, broker, epoch)?;
    let results: Vec<_> =
        replicas.iter().map(|assigned| check_assignment(image, broker, assigned)).collect();
    let accepted = replicas.iter().zip(&results).filter(|(_, result)| *result == &Ok(true));
    let accepted: Vec<_> = accepted.map(|(assigned, _)| assigned.clone()).collect();
    let records = if accepted.is_empty() {
        Vec::new()
    } else {
        vec![DirectoryAssigned { broker, replicas: accepted }.into()]
    };
    Ok((records, results.into_iter().map(|result| result.map(drop)).collect()))
}

/// Whether the assignment is news.
fn check_assignment(
    image: &Image,
    broker: BrokerId,
    assigned: &AssignedReplica,
) -> Result<bool, Refusal> {
    let (partition, found) =
        (TopicPartition::new(assigned.topic, assigned.partition), assigned.directory);
    if !image.broker(broker).is_some_and(|known| known.directories.contains(&found)) {
        return Err(Refusal::UnknownDirectory { broker, directory: found });
    }
    let known = image.partition(partition).ok_or(Refusal::UnknownPartition { partition })?;
    let replica = known.replica(broker).ok_or(Refusal::NotReplica { broker, partition })?;
    match replica.directory {
        DirectoryId::NONE => Ok(true),
        current if current == found => Ok(false),
        current => Err(Refusal::DirectoryTaken { partition, broker, current, found }),
    }
}

/// Refuses what an earlier life of a broker asks for.
pub(super) fn check_epoch(
    image: &Image,
    broker: BrokerId,
    found: BrokerEpoch,
) -> Result<(), Refusal> {
    match image.broker(broker) {
        None => Err(Refusal::UnknownBroker { broker }),
        Some(known) if known.epoch != found => {
            Err(Refusal::BrokerEpoch { broker, current: known.epoch, found })
        }
        Some(_) => Ok(()),
    }
}
