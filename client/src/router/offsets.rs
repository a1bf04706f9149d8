//! Asks a partition's leader where offsets are.

use thalweg_protocol::native::{
    ApiError, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic, OffsetQuery,
};
use thalweg_protocol::{ErrorCode, PartitionIndex, TopicName};

use super::Router;
use crate::admin::ListedOffset;
use crate::error::AdminError;
use crate::metadata::Topic;

impl Router {
    /// Finds an offset in one partition.
    pub(crate) async fn list_offset(
        &self,
        topic: &TopicName,
        partition: PartitionIndex,
        query: OffsetQuery,
    ) -> Result<ListedOffset, AdminError> {
        let operation = format!("find offset {query:?} in partition {partition} of topic {topic}");
        let make = |topic: &Topic, leader_epoch| ListOffsetsRequest {
            topics: vec![ListOffsetsTopic {
                topic: topic.id,
                partitions: vec![ListOffsetsPartition { partition, leader_epoch, query }],
            }],
        };
        self.ask_leader(&operation, topic, partition, make, |answer| {
            let listed = only(only(answer.topics)?.partitions)?;
            match listed.error {
                Some(error) => Err(error),
                None => Ok(ListedOffset {
                    partition: listed.partition,
                    offset: listed.offset,
                    timestamp: listed.timestamp,
                    leader_epoch: listed.leader_epoch,
                }),
            }
        })
        .await
    }
}

/// One thing was asked for, so one must be answered.
pub(crate) fn only<T>(answered: Vec<T>) -> Result<T, ApiError> {
    let count = answered.len();
    let mut answered = answered.into_iter();
    match (answered.next(), answered.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(ApiError::new(
            ErrorCode::Internal,
            format!("one thing was asked for, {count} were answered"),
        )),
    }
}
