//! Settings, offsets and sizes of topics.

use std::sync::Arc;

use thalweg_protocol::TopicPartition;

use super::metadata::{Missing, by_name, check_size, size};
use super::{Failure, Services};
use crate::cluster::{Partition, Topic};
use crate::config::{DescribedSetting, TopicConfig};
use crate::partition::Description as LogDescription;

/// Which topics; all when no names are given.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) names: Option<Vec<String>>,
}

/// What is known of each.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) topics: Vec<Result<Description, Missing>>,
}

/// One topic.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) topic: Arc<Topic>,
    pub(crate) partitions: Vec<PartitionDescription>,
    pub(crate) configs: Vec<DescribedSetting>,
}

/// One partition: what the image says, and what this broker's replica says.
#[derive(Debug)]
pub(crate) struct PartitionDescription {
    pub(crate) partition: Arc<Partition>,
    pub(crate) log: Result<LogDescription, Failure>,
}

/// About what one setting with its source takes in an answer.
const SETTING_BYTES: usize = 64;

/// How many topics are described.
pub(super) fn things(services: &Services, request: &Request) -> usize {
    request.names.as_ref().map_or_else(|| services.metadata.image().topic_count(), Vec::len)
}

/// Describes the topics.
pub(super) fn answer(services: &Services, request: &Request) -> Result<Response, Failure> {
    let topics = by_name(&services.metadata.image(), request.names.as_deref());
    let settings = topics.iter().flatten().next().map_or(0, |topic| configs(services, topic).len());
    check_size(services, topics.iter().map(|topic| size(topic, settings * SETTING_BYTES)))?;
    let describe = |topic: Arc<Topic>| Description {
        partitions: topic
            .partitions
            .iter()
            .map(|partition| PartitionDescription {
                log: services
                    .table
                    .get(TopicPartition::new(topic.id, partition.index))
                    .map(|partition| partition.describe())
                    .map_err(Failure::from),
                partition: Arc::clone(partition),
            })
            .collect(),
        configs: configs(services, &topic),
        topic,
    };
    Ok(Response { topics: topics.into_iter().map(|topic| topic.map(describe)).collect() })
}

/// Every setting of the topic with its source.
fn configs(services: &Services, topic: &Topic) -> Vec<DescribedSetting> {
    TopicConfig::describe(&services.config.topic_defaults, &topic.configs)
}
