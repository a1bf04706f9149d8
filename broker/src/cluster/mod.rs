//! The metadata of the cluster: which brokers, topics and partitions there are, who leads what, and how
//! that changes.
//!
//! Owns the metadata log ([`MetadataLog`]; [`FileMetadataLog`] for a broker that is alone), the [`Image`]
//! that its records add up to, and the controller, whose pure functions make records of an image and a
//! request, or a refusal. Everybody else reads images and asks through the [`MetadataHandle`].
//!
//! Never touches a partition's log. Nobody awaits a disk on an async worker here: one thread of its own
//! plans, proposes and publishes.
//!
//! Invariants: an image holds exactly what the records up to its index say; a request is answered when the
//! local image includes its index; what was answered survives any crash; leader, partition and broker epochs
//! never fall; no producer id is given out twice.
//!
//! Liveness has its place here and comes with the second broker: `heartbeat` will fence a broker that has
//! not reported for too long (`BrokerFenceChanged`), and `raft` will stand beside the file log behind the
//! same trait, with that log's state as its first snapshot.

mod controller;
mod delta;
mod field;
mod file_log;
mod handle;
mod identity;
mod image;
mod log_folder;
mod metadata_log;
mod publisher;
mod record;
mod replay;
mod replay_error;
mod snapshot;
mod stored;
#[cfg(test)]
mod tests;
mod worker;

pub use controller::{
    CreatedTopic, Each, IsrMember, IsrProposal, NewTopic, OFFSETS_TOPIC, ProducerIdBlock, Refusal,
    Registration, Rules, TopicChange, directory_for,
};
pub use delta::Delta;
pub use file_log::{FileMetadataLog, FileMetadataLogOptions};
pub use handle::{MetadataError, MetadataHandle};
pub use identity::{IdentityError, cluster_to_join};
pub use image::{
    Broker, Configs, Endpoint, Image, MetadataIndex, Partition, PartitionEpoch, Replica, Term,
    Topic,
};
pub use metadata_log::{MetadataLog, MetadataLogError, Subscriber};
pub use publisher::Publisher;
pub use record::{
    AssignedReplica, BrokerFenceChanged, BrokerRegistered, ClusterCreated, DirectoryAssigned,
    DirectoryRegistered, LeaderEpochsRaised, METADATA_VERSION, PartitionChanged, PartitionsAdded,
    ProducerIdsReserved, Record, RecordError, TopicConfigChanged, TopicCreated, TopicDeleted,
};
pub use replay_error::ReplayError;
pub use worker::{MetadataOptions, MetadataWorker};
