//! Gives out producer ids, each once, from blocks that were reserved in the metadata beforehand.

use std::sync::Arc;

use thalweg_protocol::{ErrorCode, ProducerEpoch, ProducerId};

use super::{Context, Failure, Services};

/// Asks for an id, or for the next epoch of one.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) transactional_id: Option<String>,
    pub(crate) producer: ProducerId,
    pub(crate) epoch: ProducerEpoch,
}

/// The id to produce with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) producer: ProducerId,
    pub(crate) epoch: ProducerEpoch,
}

/// An id is never given twice: the block that it comes from was on stable storage before.
pub(super) async fn answer(
    services: Arc<Services>,
    request: Request,
    context: Context,
) -> Result<super::Response, Failure> {
    if let Some(name) = request.transactional_id {
        return Err(Failure::new(
            ErrorCode::InvalidRequest,
            format!("transactional id {name:?}: transactions are not served by this release"),
        ));
    }
    if let Some(next) = next_epoch(&request) {
        return Ok(super::Response::InitProducer(next));
    }
    let producer = services.metadata.producer_id(context.timeout).await?;
    Ok(super::Response::InitProducer(Response { producer, epoch: ProducerEpoch::new(0) }))
}

/// A producer that has an id keeps it with the next epoch, as long as there is one.
fn next_epoch(request: &Request) -> Option<Response> {
    if request.producer.get() < 0 || request.epoch.get() < 0 {
        return None;
    }
    let epoch = request.epoch.get().checked_add(1)?;
    Some(Response { producer: request.producer, epoch: ProducerEpoch::new(epoch) })
}
