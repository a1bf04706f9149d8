//! Asks for compaction runs, and tells how compacted logs stand.

use thalweg_protocol::{ErrorCode, Offset, TopicPartition};

use super::{Failure, Services};
use crate::partition::Standing;

/// Which partitions.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) items: Vec<TopicPartition>,
    /// Ask for a run; else only tell.
    pub(crate) run: bool,
}

/// How they stand, in the order of the request.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) items: Vec<(TopicPartition, Result<Log, Failure>)>,
}

/// How one log stands.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) standing: Standing,
    /// Below it everything was compacted.
    pub(crate) cleaned_end: Offset,
    /// Bytes of closed segments that were compacted.
    pub(crate) clean_bytes: u64,
    /// Bytes of closed segments that were not.
    pub(crate) dirty_bytes: u64,
}

/// A run is only asked for here: how it goes on is told to whoever asks again.
pub(super) fn answer(services: &Services, request: &Request) -> Response {
    let log = |at: TopicPartition| {
        let partition = services.table.get(at)?;
        let Some(plan) = partition.plan_compaction(services.clock.wall()) else {
            let message = format!("{partition} is not compacted: its cleanup.policy is delete");
            return Err(Failure::new(ErrorCode::InvalidConfig, message));
        };
        if request.run {
            services.compactor.ask(at);
        }
        Ok(Log {
            standing: services.compactor.standing(at),
            cleaned_end: partition.reader().cleaned_end(),
            clean_bytes: plan.clean_bytes,
            dirty_bytes: plan.dirty_bytes,
        })
    };
    Response { items: request.items.iter().map(|at| (*at, log(*at))).collect() }
}
