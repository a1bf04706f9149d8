//! Brings a request to the broker that can answer it, and tries again until the deadline.
//!
//! Owns the pool and the metadata, the refresh of the latter (one at a time, for all who wait), and the
//! loop of attempts for everything but produce and fetch, which have their own order to keep.

mod attempts;
mod coordinator;

use std::sync::Arc;
use std::time::Duration;

use thalweg_protocol::native::{
    ApiError, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic, MetadataRequest,
    MetadataResponse, OffsetQuery, Request,
};
use thalweg_protocol::{ErrorCode, LeaderEpoch, PartitionIndex, Retry, TopicName};
use tokio::time::{sleep_until, timeout_at};

use crate::admin::ListedOffset;
use crate::clock::{Instant, now};
use crate::config::ClientOptions;
use crate::error::{AdminError, CallError};
use crate::metadata::{Image, Metadata, Topic};
use crate::pool::{Lane, Pool};
use crate::retry::Backoff;

use attempts::Attempts;
pub(crate) use attempts::UNKNOWN_TOPIC_GRACE;

/// Whom to ask.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// Any broker.
    Any,
    /// The controller; any broker when none is known.
    Controller,
}

/// Knows all brokers of a cluster, or how to find them.
#[derive(Debug)]
pub(crate) struct Router {
    options: Arc<ClientOptions>,
    pool: Pool,
    metadata: Metadata,
    /// One refresh at a time; who waits for it finds the answer there.
    refreshing: tokio::sync::Mutex<()>,
}

/// Where a partition's leader is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leader {
    pub(crate) address: Arc<str>,
    pub(crate) epoch: LeaderEpoch,
}

impl Router {
    pub(crate) fn new(options: Arc<ClientOptions>) -> Self {
        Self {
            pool: Pool::new(options.clone()),
            options,
            metadata: Metadata::new(),
            refreshing: tokio::sync::Mutex::new(()),
        }
    }

    pub(crate) fn options(&self) -> &ClientOptions {
        &self.options
    }

    pub(crate) const fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(crate) fn image(&self) -> Arc<Image> {
        self.metadata.image()
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.options.retry_backoff, self.options.retry_backoff_max)
    }

    /// Where the partition's leader is, if there is one that is known.
    pub(crate) fn leader(&self, topic: &TopicName, partition: PartitionIndex) -> Option<Leader> {
        let image = self.image();
        let leadership = image.topics.get(topic)?.leadership(partition)?;
        let address = image.address(leadership.leader)?.clone();
        Some(Leader { address, epoch: leadership.epoch })
    }

    /// Asks for the wanted topics, unless somebody has done so since version `seen`.
    pub(crate) async fn refresh(&self, seen: u64) -> Result<(), CallError> {
        let _refreshing = self.refreshing.lock().await;
        if self.image().version > seen {
            return Ok(());
        }
        let request = MetadataRequest { names: Some(self.metadata.wanted()), ids: Vec::new() };
        self.ask_metadata(&request).await.map(drop)
    }

    async fn ask_metadata(&self, request: &MetadataRequest) -> Result<MetadataResponse, CallError> {
        let mut last = CallError::NoLeader;
        for address in self.candidates(Target::Any) {
            let timeout = self.options.request_timeout;
            let answer = self.pool.call(&address, Lane::Control, request, timeout);
            match answer.await {
                Ok(answer) => {
                    self.metadata.update(&answer, now());
                    self.forget_strangers();
                    return Ok(answer);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn forget_strangers(&self) {
        let image = self.image();
        self.pool.retain(|address| {
            self.options.bootstrap.iter().any(|known| known == address)
                || image.brokers.values().any(|known| known.as_ref() == address)
        });
    }

    /// Brokers to ask, best first: those with a live connection, then the rest in random order, and the
    /// bootstrap addresses last.
    fn candidates(&self, target: Target) -> Vec<Arc<str>> {
        let image = self.image();
        let mut brokers: Vec<_> = image.brokers.values().cloned().collect();
        let mut bootstrap: Vec<Arc<str>> =
            self.options.bootstrap.iter().map(|address| address.as_str().into()).collect();
        fastrand::shuffle(&mut brokers);
        fastrand::shuffle(&mut bootstrap);
        bootstrap.retain(|address| !brokers.contains(address));
        brokers.extend(bootstrap);
        let is_idle = |address: &Arc<str>| self.pool.live(address, Lane::Control).is_none();
        brokers.sort_by_key(is_idle);
        if let (Target::Controller, Some(controller)) = (target, image.controller) {
            let controller = image.address(controller);
            brokers.sort_by_key(|address| Some(address) != controller);
        }
        brokers
    }

    /// The topic, asked for as long as no broker answers; none when a broker says that there is none,
    /// and says so again after `grace`: a broker that just started may not know it yet.
    pub(crate) async fn topic(
        &self,
        name: &TopicName,
        deadline: Instant,
        grace: Duration,
    ) -> Result<Option<Arc<Topic>>, CallError> {
        self.metadata.want(name);
        let grace_ends = (now() + grace).min(deadline);
        let mut backoff = self.backoff();
        let mut last = CallError::NoLeader;
        loop {
            let image = self.image();
            if let Some(topic) = image.topics.get(name) {
                return Ok(Some(topic.clone()));
            }
            match timeout_at(deadline, self.refresh(image.version)).await {
                Ok(Ok(())) => {
                    let image = self.image();
                    if image.missing.contains(name) && now() >= grace_ends {
                        return Ok(None);
                    }
                    if image.topics.contains_key(name) {
                        continue;
                    }
                }
                Ok(Err(error)) => last = error,
                Err(_) => return Err(last),
            }
            let wake = now() + backoff.next(fastrand::f64());
            if wake >= deadline {
                return Err(last);
            }
            sleep_until(wake).await;
        }
    }

    /// Asks brokers until one gives an answer that `judge` takes or finds final, or the API deadline passes.
    ///
    /// `judge` hears whether an earlier attempt may have been carried out: *exists already* can then be
    /// the echo of our own request.
    pub(crate) async fn administer<R: Request, T>(
        &self,
        operation: &str,
        target: Target,
        request: &R,
        mut judge: impl FnMut(R::Response, bool) -> Result<T, ApiError>,
    ) -> Result<T, AdminError> {
        let mut attempts = Attempts::new(self, operation);
        loop {
            let mut failure = CallError::NoLeader;
            for address in self.candidates(target) {
                let timeout = attempts.timeout();
                let call = self.pool.call(&address, Lane::Control, request, timeout);
                match attempts.run(call).await {
                    Ok(answer) => match judge(answer, attempts.maybe_done) {
                        Ok(done) => return Ok(done),
                        Err(error) => {
                            failure = attempts.refused(&address, R::API.name(), error)?;
                            break;
                        }
                    },
                    Err(error) => failure = attempts.failed(error)?,
                }
            }
            let wants_refresh = failure.retry() == Retry::AfterRefresh;
            attempts.pause(failure).await?;
            if wants_refresh {
                // Its failure shows again at the next attempt.
                let _ = attempts.run(self.refresh(self.image().version)).await;
            }
        }
    }

    /// Asks the leader of a partition, wherever it moves, until it gives an answer that `judge` takes or
    /// finds final, or the API deadline passes. `make` puts the request together for the leader's epoch.
    pub(crate) async fn ask_leader<R: Request, T>(
        &self,
        operation: &str,
        topic: &TopicName,
        partition: PartitionIndex,
        make: impl Fn(&Topic, LeaderEpoch) -> R,
        mut judge: impl FnMut(R::Response) -> Result<T, ApiError>,
    ) -> Result<T, AdminError> {
        self.metadata.want(topic);
        let mut attempts = Attempts::new(self, operation);
        loop {
            let image = self.image();
            let known = image.topics.get(topic);
            let failure = match (known, self.leader(topic, partition)) {
                (Some(known), Some(leader)) => {
                    let request = make(known, leader.epoch);
                    let timeout = attempts.timeout();
                    let call = self.pool.call(&leader.address, Lane::Produce, &request, timeout);
                    match attempts.run(call).await.map(&mut judge) {
                        Ok(Ok(done)) => return Ok(done),
                        Ok(Err(error)) => {
                            attempts.refused(&leader.address, R::API.name(), error)?
                        }
                        Err(error) => attempts.failed(error)?,
                    }
                }
                _ => attempts.unknown(&image, topic, partition)?,
            };
            // The first look at a topic costs no pause.
            if image.refreshed.is_some() && known.is_some() {
                attempts.pause(failure).await?;
            }
            if let Err(error) = attempts.run(self.refresh(image.version)).await {
                let failure = attempts.failed(error)?;
                attempts.pause(failure).await?;
            }
        }
    }
}

impl Router {
    /// Finds an offset in one partition.
    pub(crate) async fn list_offset(
        &self,
        topic: &TopicName,
        partition: PartitionIndex,
        query: OffsetQuery,
    ) -> Result<ListedOffset, AdminError> {
        let operation = format!("find offset {query:?} in partition {partition} of topic {topic}");
        let make = |topic: &Topic, leader_epoch| ListOffsetsRequest {
            topics: vec![ListOffsetsTopic {
                topic: topic.id,
                partitions: vec![ListOffsetsPartition { partition, leader_epoch, query }],
            }],
        };
        self.ask_leader(&operation, topic, partition, make, |answer| {
            let listed = only(only(answer.topics)?.partitions)?;
            match listed.error {
                Some(error) => Err(error),
                None => Ok(ListedOffset {
                    partition: listed.partition,
                    offset: listed.offset,
                    timestamp: listed.timestamp,
                    leader_epoch: listed.leader_epoch,
                }),
            }
        })
        .await
    }
}

/// One thing was asked for, so one must be answered.
pub(crate) fn only<T>(answered: Vec<T>) -> Result<T, ApiError> {
    let count = answered.len();
    let mut answered = answered.into_iter();
    match (answered.next(), answered.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(ApiError::new(
            ErrorCode::Internal,
            format!("one thing was asked for, {count} were answered"),
        )),
    }
}
