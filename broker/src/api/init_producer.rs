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
    let (producer, epoch) = (request.producer, request.epoch);
    if producer != ProducerId::NONE || epoch != ProducerEpoch::NONE {
        if producer.get() < 0 || epoch.get() < 0 {
            let message = format!(
                "producer {producer} epoch {epoch}: give both, to get the next epoch, or -1 for both, to get a new id"
            );
            return Err(Failure::new(ErrorCode::InvalidRequest, message));
        }
        if !services.metadata.has_given(producer, context.timeout).await? {
            let message = format!(
                "producer {producer}: this cluster has never given out this id; ask for a new one with -1"
            );
            return Err(Failure::new(ErrorCode::UnknownProducer, message));
        }
        // After the last epoch comes a new id.
        if let Some(epoch) = epoch.get().checked_add(1) {
            let epoch = ProducerEpoch::new(epoch);
            return Ok(super::Response::InitProducer(Response { producer, epoch }));
        }
    }
    let producer = services.metadata.producer_id(context.timeout).await?;
    Ok(super::Response::InitProducer(Response { producer, epoch: ProducerEpoch::new(0) }))
}
