//! The cluster as this broker sees it: brokers, topics, partitions, as of one index of the metadata log.
//!
//! An [`Image`] never changes once it is published: a change makes the next image, which shares with the
//! one before all that stayed the same. Only `replay` makes changes, from records alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use thalweg_protocol::{
    BrokerEpoch, BrokerId, ClusterId, DirectoryId, LeaderEpoch, PartitionIndex, ProducerId,
    TopicId, TopicName, TopicPartition, number,
};

use super::field::fields;

number! {
    /// The place of an entry in the metadata log, counted from 1; 0 is before the first.
    #[derive(Default)]
    MetadataIndex(u64)
}

impl MetadataIndex {
    /// Before the first entry.
    pub const ZERO: Self = Self::new(0);

    /// The index after this one; the largest one stays.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::new(self.get().saturating_add(1))
    }
}

number! {
    /// The reign in which an entry was proposed: always 1 until several brokers vote.
    #[derive(Default)]
    Term(u64)
}

impl Term {
    /// The term of the log of a broker that is alone.
    pub const FIRST: Self = Self::new(1);
}

number! {
    /// Raised with every change of a partition's entry; a leader's in-sync proposal names the one it knows.
    PartitionEpoch(i32)
}

impl PartitionEpoch {
    /// The epoch of a new partition.
    pub const FIRST: Self = Self::new(0);

    /// The epoch after this one; the largest one stays.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::new(self.get().saturating_add(1))
    }
}

/// A topic's settings that differ from the defaults, by name.
pub type Configs = BTreeMap<String, String>;

fields! {
    /// Where a broker is reached by the clients of one listener.
    pub struct Endpoint {
        /// The listener's name.
        pub listener: String,
        /// The host name or address to connect to.
        pub host: String,
        /// The port to connect to.
        pub port: u16,
    }

    /// One replica of a partition.
    pub struct Replica {
        /// The broker that holds it.
        pub broker: BrokerId,
        /// The log directory that its folder is in; [`DirectoryId::NONE`] until the broker has made the
        /// folder. Once set, a missing folder means a missing disk and is never made a second time.
        pub directory: DirectoryId,
    }

    /// One partition of a topic.
    pub struct Partition {
        /// Which one.
        pub index: PartitionIndex,
        /// All replicas, the preferred leader first; no broker twice.
        pub replicas: Vec<Replica>,
        /// The brokers in sync: a subset of the replicas, never empty.
        pub isr: Vec<BrokerId>,
        /// The leader, a member of `isr`, or [`BrokerId::NONE`].
        pub leader: BrokerId,
        /// Raised with every change of leader and every start of the leader; never falls.
        pub leader_epoch: LeaderEpoch,
        /// Raised with every change of leader, epoch or in-sync set; never falls.
        pub partition_epoch: PartitionEpoch,
    }
}

impl Partition {
    /// The replica that `broker` holds.
    pub fn replica(&self, broker: BrokerId) -> Option<&Replica> {
        self.replicas.iter().find(|replica| replica.broker == broker)
    }

    /// The brokers that hold replicas, the preferred leader first.
    pub fn brokers(&self) -> impl Iterator<Item = BrokerId> + '_ {
        self.replicas.iter().map(|replica| replica.broker)
    }

    /// Whether a replica is missing from the in-sync set.
    pub fn is_under_replicated(&self) -> bool {
        self.isr.len() < self.replicas.len()
    }
}

/// A broker that has registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its number.
    pub id: BrokerId,
    /// Its life: every start is a new epoch.
    pub epoch: BrokerEpoch,
    /// Where it is reached, one for each listener.
    pub endpoints: Vec<Endpoint>,
    /// The rack that it stands in.
    pub rack: Option<String>,
    /// Its release.
    pub release: String,
    /// Its log directories.
    pub directories: Vec<DirectoryId>,
    /// Whether it may not lead or be in sync: it has not reported for too long, or has not caught up yet.
    pub fenced: bool,
}

impl Broker {
    /// Where the clients of `listener` reach it.
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.listener == listener)
    }
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// Its name; no other topic has it.
    pub name: TopicName,
    /// Whether it is the brokers' own.
    pub internal: bool,
    /// Its settings that differ from the defaults.
    pub configs: Arc<Configs>,
    /// Its partitions: the one at place `i` has index `i`.
    pub partitions: Vec<Arc<Partition>>,
}

impl Topic {
    /// One of its partitions.
    pub fn partition(&self, index: PartitionIndex) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index.get()).ok()?)
    }
}

/// The cluster as of one index of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub(super) cluster: ClusterId,
    pub(super) metadata_version: u16,
    pub(super) index: MetadataIndex,
    pub(super) term: Term,
    pub(super) brokers: Arc<BTreeMap<BrokerId, Arc<Broker>>>,
    pub(super) topics: Arc<BTreeMap<TopicId, Arc<Topic>>>,
    pub(super) names: Arc<BTreeMap<TopicName, TopicId>>,
    /// The first producer id that no block holds yet.
    pub(super) producer_next: ProducerId,
    /// The largest broker epoch ever given.
    pub(super) broker_epoch_last: BrokerEpoch,
    pub(super) partition_count: usize,
}

impl Default for Image {
    fn default() -> Self {
        Self {
            cluster: ClusterId::NONE,
            metadata_version: 0,
            index: MetadataIndex::ZERO,
            term: Term::default(),
            brokers: Arc::default(),
            topics: Arc::default(),
            names: Arc::default(),
            producer_next: ProducerId::new(0),
            broker_epoch_last: BrokerEpoch::new(0),
            partition_count: 0,
        }
    }
}

impl Image {
    /// Whether there is no cluster yet: nothing was ever proposed.
    pub fn is_empty(&self) -> bool {
        self.cluster == ClusterId::NONE
    }

    /// The cluster; [`ClusterId::NONE`] as long as the image is empty.
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The version of the metadata's records that all brokers of the cluster know.
    pub const fn metadata_version(&self) -> u16 {
        self.metadata_version
    }

    /// The last entry of the metadata log that this image includes.
    pub const fn index(&self) -> MetadataIndex {
        self.index
    }

    /// The term of that entry.
    pub const fn term(&self) -> Term {
        self.term
    }

    /// All brokers, by id.
    pub fn brokers(&self) -> impl ExactSizeIterator<Item = &Arc<Broker>> {
        self.brokers.values()
    }

    /// The brokers that may lead, by id.
    pub fn live_brokers(&self) -> impl Iterator<Item = &Arc<Broker>> {
        self.brokers.values().filter(|broker| !broker.fenced)
    }

    /// One broker.
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<Broker>> {
        self.brokers.get(&id)
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.names.values().filter_map(|id| self.topics.get(id))
    }

    /// How many topics there are.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// How many partitions there are, in all topics.
    pub const fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// One topic, by id.
    pub fn topic(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.topics.get(&id)
    }

    /// One topic, by name.
    pub fn topic_named(&self, name: &str) -> Option<&Arc<Topic>> {
        // A text that is no topic name names no topic.
        let id = self.names.get(&TopicName::new(name).ok()?)?;
        self.topics.get(id)
    }

    /// One partition.
    pub fn partition(&self, at: TopicPartition) -> Option<&Arc<Partition>> {
        self.topic(at.topic)?.partition(at.partition)
    }

    /// Every partition with its topic, by topic id.
    pub fn partitions(&self) -> impl Iterator<Item = (&Arc<Topic>, &Arc<Partition>)> {
        self.topics
            .values()
            .flat_map(|topic| topic.partitions.iter().map(move |partition| (topic, partition)))
    }

    /// The first producer id that no block holds yet.
    pub const fn producer_next(&self) -> ProducerId {
        self.producer_next
    }
}
