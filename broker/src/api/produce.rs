//! Appends record batches and waits until they are as durable as the producer asked.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thalweg_protocol::batch::{BatchHeader, Scratch};
use thalweg_protocol::{ErrorCode, LeaderEpoch, Offset, TimestampMs, TopicPartition};
use thalweg_storage::CheckedBatch;

use super::{Begun, Context, Failure, Services};
use crate::partition::{Accepted, Commit, Outcome, Partition};

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
pub(super) fn begin(services: Arc<Services>, request: Request, context: &Context) -> Begun {
    let mut appending = Appending::new(request, context.timeout);
    match appending.go_on(&services) {
        None => appending.begun(),
        Some(large) => Begun::Held(Box::pin(appending.finish(services, large))),
    }
}

/// A request on its way through its batches.
struct Appending {
    acks: Acks,
    timeout: Duration,
    /// Those that are not appended yet.
    left: std::vec::IntoIter<Item>,
    items: Vec<(TopicPartition, Result<Appended, Failure>)>,
    waiting: Vec<Uncommitted>,
}

/// A batch that takes too long to be checked while others wait.
struct Large {
    partition: Arc<Partition>,
    item: Item,
}

impl Appending {
    fn new(request: Request, timeout: Duration) -> Self {
        let Request { acks, items: left } = request;
        let items = Vec::with_capacity(left.len());
        Self { acks, timeout, left: left.into_iter(), items, waiting: Vec::new() }
    }

    /// Appends up to the next large batch, or to the last.
    fn go_on(&mut self, services: &Services) -> Option<Large> {
        while let Some(item) = self.left.next() {
            let now = services.clock.wall();
            let checked: Result<_, Failure> = SCRATCH.with_borrow_mut(|scratch| {
                let partition = services.table.get(item.partition)?;
                super::refuse_internal(&partition, "written to")?;
                let header = partition.check_briefly(&item.records, now, scratch)?;
                Ok((partition, header))
            });
            let outcome = match checked {
                Ok((partition, None)) => return Some(Large { partition, item }),
                Ok((partition, Some(header))) => self.append(&partition, &item, header, now),
                Err(failure) => Err(failure),
            };
            self.note(item.partition, outcome);
        }
        None
    }

    /// Has a large batch checked, appends it, and goes on.
    async fn finish(mut self, services: Arc<Services>, first: Large) -> Begun {
        let mut next = Some(first);
        while let Some(Large { partition, item }) = next {
            let now = services.clock.wall();
            let checked = services.inflater.check(&partition, &item.records, now);
            let outcome = match tokio::time::timeout(self.timeout, checked).await {
                Ok(Ok(header)) => self.append(&partition, &item, header, services.clock.wall()),
                Ok(Err(error)) => Err(error.into()),
                Err(_elapsed) => Err(not_checked(&partition, self.timeout)),
            };
            self.note(item.partition, outcome);
            next = self.go_on(&services);
        }
        self.begun()
    }

    fn append(
        &self,
        partition: &Arc<Partition>,
        item: &Item,
        header: BatchHeader,
        now: TimestampMs,
    ) -> Result<Accepted, Failure> {
        if self.acks != Acks::All && header.is_idempotent() {
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
        Ok(partition.append(&batch, item.leader_epoch, self.acks == Acks::All, now)?)
    }

    fn note(&mut self, partition: TopicPartition, outcome: Result<Accepted, Failure>) {
        let outcome = outcome.and_then(|accepted| {
            if let Some(commit) = accepted.commit {
                self.waiting.push(Uncommitted { place: self.items.len(), commit });
            }
            if accepted.base_offset == Offset::NONE {
                return Err(forgotten(partition));
            }
            Ok(Appended {
                base_offset: accepted.base_offset,
                log_append_time: accepted.log_append_time,
                log_start: accepted.log_start,
            })
        });
        self.items.push((partition, outcome));
    }

    /// Every batch is appended or refused.
    fn begun(self) -> Begun {
        let response = Response { items: self.items };
        match self.acks {
            Acks::None => Begun::Silent(response.failure()),
            _ if self.waiting.is_empty() => Begun::Done(Ok(super::Response::Produce(response))),
            _ => Begun::Waiting(Box::pin(wait(response, self.waiting, self.timeout))),
        }
    }
}

/// What a large batch hears whose turn did not come in time.
fn not_checked(partition: &Partition, timeout: Duration) -> Failure {
    let message = format!(
        "{partition}: a batch that inflates to much was not checked within {} ms; nothing was written",
        timeout.as_millis()
    );
    Failure::new(ErrorCode::TimedOut, message)
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
