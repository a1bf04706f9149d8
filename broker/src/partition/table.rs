//! The partitions that this broker holds, by topic id and number.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use thalweg_protocol::{BrokerId, DirectoryId, LeaderEpoch, TopicId, TopicPartition};
use tokio::sync::watch;

use super::directory::Directory;
use super::error::PartitionError;
use super::partition::Partition;

/// A replica that this broker should hold.
#[derive(Clone, Debug)]
enum Entry {
    /// It is there.
    Online(Arc<Partition>),
    /// Its disk, folder or log is not; the reason in words.
    Offline { name: String, reason: String },
}

/// Every partition of this broker. Looked into on every request; changed when the metadata changes.
#[derive(Debug)]
pub struct Table {
    me: BrokerId,
    directories: Vec<Arc<Directory>>,
    entries: RwLock<HashMap<TopicPartition, Entry>>,
    /// How many partitions of each topic are known, to tell an unknown topic from an unknown partition.
    topics: RwLock<HashMap<TopicId, usize>>,
    /// Rises whenever an image was carried out.
    carried_out: watch::Sender<u64>,
}

impl Table {
    /// An empty table of broker `me`.
    pub fn new(me: BrokerId, directories: Vec<Arc<Directory>>) -> Self {
        let (entries, topics, carried_out) = Default::default();
        Self { me, directories, entries, topics, carried_out }
    }

    /// This broker.
    pub const fn me(&self) -> BrokerId {
        self.me
    }

    /// This broker's log directories.
    pub fn directories(&self) -> &[Arc<Directory>] {
        &self.directories
    }

    /// The partition, or why it cannot be used.
    pub fn get(&self, at: TopicPartition) -> Result<Arc<Partition>, PartitionError> {
        match self.entries.read().unwrap_or_else(PoisonError::into_inner).get(&at) {
            Some(Entry::Online(partition)) => Ok(Arc::clone(partition)),
            Some(Entry::Offline { name, reason }) => {
                Err(PartitionError::Offline { name: name.clone(), reason: reason.clone() })
            }
            None if self.knows(at.topic) => Err(PartitionError::UnknownPartition { at }),
            None => Err(PartitionError::UnknownTopic { at }),
        }
    }

    /// Asks the partition. One that is taken out meanwhile answers like one that is not there, whatever went wrong with
    /// its files.
    pub fn ask<T>(
        &self,
        at: TopicPartition,
        question: impl FnOnce(&Arc<Partition>) -> Result<T, PartitionError>,
    ) -> Result<T, PartitionError> {
        question(&self.get(at)?).map_err(|error| self.get(at).err().unwrap_or(error))
    }

    /// Whether the partition is here, usable or not.
    pub fn contains(&self, at: TopicPartition) -> bool {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).contains_key(&at)
    }

    /// Whether the partition is led here in this epoch or a later one, or is known to be offline.
    pub fn is_served(&self, at: TopicPartition, epoch: LeaderEpoch) -> bool {
        match self.entries.read().unwrap_or_else(PoisonError::into_inner).get(&at) {
            Some(Entry::Online(partition)) => partition.leads_in(epoch),
            Some(Entry::Offline { .. }) => true,
            None => false,
        }
    }

    /// The partitions are what the newest image makes of them, as far as they can be: wakes who waits for that.
    pub fn tell_carried_out(&self) {
        self.carried_out.send_modify(|times| *times = times.wrapping_add(1));
    }

    /// Changes whenever [`Table::tell_carried_out`] is called.
    pub fn watch_carried_out(&self) -> watch::Receiver<u64> {
        self.carried_out.subscribe()
    }

    /// Every partition that can be used.
    pub fn online(&self) -> Vec<Arc<Partition>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let online = entries.values().filter_map(|entry| match entry {
            Entry::Online(partition) => Some(Arc::clone(partition)),
            Entry::Offline { .. } => None,
        });
        online.collect()
    }

    /// The partitions that can be used and lie in this directory.
    pub fn held_by(&self, directory: DirectoryId) -> Vec<Arc<Partition>> {
        let mut held = self.online();
        held.retain(|partition| partition.dir().directory_id() == directory);
        held
    }

    /// The partitions that cannot be used, with the reason.
    pub fn offline(&self) -> Vec<(String, String)> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let offline = entries.values().filter_map(|entry| match entry {
            Entry::Offline { name, reason } => Some((name.clone(), reason.clone())),
            Entry::Online(_) => None,
        });
        offline.collect()
    }

    /// A partition can be used from now on.
    pub fn insert(&self, partition: Arc<Partition>) {
        self.put(partition.at(), Entry::Online(partition));
    }

    /// A partition that should be here cannot be used.
    pub fn insert_offline(&self, at: TopicPartition, name: String, reason: String) {
        self.put(at, Entry::Offline { name, reason });
    }

    /// Takes a partition out.
    pub fn remove(&self, at: TopicPartition) -> Option<Arc<Partition>> {
        let removed = self.entries.write().unwrap_or_else(PoisonError::into_inner).remove(&at)?;
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = topics.get_mut(&at.topic) {
            *count -= 1;
            if *count == 0 {
                topics.remove(&at.topic);
            }
        }
        match removed {
            Entry::Online(partition) => Some(partition),
            Entry::Offline { .. } => None,
        }
    }

    fn put(&self, at: TopicPartition, entry: Entry) {
        let before = self.entries.write().unwrap_or_else(PoisonError::into_inner).insert(at, entry);
        if before.is_none() {
            let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
            *topics.entry(at.topic).or_default() += 1;
        }
    }

    fn knows(&self, topic: TopicId) -> bool {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).contains_key(&topic)
    }
}
