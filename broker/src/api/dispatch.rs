//! From a request to its handler: what is done at once, and what waits.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use thalweg_protocol::{ErrorCode, TopicPartition};
use thalweg_storage::Hold;
use tokio_util::sync::CancellationToken;

use super::in_pool::answer_all;
use super::read_pool::ReadPool;
use super::{
    Failure, compact_topics, delete_records, describe_cluster, describe_topics, fetch, groups,
    init_producer, leader_epoch, list_offsets, metadata, produce, topics,
};
use crate::base::Clock;
use crate::cluster::MetadataHandle;
use crate::config::BrokerConfig;
use crate::coordinator::{ClientInfo, Coordinator};
use crate::partition::{CompactorHandle, Inflater, Table};

/// What handlers work with.
pub(crate) struct Services {
    /// The partitions that this broker holds.
    pub(crate) table: Arc<Table>,
    /// The cluster's metadata.
    pub(crate) metadata: MetadataHandle,
    /// The groups whose coordinator this broker is.
    pub(crate) groups: Coordinator,
    /// What compacts logs.
    pub(crate) compactor: CompactorHandle,
    /// Where batches that inflate to much are checked.
    pub(crate) inflater: Inflater,
    /// Where reads that may wait for the disk are done.
    pub(crate) reads: ReadPool,
    /// The broker's own settings.
    pub(crate) config: Arc<BrokerConfig>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Cancelled when the broker stops: what only waits for something new then answers with what there is.
    pub(crate) stop: CancellationToken,
}

/// What a handler knows of a request beside its body.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// How long the client waits for the answer, from now on.
    pub(crate) timeout: Duration,
    /// The listener that it came through: it is told the addresses of that one.
    pub(crate) listener: Arc<str>,
    /// Who asks.
    pub(crate) client: Arc<ClientInfo>,
}

/// A question, in the broker's own terms.
#[derive(Debug)]
pub(crate) enum Request {
    Metadata(metadata::Request),
    DescribeCluster,
    CreateTopics(topics::Create),
    DeleteTopics(topics::Delete),
    AlterTopics(topics::Alter),
    DescribeTopics(describe_topics::Request),
    CompactTopics(compact_topics::Request),
    Produce(produce::Request),
    Fetch(fetch::Request),
    ListOffsets(list_offsets::Request),
    InitProducer(init_producer::Request),
    LeaderEpoch(leader_epoch::Request),
    DeleteRecords(delete_records::Request),
    Group(groups::Request),
}

/// An answer, in the broker's own terms.
#[derive(Debug)]
pub(crate) enum Response {
    Metadata(metadata::Response),
    DescribeCluster(describe_cluster::Response),
    CreateTopics(topics::Created),
    DeleteTopics(topics::Outcomes),
    AlterTopics(topics::Outcomes),
    DescribeTopics(describe_topics::Response),
    CompactTopics(compact_topics::Response),
    Produce(produce::Response),
    Fetch(fetch::Response),
    ListOffsets(list_offsets::Response),
    InitProducer(init_producer::Response),
    LeaderEpoch(leader_epoch::Response),
    DeleteRecords(delete_records::Response),
    Group(groups::Response),
}

impl Response {
    /// How many of its bytes are sent from the log, without a copy.
    pub(crate) fn log_bytes(&self) -> usize {
        match self {
            Self::Fetch(response) => {
                let read = response.items.iter().filter_map(|(_, outcome)| outcome.as_ref().ok());
                read.map(|records| records.bytes.len()).sum()
            }
            _ => 0,
        }
    }

    /// The codes of the parts that failed.
    pub(crate) fn failures(&self) -> Box<dyn Iterator<Item = ErrorCode> + '_> {
        fn codes<T>(
            items: &[(TopicPartition, Result<T, Failure>)],
        ) -> Box<dyn Iterator<Item = ErrorCode> + '_> {
            if items.iter().all(|(_, outcome)| outcome.is_ok()) {
                // Takes no memory, and is what nearly all answers come to.
                return Box::new(std::iter::empty());
            }
            Box::new(items.iter().filter_map(|(_, outcome)| outcome.as_ref().err().map(|f| f.code)))
        }
        fn named<T>(
            topics: &[(String, Result<T, Failure>)],
        ) -> Box<dyn Iterator<Item = ErrorCode> + '_> {
            Box::new(
                topics.iter().filter_map(|(_, outcome)| outcome.as_ref().err().map(|f| f.code)),
            )
        }
        match self {
            Self::Produce(response) => codes(&response.items),
            Self::Fetch(response) => codes(&response.items),
            Self::ListOffsets(response) => codes(&response.items),
            Self::LeaderEpoch(response) => codes(&response.items),
            Self::DeleteRecords(response) => codes(&response.items),
            Self::CompactTopics(response) => codes(&response.items),
            Self::CreateTopics(response) => named(&response.topics),
            Self::DeleteTopics(response) | Self::AlterTopics(response) => named(&response.topics),
            Self::Group(response) => response.failures(),
            Self::Metadata(_)
            | Self::DescribeCluster(_)
            | Self::DescribeTopics(_)
            | Self::InitProducer(_) => Box::new(std::iter::empty()),
        }
    }
}

impl Response {
    /// Whether it tells of something that was changed.
    pub(crate) const fn changes(&self) -> bool {
        match self {
            Self::Metadata(_)
            | Self::DescribeCluster(_)
            | Self::DescribeTopics(_)
            | Self::Fetch(_)
            | Self::ListOffsets(_)
            | Self::LeaderEpoch(_) => false,
            Self::CreateTopics(_)
            | Self::DeleteTopics(_)
            | Self::AlterTopics(_)
            | Self::CompactTopics(_)
            | Self::Produce(_)
            | Self::InitProducer(_)
            | Self::DeleteRecords(_) => true,
            Self::Group(response) => response.changes(),
        }
    }

    /// What its bytes keep on the disk while they wait to be sent.
    pub(crate) fn holds(&self) -> Vec<Hold> {
        let Self::Fetch(response) = self else { return Vec::new() };
        let records = response.items.iter().filter_map(|(_, outcome)| outcome.as_ref().ok());
        records.filter_map(|records| records.hold.clone()).collect()
    }
}

/// A future that ends with the answer.
pub(crate) type Waiting = Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send>>;

/// What became of a request when its handler returned.
pub(crate) enum Begun {
    /// It is answered.
    Done(Result<Response, Failure>),
    /// What must happen in order has happened; the answer comes later.
    Waiting(Waiting),
    /// Something of it takes too long to be done while other connections wait. Nothing else of its connection begins
    /// before this ends.
    Held(Pin<Box<dyn Future<Output = Self> + Send>>),
    /// It gets no answer: a produce request with `acks=none`. Its failure can only be told by closing.
    Silent(Result<(), Failure>),
}

/// Begins a request. Appends are finished when this returns, so that requests of one connection take effect
/// in the order in which they came; only waits overlap.
pub(crate) fn begin(services: &Arc<Services>, request: Request, context: Context) -> Begun {
    let services = Arc::clone(services);
    match request {
        Request::Produce(request) => produce::begin(services, request, &context),
        Request::Fetch(request) => fetch::begin(services, request, &context),
        Request::Metadata(request) => answer_all(services, request.things(), move |services| {
            metadata::answer(services, &request, &context).map(Response::Metadata)
        }),
        Request::DescribeCluster => Begun::Done(Ok(Response::DescribeCluster(
            describe_cluster::answer(&services, &context),
        ))),
        Request::DescribeTopics(request) => {
            let things = describe_topics::things(&services, &request);
            answer_all(services, things, move |services| {
                describe_topics::answer(services, &request).map(Response::DescribeTopics)
            })
        }
        Request::CompactTopics(request) => {
            answer_all(services, request.items.len(), move |services| {
                Ok(Response::CompactTopics(compact_topics::answer(services, &request)))
            })
        }
        Request::LeaderEpoch(request) => {
            answer_all(services, request.items.len(), move |services| {
                Ok(Response::LeaderEpoch(leader_epoch::answer(services, &request)))
            })
        }
        Request::CreateTopics(request) => {
            Begun::Waiting(Box::pin(topics::create(services, request, context)))
        }
        Request::DeleteTopics(request) => {
            Begun::Waiting(Box::pin(topics::delete(services, request, context)))
        }
        Request::AlterTopics(request) => {
            Begun::Waiting(Box::pin(topics::alter(services, request, context)))
        }
        Request::ListOffsets(request) => {
            Begun::Waiting(Box::pin(list_offsets::answer(services, request)))
        }
        Request::InitProducer(request) => {
            Begun::Waiting(Box::pin(init_producer::answer(services, request, context)))
        }
        Request::DeleteRecords(request) => {
            Begun::Waiting(Box::pin(delete_records::answer(services, request)))
        }
        Request::Group(request) => groups::begin(services, request, context),
    }
}
