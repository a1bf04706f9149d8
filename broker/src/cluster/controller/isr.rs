//! In-sync sets: a leader proposes, the controller checks that leader and members are who they were.

use thalweg_protocol::{BrokerEpoch, BrokerId, LeaderEpoch, TopicPartition};

use super::{Refusal, brokers, election};
use crate::cluster::image::{Image, PartitionEpoch};
use crate::cluster::record::Record;

/// A member of a proposed in-sync set, with the life of the broker that the leader has seen fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsrMember {
    /// The broker.
    pub broker: BrokerId,
    /// Its epoch as it last fetched.
    pub broker_epoch: BrokerEpoch,
}

/// A leader's proposal of another in-sync set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrProposal {
    /// The partition.
    pub partition: TopicPartition,
    /// The leader that proposes.
    pub leader: BrokerId,
    /// The leader's life.
    pub broker_epoch: BrokerEpoch,
    /// The leader epoch that it leads in.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch that it knows.
    pub partition_epoch: PartitionEpoch,
    /// The set.
    pub isr: Vec<IsrMember>,
}

/// Accepts a proposed in-sync set, or refuses one that speaks of the past: a member that has restarted
/// since may have lost what the leader saw it hold.
pub(in crate::cluster) fn change_isr(
    image: &Image,
    asked: &IsrProposal,
) -> Result<Vec<Record>, Refusal> {
    let at = asked.partition;
    brokers::check_epoch(image, asked.leader, asked.broker_epoch)?;
    let partition = image.partition(at).ok_or(Refusal::UnknownPartition { partition: at })?;
    if partition.leader != asked.leader || partition.leader_epoch != asked.leader_epoch {
        return Err(Refusal::StaleLeader {
            partition: at,
            broker: asked.leader,
            found: asked.leader_epoch,
            leader: partition.leader,
            current: partition.leader_epoch,
        });
    }
    if partition.partition_epoch != asked.partition_epoch {
        let (found, current) = (asked.partition_epoch, partition.partition_epoch);
        return Err(Refusal::StalePartition { partition: at, found, current });
    }
    for member in &asked.isr {
        brokers::check_epoch(image, member.broker, member.broker_epoch)?;
    }
    let isr: Vec<BrokerId> = asked.isr.iter().map(|member| member.broker).collect();
    let reason = if !isr.contains(&asked.leader) {
        Some("the leader is missing")
    } else if isr.iter().any(|member| partition.replica(*member).is_none()) {
        Some("a member is no replica")
    } else if isr
        .iter()
        .enumerate()
        .any(|(place, one)| isr.iter().skip(place + 1).any(|two| two == one))
    {
        Some("a member is named twice")
    } else if isr.iter().any(|member| image.broker(*member).is_some_and(|known| known.fenced)) {
        Some("a member is fenced")
    } else {
        None
    };
    match reason {
        Some(reason) => Err(Refusal::Isr { partition: at, isr, reason }),
        None if isr == partition.isr => Ok(Vec::new()),
        None => Ok(vec![election::change(at.topic, partition, asked.leader, isr)]),
    }
}
