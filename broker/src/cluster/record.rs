//! The records of the metadata log: what changed, one variant each, and their stored form.
//!
//! Owns the numbers of kinds and versions. A record of an unknown kind or of a later version was written by
//! a later release: it is refused, never skipped, since a broker that skips a change holds another image
//! than the rest of the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use thalweg_protocol::codec::{DecodeError, Reader, Writer};
use thalweg_protocol::{
    BrokerEpoch, BrokerId, ClusterId, DirectoryId, LeaderEpoch, PartitionIndex, ProducerId,
    TopicId, TopicName,
};

use super::field::{Field, fields};
use super::image::{Configs, Endpoint, Partition, PartitionEpoch};

/// The version of the metadata's records that this release writes.
pub const METADATA_VERSION: u16 = 1;

/// The fewest bytes of a stored record: kind, version and length.
pub(super) const RECORD_BYTES_MIN: usize = 8;

/// Declares the kinds: number, newest version, and the record's body.
macro_rules! kinds {
    ($($(#[$meta:meta])* $name:ident = $kind:literal, version $version:literal;)*) => {
        /// One change of the metadata.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Record {
            $($(#[$meta])* $name($name),)*
        }

        impl Record {
            /// The kind's name, for messages and logs.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                }
            }

            /// Writes kind, version, length and body.
            pub fn encode(&self, writer: &mut Writer) {
                let mut body = Writer::new();
                match self {
                    $(Self::$name(record) => {
                        writer.u16($kind);
                        writer.u16($version);
                        record.encode(&mut body);
                    })*
                }
                writer.bytes(&body.into_bytes());
            }

            fn decode_body(kind: u16, version: u16, body: Bytes) -> Result<Self, RecordError> {
                let mut reader = Reader::new(body);
                let (record, name) = match (kind, version) {
                    $(($kind, 1..=$version) => {
                        let record = $name::decode(&mut reader, stringify!($name));
                        (record.map(Self::$name), stringify!($name))
                    })*
                    $(($kind, found) => return Err(RecordError::Version {
                        name: stringify!($name),
                        found,
                        known: $version,
                    }),)*
                    _ => return Err(RecordError::Kind { kind, version }),
                };
                let refuse = |source| RecordError::Body { name, version, source };
                let record = record.map_err(refuse)?;
                reader.finish(name).map_err(refuse)?;
                Ok(record)
            }
        }

        $(impl From<$name> for Record {
            fn from(record: $name) -> Self {
                Self::$name(record)
            }
        })*
    };
}

kinds! {
    /// The cluster begins; the first record of every log.
    ClusterCreated = 1, version 1;
    /// A broker has started.
    BrokerRegistered = 2, version 1;
    /// A broker may lead again, or not any more.
    BrokerFenceChanged = 3, version 1;
    /// A broker has got another log directory while running.
    DirectoryRegistered = 4, version 1;
    /// A broker has started and leads again what it led, in a new epoch.
    LeaderEpochsRaised = 5, version 1;
    /// A new topic.
    TopicCreated = 6, version 1;
    /// A topic has grown.
    PartitionsAdded = 7, version 1;
    /// A topic's settings have changed.
    TopicConfigChanged = 8, version 1;
    /// A topic is gone.
    TopicDeleted = 9, version 1;
    /// A partition has another leader or another in-sync set.
    PartitionChanged = 10, version 1;
    /// A broker has made the folders of replicas.
    DirectoryAssigned = 11, version 1;
    /// Producer ids may be given out.
    ProducerIdsReserved = 12, version 1;
}

fields! {
    /// The cluster begins.
    pub struct ClusterCreated {
        /// Its id.
        pub cluster: ClusterId,
        /// The version of the records.
        pub metadata_version: u16,
    }

    /// A broker has started: replaces all that an earlier registration said.
    pub struct BrokerRegistered {
        /// The broker.
        pub broker: BrokerId,
        /// Its new life; above every epoch that any broker had before.
        pub epoch: BrokerEpoch,
        /// Where it is reached.
        pub endpoints: Vec<Endpoint>,
        /// The rack that it stands in.
        pub rack: Option<String>,
        /// Its release.
        pub release: String,
        /// Its log directories.
        pub directories: Vec<DirectoryId>,
        /// Whether it may not lead yet.
        pub fenced: bool,
    }

    /// A broker may lead again, or not any more.
    pub struct BrokerFenceChanged {
        /// The broker.
        pub broker: BrokerId,
        /// The life that this is said of.
        pub epoch: BrokerEpoch,
        /// Whether it may not lead.
        pub fenced: bool,
    }

    /// A broker has got another log directory while running.
    pub struct DirectoryRegistered {
        /// The broker.
        pub broker: BrokerId,
        /// The directory.
        pub directory: DirectoryId,
    }

    /// Raises leader epoch and partition epoch of every partition that the broker leads.
    pub struct LeaderEpochsRaised {
        /// The broker.
        pub broker: BrokerId,
    }

    /// A new topic, or one as a snapshot holds it.
    pub struct TopicCreated {
        /// Its id, never used before.
        pub topic: TopicId,
        /// Its name, which no other topic has.
        pub name: TopicName,
        /// Whether it is the brokers' own.
        pub internal: bool,
        /// Its settings that differ from the defaults.
        pub configs: Configs,
        /// Its partitions, from index 0 on without a gap.
        pub partitions: Vec<Arc<Partition>>,
    }

    /// A topic has grown.
    pub struct PartitionsAdded {
        /// The topic.
        pub topic: TopicId,
        /// The new partitions; their indexes go on where the topic's end.
        pub partitions: Vec<Arc<Partition>>,
    }

    /// A topic's settings have changed.
    pub struct TopicConfigChanged {
        /// The topic.
        pub topic: TopicId,
        /// New values by name; none goes back to the default.
        pub changes: BTreeMap<String, Option<String>>,
    }

    /// A topic is gone with all that was in it.
    pub struct TopicDeleted {
        /// The topic.
        pub topic: TopicId,
    }

    /// A partition has another leader or another in-sync set.
    pub struct PartitionChanged {
        /// The topic.
        pub topic: TopicId,
        /// The partition within it.
        pub partition: PartitionIndex,
        /// Its leader from now on, or -1.
        pub leader: BrokerId,
        /// The leader's epoch; above the one before if the leader is another.
        pub leader_epoch: LeaderEpoch,
        /// The brokers in sync.
        pub isr: Vec<BrokerId>,
        /// Above the one before.
        pub partition_epoch: PartitionEpoch,
    }

    /// A broker has made the folders of replicas, and synced them.
    pub struct DirectoryAssigned {
        /// The broker.
        pub broker: BrokerId,
        /// The replicas with their directories.
        pub replicas: Vec<AssignedReplica>,
    }

    /// One replica and the directory that its folder is in.
    pub struct AssignedReplica {
        /// The topic.
        pub topic: TopicId,
        /// The partition within it.
        pub partition: PartitionIndex,
        /// The directory.
        pub directory: DirectoryId,
    }

    /// Producer ids below `next` may have been given out; none of them is reserved again.
    pub struct ProducerIdsReserved {
        /// The broker that gives them out; -1 in a snapshot.
        pub broker: BrokerId,
        /// The first id that is still free.
        pub next: ProducerId,
    }
}

impl Record {
    /// Takes one record off the front of `reader`.
    pub fn decode(reader: &mut Reader) -> Result<Self, RecordError> {
        let head = |source| RecordError::Head { source };
        let kind = reader.u16("record kind").map_err(head)?;
        let version = reader.u16("record version").map_err(head)?;
        let body = reader.bytes("record body").map_err(head)?;
        Self::decode_body(kind, version, body)
    }
}

/// Why bytes are no record that this release understands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The kind is unknown: a later release wrote it.
    #[error(
        "metadata record of unknown kind {kind} (version {version}): it was written by a later release; start that release"
    )]
    Kind {
        /// The kind's number.
        kind: u16,
        /// The record's version.
        version: u16,
    },
    /// The version is unknown: a later release wrote it.
    #[error(
        "metadata record {name} has version {found}, this release knows 1 to {known}: it was written by a later release; start that release"
    )]
    Version {
        /// The kind.
        name: &'static str,
        /// The record's version.
        found: u16,
        /// The newest version that this release knows.
        known: u16,
    },
    /// The bytes do not hold kind, version and length.
    #[error("head of a metadata record: {source}")]
    Head {
        /// What is wrong.
        source: DecodeError,
    },
    /// The body is not what its kind and version say.
    #[error("metadata record {name}, version {version}: {source}")]
    Body {
        /// The kind.
        name: &'static str,
        /// The record's version.
        version: u16,
        /// What is wrong.
        source: DecodeError,
    },
}
