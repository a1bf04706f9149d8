//! Brings a request to the broker that can answer it, and tries again until the deadline.
//!
//! Owns the pool and the metadata, the refresh of the latter (one at a time, for all who wait), and the
//! loop of attempts for everything but produce and fetch, which have their own order to keep.

mod attempts;
mod coordinator;
mod knowledge;
mod offsets;
mod refresh;

use std::sync::Arc;

use thalweg_protocol::native::{ApiError, Request};
use thalweg_protocol::{LeaderEpoch, PartitionIndex, Retry, TopicName};

use crate::clock::Instant;
use crate::config::ClientOptions;
use crate::error::{AdminError, CallError};
use crate::metadata::{Image, Metadata, Topic};
use crate::pool::{Lane, Pool};
use crate::retry::Backoff;

use attempts::Attempts;
pub(crate) use attempts::UNKNOWN_TOPIC_GRACE;
pub(crate) use offsets::only;
pub(crate) use refresh::{Refresh, Turn};

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

    /// For a producer or a consumer that begins: when to ask for metadata again.
    pub(crate) fn refreshing_from(&self, begun: Instant) -> Refresh {
        Refresh::new(self.options.metadata_age_max, self.backoff(), begun)
    }

    /// Where the partition's leader is, if there is one that is known.
    pub(crate) fn leader(&self, topic: &TopicName, partition: PartitionIndex) -> Option<Leader> {
        let image = self.image();
        let leadership = image.topics.get(topic)?.leadership(partition)?;
        let address = image.address(leadership.leader)?.clone();
        Some(Leader { address, epoch: leadership.epoch })
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
