//! Appends record batches and waits until they are as durable as the producer asked.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thalweg_protocol::batch::Scratch;
use thalweg_protocol::{ErrorCode, LeaderEpoch, Offset, TimestampMs, TopicPartition};
use thalweg_storage::CheckedBatch;

use super::{Begun, Context, Failure, Services};
use crate::partition::{Accepted, Commit, Outcome};

/// When a produce request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acks {
    /// Never.
    None,
    /// When the leader has written.
    Leader,
    /// When the records are committed.
    All,
}

/// Batches to append, one for each partition.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) acks: Acks,
    pub(crate) items: Vec<Item>,
}

/// One batch.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) partition: TopicPartition,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) records: Bytes,
}

/// What became of the batches, in the order of the request.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) items: Vec<(TopicPartition, Result<Appended, Failure>)>,
}

impl Response {
    /// The first failure, for a request without an answer: only closing the connection can tell of it.
    fn failure(self) -> Result<(), Failure> {
        self.items.into_iter().try_for_each(|(_, outcome)| outcome.map(drop))
    }
}

/// A batch that is in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appended {
    pub(crate) base_offset: Offset,
    pub(crate) log_append_time: TimestampMs,
    pub(crate) log_start: Offset,
}

/// A batch that waits to be committed: its place in the response.
struct Uncommitted {
    place: usize,
    commit: Commit,
}

thread_local! {
    /// Room to inflate compressed batches into, one for each worker.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::default());
}

/// Appends every batch, then says what there is to wait for.
pub(super) fn begin(services: &Arc<Services>, request: &Request, context: &Context) -> Begun {
    let mut items = Vec::with_capacity(request.items.len());
    let mut waiting = Vec::new();
    for item in &request.items {
        let outcome = append(services, request.acks, item).and_then(|accepted| {
            if let Some(commit) = accepted.commit {
                waiting.push(Uncommitted { place: items.len(), commit });
            }
            if accepted.base_offset == Offset::NONE {
                return Err(forgotten(item.partition));
            }
            Ok(Appended {
                base_offset: accepted.base_offset,
                log_append_time: accepted.log_append_time,
                log_start: accepted.log_start,
            })
        });
        items.push((item.partition, outcome));
    }
    let response = Response { items };
    match request.acks {
        Acks::None => Begun::Silent(response.failure()),
        _ if waiting.is_empty() => Begun::Done(Ok(super::Response::Produce(response))),
        _ => Begun::Waiting(Box::pin(wait(response, waiting, context.timeout))),
    }
}

fn append(services: &Services, acks: Acks, item: &Item) -> Result<Accepted, Failure> {
    let partition = services.table.get(item.partition)?;
    super::refuse_internal(&partition, "written to")?;
    let now = services.clock.wall();
    SCRATCH.with_borrow_mut(|scratch| {
        let header = partition.check(&item.records, now, scratch)?;
        if acks != Acks::All && header.is_idempotent() {
            return Err(Failure::new(
                ErrorCode::InvalidRequest,
                format!(
                    "{partition}: an idempotent batch (producer {}) needs acks=all; \
                     use acks=all, or produce without a producer id",
                    header.producer
                ),
            ));
        }
        let batch = CheckedBatch::new(header, item.records.clone());
        Ok(partition.append(&batch, item.leader_epoch, acks == Acks::All, now)?)
    })
}

/// What a repetition hears, once its original is committed, when nobody remembers where that lies.
fn forgotten(partition: TopicPartition) -> Failure {
    Failure::new(
        ErrorCode::DuplicateSequence,
        format!(
            "{partition}: stored already, before the last five batches of this producer; its offset is forgotten"
        ),
    )
}

/// Waits until all are committed, or the client waits no more. All share one deadline.
async fn wait(
    mut response: Response,
    waiting: Vec<Uncommitted>,
    timeout: Duration,
) -> Result<super::Response, Failure> {
    let deadline = tokio::time::sleep(timeout);
    tokio::pin!(deadline);
    for Uncommitted { place, commit } in waiting {
        let outcome = tokio::select! {
            biased;
            outcome = commit => outcome.unwrap_or(Outcome::Unknown),
            () = &mut deadline => {
                fail(&mut response, place, |name| {
                    format!("{name}: written, but not committed within {} ms; send the same sequence again", timeout.as_millis())
                });
                continue;
            }
        };
        if outcome == Outcome::Unknown {
            fail(&mut response, place, |name| {
                format!(
                    "{name}: written, but this broker stopped leading before it was committed; send the same sequence again"
                )
            });
        }
    }
    Ok(super::Response::Produce(response))
}

fn fail(response: &mut Response, place: usize, message: impl FnOnce(&TopicPartition) -> String) {
    if let Some((partition, outcome)) = response.items.get_mut(place) {
        *outcome = Err(Failure::new(ErrorCode::OutcomeUnknown, message(partition)));
    }
}
