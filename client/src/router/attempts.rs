//! The attempts of one operation, up to its deadline: what to try again, what to believe, what to report.

use std::sync::Arc;
use std::time::Duration;

use thalweg_protocol::native::ApiError;
use thalweg_protocol::{ErrorCode, PartitionIndex, Retry, TopicName};
use tokio::time::{sleep_until, timeout_at};

use super::Router;
use crate::clock::{Instant, now};
use crate::error::{AdminError, CallError};
use crate::metadata::Image;
use crate::retry::Backoff;

/// The attempts of one operation, up to its deadline.
pub(super) struct Attempts<'a> {
    operation: &'a str,
    begun: Instant,
    deadline: Instant,
    backoff: Backoff,
    count: u32,
    request_timeout: Duration,
    /// Whether an attempt may have been carried out without our knowing.
    pub(super) maybe_done: bool,
    /// What failed last: says more than that the time is up.
    last: Option<CallError>,
    /// Until then *unknown topic* may be the word of a broker that just started.
    grace_ends: Instant,
}

/// How long *unknown topic* is not believed.
pub(crate) const UNKNOWN_TOPIC_GRACE: Duration = Duration::from_millis(500);

impl<'a> Attempts<'a> {
    pub(super) fn new(router: &Router, operation: &'a str) -> Self {
        let begun = now();
        Self {
            operation,
            begun,
            deadline: begun + router.options.api_timeout,
            backoff: router.backoff(),
            count: 0,
            request_timeout: router.options.request_timeout,
            maybe_done: false,
            last: None,
            grace_ends: begun + UNKNOWN_TOPIC_GRACE,
        }
    }

    /// For the next attempt: the request's own, or what is left.
    pub(super) fn timeout(&self) -> Duration {
        self.request_timeout.min(self.deadline.saturating_duration_since(now()))
    }

    pub(super) async fn run<T>(
        &mut self,
        attempt: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        self.count = self.count.saturating_add(1);
        match timeout_at(self.deadline, attempt).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.last.clone().unwrap_or_else(|| CallError::TimedOut {
                address: "the brokers".to_owned(),
                api: "the operation",
                waited_ms: self.waited_ms(),
            })),
        }
    }

    /// An attempt failed on the way; final failures end the operation.
    pub(super) fn failed(&mut self, error: CallError) -> Result<CallError, AdminError> {
        self.last = Some(error.clone());
        match error.retry() {
            Retry::Never => match error {
                CallError::Refused { error, .. } => Err(self.refusal(error)),
                last => Err(self.unreachable(last)),
            },
            Retry::SameSequence => {
                self.maybe_done = true;
                Ok(error)
            }
            Retry::Later | Retry::AfterRefresh => Ok(error),
        }
    }

    /// The broker said no; what may change is tried again.
    pub(super) fn refused(
        &mut self,
        address: &Arc<str>,
        api: &'static str,
        error: ApiError,
    ) -> Result<CallError, AdminError> {
        let believed = match error.code {
            ErrorCode::UnknownTopic | ErrorCode::UnknownPartition => now() >= self.grace_ends,
            code => !code.is_retriable(),
        };
        if believed {
            return Err(self.refusal(error));
        }
        let address = address.to_string();
        self.failed(CallError::Refused { address, api, error })
    }

    /// The metadata knows no leader.
    pub(super) fn unknown(
        &self,
        image: &Image,
        topic: &TopicName,
        partition: PartitionIndex,
    ) -> Result<CallError, AdminError> {
        if now() < self.grace_ends {
            return Ok(CallError::NoLeader);
        }
        if image.missing.contains(topic) {
            let message = format!("topic {topic} does not exist");
            return Err(self.refusal(ApiError::new(ErrorCode::UnknownTopic, message)));
        }
        match image.topics.get(topic) {
            Some(known) if known.leadership(partition).is_none() => {
                let count = known.partitions.len();
                let message = format!(
                    "topic {topic} has {count} partitions, there is no partition {partition}"
                );
                Err(self.refusal(ApiError::new(ErrorCode::UnknownPartition, message)))
            }
            _ => Ok(CallError::NoLeader),
        }
    }

    pub(super) async fn pause(&mut self, failure: CallError) -> Result<(), AdminError> {
        let wake = now() + self.backoff.next(fastrand::f64());
        if wake >= self.deadline {
            return Err(self.unreachable(failure));
        }
        sleep_until(wake).await;
        Ok(())
    }

    fn waited_ms(&self) -> u64 {
        u64::try_from((now() - self.begun).as_millis()).unwrap_or(u64::MAX)
    }

    fn refusal(&self, error: ApiError) -> AdminError {
        AdminError::Refused {
            operation: self.operation.to_owned(),
            code: error.code,
            message: error.message,
        }
    }

    fn unreachable(&self, last: CallError) -> AdminError {
        AdminError::Unreachable {
            operation: self.operation.to_owned(),
            attempts: self.count,
            waited_ms: self.waited_ms(),
            last,
        }
    }
}
