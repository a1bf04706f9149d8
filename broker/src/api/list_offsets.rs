//! Finds offsets by time, or the ends of the log.

use std::sync::Arc;

use thalweg_protocol::{LeaderEpoch, TopicPartition};

use super::in_pool::answer_each;
use super::{Failure, Services};
use crate::partition::{Found, OffsetQuery};

/// What to find.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) items: Vec<Item>,
}

/// What to find in one partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) partition: TopicPartition,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) query: OffsetQuery,
}

/// What was found, in the order of the request.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) items: Vec<(TopicPartition, Result<Found, Failure>)>,
}

/// Searches by time read the disk, so all are done in the read pool.
pub(super) async fn answer(
    services: Arc<Services>,
    request: Request,
) -> Result<super::Response, Failure> {
    let items = answer_each(services, request.items, |services, item| {
        (item.partition, find(services, item))
    });
    Ok(super::Response::ListOffsets(Response { items: items.await }))
}

fn find(services: &Services, item: &Item) -> Result<Found, Failure> {
    let found = services
        .table
        .ask(item.partition, |partition| partition.find_offset(item.query, item.leader_epoch));
    Ok(found?)
}
