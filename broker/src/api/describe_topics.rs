//! Settings, offsets and sizes of topics.

use std::sync::Arc;

use thalweg_protocol::TopicPartition;

use super::metadata::{Missing, by_name};
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

/// Describes the topics.
pub(super) fn answer(services: &Services, request: &Request) -> Response {
    let topics = by_name(&services.metadata.image(), request.names.as_deref());
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
    Response { topics: topics.into_iter().map(|topic| topic.map(describe)).collect() }
}

/// Every setting of the topic with its source.
fn configs(services: &Services, topic: &Topic) -> Vec<DescribedSetting> {
    TopicConfig::describe(&services.config.topic_defaults, &topic.configs)
}
