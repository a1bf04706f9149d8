//! Who leads: the preferred replica if it can, and only a replica that is in sync.

use thalweg_protocol::{BrokerId, TopicId};

use crate::cluster::image::{Image, Partition};
use crate::cluster::record::{LeaderEpochsRaised, PartitionChanged, Record};

/// The first replica in the list that is in sync and `can_lead`: the preferred one whenever possible.
/// Never one that is not in sync: it may lack records that were acknowledged.
pub(super) fn leader_of(
    partition: &Partition,
    can_lead: impl Fn(BrokerId) -> bool,
) -> Option<BrokerId> {
    partition.brokers().find(|broker| partition.isr.contains(broker) && can_lead(*broker))
}

/// What a broker's start changes: what it leads goes on in a new leader epoch, so that nothing which an
/// earlier life of it wrote or promised passes for this one's, and what it can lead gets a leader.
/// A sole replica leads again, also after an unclean start: there is no other one to ask.
pub(super) fn on_start(image: &Image, broker: BrokerId) -> Vec<Record> {
    let mut records = Vec::new();
    if image.partitions().any(|(_, partition)| partition.leader == broker) {
        records.push(LeaderEpochsRaised { broker }.into());
    }
    records.extend(leaderless(image, broker));
    records
}

/// Makes `broker` lead what has no leader and has it in sync.
pub(super) fn leaderless(image: &Image, broker: BrokerId) -> Vec<Record> {
    let without_leader = image.partitions().filter(|(_, partition)| {
        partition.leader == BrokerId::NONE && partition.isr.contains(&broker)
    });
    without_leader
        .map(|(topic, partition)| change(topic.id, partition, broker, partition.isr.clone()))
        .collect()
}

/// Moves leadership away from `broker`, which is fenced, and takes it out of the in-sync sets; the last
/// member of a set stays, since only it is known to hold everything.
pub(super) fn without(image: &Image, broker: BrokerId) -> Vec<Record> {
    let live = |id: BrokerId| id != broker && image.broker(id).is_some_and(|known| !known.fenced);
    let mut records = Vec::new();
    for (topic, partition) in image.partitions() {
        if !partition.isr.contains(&broker) {
            continue;
        }
        let mut isr = partition.isr.clone();
        if isr.len() > 1 {
            isr.retain(|member| *member != broker);
        }
        let leader = if partition.leader == broker {
            leader_of(partition, live).unwrap_or(BrokerId::NONE)
        } else {
            partition.leader
        };
        if leader != partition.leader || isr != partition.isr {
            records.push(change(topic.id, partition, leader, isr));
        }
    }
    records
}

/// The record that gives a partition a leader and an in-sync set.
pub(super) fn change(
    topic: TopicId,
    partition: &Partition,
    leader: BrokerId,
    isr: Vec<BrokerId>,
) -> Record {
    let leader_epoch = if leader == partition.leader {
        partition.leader_epoch
    } else {
        partition.leader_epoch.next()
    };
    PartitionChanged {
        topic,
        partition: partition.index,
        leader,
        leader_epoch,
        isr,
        partition_epoch: partition.partition_epoch.next(),
    }
    .into()
}
