//! Where a leader epoch ended.

use thalweg_protocol::{LeaderEpoch, Offset, TopicPartition};

use super::{Failure, Services};

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
    pub(crate) wanted: LeaderEpoch,
}

/// The largest epoch not above the wanted one, and its end; none when all are above.
pub(crate) type Found = Option<(LeaderEpoch, Offset)>;

/// What was found, in the order of the request.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) items: Vec<(TopicPartition, Result<Found, Failure>)>,
}

/// Answers from the epochs that each log keeps in memory.
pub(super) fn answer(services: &Services, request: &Request) -> Response {
    let find = |item: &Item| {
        Ok(services
            .table
            .ask(item.partition, |partition| partition.epoch_end(item.wanted, item.leader_epoch))?)
    };
    Response { items: request.items.iter().map(|item| (item.partition, find(item))).collect() }
}
