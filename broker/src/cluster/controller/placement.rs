//! Where replicas go: evenly over brokers and racks, evenly over a broker's log directories.

use std::collections::BTreeMap;
use std::sync::Arc;

use thalweg_protocol::{BrokerId, DirectoryId, LeaderEpoch, PartitionIndex};

use crate::cluster::image::{Broker, Image, Partition, PartitionEpoch, Replica};

/// How much each live broker carries, as partitions are placed one after the other.
#[derive(Debug)]
pub(super) struct Placement {
    brokers: Vec<Load>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Load {
    broker: BrokerId,
    rack: Option<String>,
    leaders: usize,
    replicas: usize,
}

impl Placement {
    /// The load as the image has it.
    pub(super) fn new(image: &Image) -> Self {
        let mut loads: BTreeMap<BrokerId, Load> =
            image.live_brokers().map(|broker| (broker.id, Load::none(broker))).collect();
        for (_, partition) in image.partitions() {
            for (place, broker) in partition.brokers().enumerate() {
                if let Some(load) = loads.get_mut(&broker) {
                    load.add(place);
                }
            }
        }
        Self { brokers: loads.into_values().collect() }
    }

    /// How many brokers can take replicas.
    pub(super) const fn broker_count(&self) -> usize {
        self.brokers.len()
    }

    /// A new partition with `replicas` replicas, all in sync, led by the first.
    ///
    /// The leader is the broker that is the preferred leader of the fewest partitions; each further replica
    /// goes where no rack is used twice if that is possible, then to the broker with the fewest replicas.
    pub(super) fn place(&mut self, index: PartitionIndex, replicas: usize) -> Arc<Partition> {
        assert!(replicas <= self.brokers.len(), "the replication factor was checked before");
        let mut chosen: Vec<usize> = Vec::with_capacity(replicas);
        for place in 0..replicas {
            let best = self.best(&chosen, place).expect("fewer are chosen than there are brokers");
            if let Some(load) = self.brokers.get_mut(best) {
                load.add(place);
            }
            chosen.push(best);
        }
        let isr: Vec<BrokerId> =
            chosen.iter().filter_map(|at| self.brokers.get(*at)).map(|load| load.broker).collect();
        let unassigned = |broker| Replica { broker, directory: DirectoryId::NONE };
        Arc::new(Partition {
            index,
            replicas: isr.iter().copied().map(unassigned).collect(),
            leader: isr.first().copied().unwrap_or(BrokerId::NONE),
            isr,
            leader_epoch: LeaderEpoch::FIRST,
            partition_epoch: PartitionEpoch::FIRST,
        })
    }

    /// The broker, by its place in the list, that takes the next replica.
    fn best(&self, chosen: &[usize], place: usize) -> Option<usize> {
        let racks: Vec<&Option<String>> =
            chosen.iter().filter_map(|at| self.brokers.get(*at)).map(|load| &load.rack).collect();
        let open = self.brokers.iter().enumerate().filter(|(at, _)| !chosen.contains(at));
        let cost = |load: &Load| {
            let rack_used = load.rack.is_some() && racks.contains(&&load.rack);
            let leaders = if place == 0 { load.leaders } else { 0 };
            (rack_used, leaders, load.replicas, load.broker)
        };
        open.min_by_key(|(_, load)| cost(load)).map(|(at, _)| at)
    }
}

impl Load {
    fn none(broker: &Arc<Broker>) -> Self {
        Self { broker: broker.id, rack: broker.rack.clone(), leaders: 0, replicas: 0 }
    }

    /// Counts a replica that stands at `place` in its partition's list.
    const fn add(&mut self, place: usize) {
        self.replicas += 1;
        if place == 0 {
            self.leaders += 1;
        }
    }
}

/// The directory that a broker makes its next replica in: of `candidates` (those that are online and have
/// room) the one with the fewest replicas, `pending` ones included that are made but not yet committed.
/// The earlier candidate wins a tie. None without candidates.
pub fn directory_for(
    image: &Image,
    broker: BrokerId,
    candidates: &[DirectoryId],
    pending: &[DirectoryId],
) -> Option<DirectoryId> {
    let mut counts: BTreeMap<DirectoryId, usize> = BTreeMap::new();
    let replicas = image.partitions().filter_map(|(_, partition)| partition.replica(broker));
    for directory in replicas.map(|replica| &replica.directory).chain(pending) {
        *counts.entry(*directory).or_default() += 1;
    }
    let count = |directory: &&DirectoryId| counts.get(directory).copied().unwrap_or(0);
    candidates.iter().min_by_key(count).copied()
}
