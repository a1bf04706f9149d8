//! Topics: create, alter, delete.

use std::sync::Arc;

use thalweg_protocol::{PartitionIndex, TopicId, TopicName};

use super::configs::Owner;
use super::placement::Placement;
use super::{Refusal, Rules, configs};
use crate::cluster::image::{Image, Partition, Topic};
use crate::cluster::record::{
    PartitionsAdded, Record, TopicConfigChanged, TopicCreated, TopicDeleted,
};

/// The internal topic of groups and their offsets: only the brokers make it, write to it and change it.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; none takes the default.
    pub partitions: Option<i32>,
    /// How many replicas of each; none takes the default.
    pub replication_factor: Option<i16>,
    /// Settings that differ from the defaults.
    pub configs: Vec<(String, String)>,
    /// Whether it is the brokers' own.
    pub internal: bool,
}

/// A topic that was created, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id; [`TopicId::NONE`] when it was only validated.
    pub id: TopicId,
    /// Its name.
    pub name: TopicName,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many replicas each has.
    pub replication_factor: i16,
}

/// Changes to one topic: made all together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicChange {
    /// Its name.
    pub name: String,
    /// How many partitions it shall have; it can only grow.
    pub partitions: Option<i32>,
    /// Settings to change; none goes back to the default.
    pub configs: Vec<(String, Option<String>)>,
}

/// Creates a topic that gets the id `id`.
pub(in crate::cluster) fn create(
    image: &Image,
    asked: &NewTopic,
    id: TopicId,
    rules: &Rules,
) -> Result<(Vec<Record>, CreatedTopic), Refusal> {
    let name = TopicName::new(&asked.name)?;
    if name.as_str() == OFFSETS_TOPIC && !asked.internal {
        return Err(Refusal::Internal { name, action: "created" });
    }
    if image.topic_named(name.as_str()).is_some() {
        return Err(Refusal::TopicExists { name });
    }
    let (has, max) = (image.topic_count(), rules.topics_max);
    if has >= max {
        return Err(Refusal::TooManyTopics { name, has, max });
    }
    let partitions = asked.partitions.unwrap_or(rules.partitions_default);
    let count = check_partitions(image, &name, 0, partitions, rules)?;
    let mut placement = Placement::new(image);
    let replication_factor = asked.replication_factor.unwrap_or(rules.replication_factor_default);
    let replicas = check_replication_factor(&name, replication_factor, placement.broker_count())?;
    let owner = Owner { replicas };
    let configs = configs::of_new_topic(&name, owner, &asked.configs, rules)?;
    let record = TopicCreated {
        topic: id,
        name: name.clone(),
        internal: asked.internal,
        configs,
        partitions: place(&mut placement, 0, count, replicas),
    };
    Ok((vec![record.into()], CreatedTopic { id, name, partitions, replication_factor }))
}

/// Changes a topic; no records when nothing would change.
pub(in crate::cluster) fn alter(
    image: &Image,
    asked: &TopicChange,
    rules: &Rules,
) -> Result<Vec<Record>, Refusal> {
    let topic = find(image, &asked.name)?;
    if topic.internal {
        check_internal(topic, asked)?;
    }
    let mut records = Vec::new();
    if let Some(partitions) = asked.partitions {
        records.extend(grow(image, topic, partitions, rules)?);
    }
    let changes = configs::changes(topic, &asked.configs, rules)?;
    if !changes.is_empty() {
        records.push(TopicConfigChanged { topic: topic.id, changes }.into());
    }
    Ok(records)
}

/// Deletes a topic. Returns its id beside the record.
pub(in crate::cluster) fn delete(
    image: &Image,
    name: &str,
) -> Result<(Vec<Record>, TopicId), Refusal> {
    let topic = find(image, name)?;
    if topic.internal {
        return Err(Refusal::Internal { name: topic.name.clone(), action: "deleted" });
    }
    Ok((vec![TopicDeleted { topic: topic.id }.into()], topic.id))
}

/// Which group lies where follows from the number of partitions, and offsets outlive any age only by compaction.
fn check_internal(topic: &Topic, asked: &TopicChange) -> Result<(), Refusal> {
    let internal = |action| Refusal::Internal { name: topic.name.clone(), action };
    let has = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    if asked.partitions.is_some_and(|partitions| partitions != has) {
        return Err(internal("given more partitions"));
    }
    if asked.configs.iter().any(|(key, _)| key == "cleanup.policy") {
        return Err(internal("given another cleanup.policy"));
    }
    Ok(())
}

fn find<'a>(image: &'a Image, name: &str) -> Result<&'a Arc<Topic>, Refusal> {
    image.topic_named(name).ok_or_else(|| Refusal::UnknownTopic { name: name.to_owned() })
}

/// Adds partitions up to `asked`; they get as many replicas as the first one has.
fn grow(
    image: &Image,
    topic: &Topic,
    asked: i32,
    rules: &Rules,
) -> Result<Option<Record>, Refusal> {
    let has = topic.partitions.len();
    let count = check_partitions(image, &topic.name, has, asked, rules)?;
    if count == has {
        return Ok(None);
    }
    let replicas = topic.partitions.first().map_or(1, |partition| partition.replicas.len());
    let mut placement = Placement::new(image);
    let replication_factor = i16::try_from(replicas).unwrap_or(i16::MAX);
    check_replication_factor(&topic.name, replication_factor, placement.broker_count())?;
    let partitions = place(&mut placement, has, count, replicas);
    Ok(Some(PartitionsAdded { topic: topic.id, partitions }.into()))
}

/// The number of partitions, once it was found possible for a topic that has `has`.
fn check_partitions(
    image: &Image,
    name: &TopicName,
    has: usize,
    asked: i32,
    rules: &Rules,
) -> Result<usize, Refusal> {
    let max = rules.partitions_per_topic_max;
    let count = match usize::try_from(asked) {
        Ok(count) if count > 0 && asked <= max => count,
        _ => return Err(Refusal::Partitions { name: name.clone(), asked, max }),
    };
    if count < has {
        return Err(Refusal::Shrink { name: name.clone(), has, asked });
    }
    let (more, all, max) = (count - has, image.partition_count(), rules.partitions_max);
    if more > max.saturating_sub(all) {
        return Err(Refusal::TooManyPartitions { name: name.clone(), asked: more, has: all, max });
    }
    Ok(count)
}

/// The replication factor, once it was found possible.
fn check_replication_factor(
    name: &TopicName,
    asked: i16,
    brokers: usize,
) -> Result<usize, Refusal> {
    match usize::try_from(asked) {
        Ok(replicas) if (1..=brokers).contains(&replicas) => Ok(replicas),
        _ => Err(Refusal::ReplicationFactor { name: name.clone(), asked, brokers }),
    }
}

/// Partitions `from` (inclusive) to `to` (exclusive), placed.
fn place(
    placement: &mut Placement,
    from: usize,
    to: usize,
    replicas: usize,
) -> Vec<Arc<Partition>> {
    let index =
        |at| PartitionIndex::new(i32::try_from(at).expect("partitions are fewer than 2^31"));
    (from..to).map(|at| placement.place(index(at), replicas)).collect()
}
