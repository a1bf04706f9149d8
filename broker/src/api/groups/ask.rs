//! Requests to groups: which there are, and which question to the coordinator each of them is.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use thalweg_protocol::{ErrorCode, PartitionIndex, TopicPartition};

use super::find::{self, CoordinatorAt};
use crate::api::{Begun, Context, Failure, Services};
use crate::coordinator::{
    self, Answer, Commit, CommittedOffset, CoordinatorError, DeleteOffsets, DescribedGroup, Each,
    FetchOffsets, GroupState, Heartbeat, HeartbeatAnswer, ListedGroup,
};

/// Groups that one request asks about at a time: one with thousands of names must not fill the queues that others need
/// for their heartbeats.
const ASKED_MAX: usize = 64;

/// A request that is about groups.
#[derive(Debug)]
pub(crate) enum Request {
    /// Which brokers keep these groups.
    Find(Vec<String>),
    /// A member's sign of life.
    Heartbeat(Heartbeat),
    /// Offsets to remember.
    Commit(Commit),
    /// How far a group has read.
    FetchOffsets(FetchOffsets),
    /// All about these groups.
    Describe(Vec<String>),
    /// The groups in one of these states; empty asks for all.
    List(Vec<GroupState>),
    /// Forget these groups.
    Delete(Vec<String>),
    /// Forget these offsets.
    DeleteOffsets(DeleteOffsets),
}

/// Something for each name, in the order of the request.
type EachGroup<T> = Vec<(String, Result<T, Failure>)>;

/// Something for each partition, in the order of the request.
type EachPartition<T> = Vec<(TopicPartition, Result<T, Failure>)>;

/// An answer that is about groups.
#[derive(Debug)]
pub(crate) enum Response {
    Coordinators(EachGroup<CoordinatorAt>),
    Heartbeat(HeartbeatAnswer),
    Committed(EachPartition<()>),
    Offsets(EachPartition<CommittedOffset>),
    Described(EachGroup<DescribedGroup>),
    /// The groups, and the shards whose groups are not among them.
    Listed(Vec<ListedGroup>, Vec<(PartitionIndex, Failure)>),
    Deleted(EachGroup<()>),
    OffsetsDeleted(EachPartition<()>),
}

impl Response {
    /// Whether it tells of something that was changed.
    pub(in crate::api) const fn changes(&self) -> bool {
        match self {
            Self::Coordinators(_) | Self::Offsets(_) | Self::Described(_) | Self::Listed(..) => {
                false
            }
            Self::Heartbeat(_)
            | Self::Committed(_)
            | Self::Deleted(_)
            | Self::OffsetsDeleted(_) => true,
        }
    }

    /// The codes of the parts that failed.
    pub(in crate::api) fn failures(&self) -> Box<dyn Iterator<Item = ErrorCode> + '_> {
        fn codes<K, T>(
            items: &[(K, Result<T, Failure>)],
        ) -> Box<dyn Iterator<Item = ErrorCode> + '_> {
            Box::new(items.iter().filter_map(|(_, outcome)| outcome.as_ref().err().map(|f| f.code)))
        }
        match self {
            Self::Coordinators(groups) => codes(groups),
            Self::Committed(items) | Self::OffsetsDeleted(items) => codes(items),
            Self::Offsets(items) => codes(items),
            Self::Described(groups) => codes(groups),
            Self::Deleted(groups) => codes(groups),
            Self::Listed(_, missing) => Box::new(missing.iter().map(|(_, failure)| failure.code)),
            Self::Heartbeat(_) => Box::new(std::iter::empty()),
        }
    }
}

/// Begins a request. The coordinator's queue has it when this returns, so that one connection's requests are
/// begun in order.
pub(in crate::api) fn begin(services: Arc<Services>, request: Request, context: Context) -> Begun {
    if let Request::Describe(names) = &request
        && let Some(name) = repeated(names)
    {
        let message = format!("group {name:?} is named twice; a group is described once");
        return Begun::Done(Err(Failure::new(ErrorCode::InvalidRequest, message)));
    }
    ask_coordinator(services, request, context)
}

fn ask_coordinator(services: Arc<Services>, request: Request, context: Context) -> Begun {
    let groups = services.groups.clone();
    let ask = |question| groups.ask(question, context.timeout);
    let waiting: Waiting = match request {
        Request::Find(names) => Box::pin(async move {
            Ok(Response::Coordinators(find::answer(&services, names, &context).await))
        }),
        Request::Heartbeat(mut heartbeat) => {
            heartbeat.client = (*context.client).clone();
            one(ask(coordinator::Request::Heartbeat(heartbeat)), |answer| match answer {
                Answer::Heartbeat(answer) => Some(Response::Heartbeat(answer)),
                _ => None,
            })
        }
        Request::Commit(commit) => {
            one(ask(coordinator::Request::Commit(commit)), |answer| match answer {
                Answer::Done(items) => Some(Response::Committed(each(items))),
                _ => None,
            })
        }
        Request::FetchOffsets(fetch) => {
            one(ask(coordinator::Request::FetchOffsets(fetch)), |answer| match answer {
                Answer::Offsets(items) => Some(Response::Offsets(each(items))),
                _ => None,
            })
        }
        Request::DeleteOffsets(delete) => {
            one(ask(coordinator::Request::DeleteOffsets(delete)), |answer| match answer {
                Answer::Done(items) => Some(Response::OffsetsDeleted(each(items))),
                _ => None,
            })
        }
        Request::List(states) => {
            let listing = groups.list(&states, context.timeout);
            Box::pin(async move { Ok(listed(listing.await)) })
        }
        Request::Describe(names) => {
            let all = for_each(names, move |name| {
                let question = coordinator::Request::Describe(name.clone());
                let (answer, groups) = (groups.ask(question, context.timeout), groups.clone());
                async move {
                    let described = match answer.await {
                        Ok(Answer::Described(group)) => Ok(groups.with_lag(*group).await),
                        other => Err(refused(other)),
                    };
                    (name, described)
                }
            });
            Box::pin(async move { Ok(Response::Described(all.await)) })
        }
        Request::Delete(names) => {
            let all = for_each(names, move |name| {
                let question = coordinator::Request::Delete(name.clone());
                let answer = groups.ask(question, context.timeout);
                async move {
                    let deleted = match answer.await {
                        Ok(Answer::Deleted) => Ok(()),
                        other => Err(refused(other)),
                    };
                    (name, deleted)
                }
            });
            Box::pin(async move { Ok(Response::Deleted(all.await)) })
        }
    };
    Begun::Waiting(Box::pin(async move { waiting.await.map(crate::api::Response::Group) }))
}

fn listed(listing: coordinator::Listing) -> Response {
    let missing = listing.missing.into_iter().map(|(shard, error)| (shard, error.into()));
    Response::Listed(listing.groups, missing.collect())
}

/// A name that stands in the list more than once: a short request could else ask for a very large answer.
fn repeated(names: &[String]) -> Option<&String> {
    let mut seen = HashSet::with_capacity(names.len());
    names.iter().find(|name| !seen.insert(name.as_str()))
}

/// Asks about each group, some at a time. The first ones' questions are in their queues when this returns.
fn for_each<A: Future>(
    names: Vec<String>,
    ask: impl Fn(String) -> A,
) -> impl Future<Output = Vec<A::Output>> {
    let mut names = names.into_iter();
    let begun: Vec<A> = names.by_ref().take(ASKED_MAX).map(&ask).collect();
    stream::iter(begun.into_iter().chain(names.map(ask))).buffered(ASKED_MAX).collect()
}

/// Ends with the answer to one question.
type Waiting = std::pin::Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send>>;

fn one(
    answer: impl Future<Output = Result<Answer, CoordinatorError>> + Send + 'static,
    take: impl FnOnce(Answer) -> Option<Response> + Send + 'static,
) -> Waiting {
    Box::pin(async move {
        let answer = answer.await?;
        take(answer).ok_or_else(|| {
            Failure::new(ErrorCode::Internal, "the coordinator answered another question")
        })
    })
}

fn refused(answer: Result<Answer, CoordinatorError>) -> Failure {
    match answer {
        Err(error) => error.into(),
        Ok(_) => Failure::new(ErrorCode::Internal, "the coordinator answered another question"),
    }
}

fn each<T>(items: Each<T>) -> EachPartition<T> {
    let outcome = |(at, result): (TopicPartition, Result<T, coordinator::GroupError>)| {
        (at, result.map_err(|error| Failure::new(error.code(), error.to_string())))
    };
    items.into_iter().map(outcome).collect()
}

impl From<CoordinatorError> for Failure {
    fn from(error: CoordinatorError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
