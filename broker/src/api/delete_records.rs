//! Moves the log start: what lies below is gone for readers at once and from disk soon.

use std::sync::Arc;

use thalweg_protocol::{Offset, TopicPartition};

use super::in_pool::answer_each;
use super::{Failure, Services};

/// What to delete.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) items: Vec<Item>,
}

/// What to delete of one partition: all below `before`, or below the high watermark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) partition: TopicPartition,
    pub(crate) before: Option<Offset>,
}

/// The log starts now, in the order of the request.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) items: Vec<(TopicPartition, Result<Offset, Failure>)>,
}

/// The log start is on stable storage before the answer, so this is done in the read pool.
pub(super) async fn answer(
    services: Arc<Services>,
    request: Request,
) -> Result<super::Response, Failure> {
    let items = answer_each(services, request.items, |services, item| {
        (item.partition, delete(services, item))
    });
    Ok(super::Response::DeleteRecords(Response { items: items.await }))
}

fn delete(services: &Services, item: &Item) -> Result<Offset, Failure> {
    let partition = services.table.get(item.partition)?;
    super::refuse_internal(&partition, "deleted from")?;
    Ok(services.table.ask(item.partition, |partition| partition.delete_below(item.before))?)
}
