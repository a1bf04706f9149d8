//! Finds the broker that keeps a group, and brings requests to it wherever it moves.

use std::sync::Arc;

use thalweg_protocol::native::{ApiError, FindCoordinatorRequest, GroupCoordinator, Request};
use thalweg_protocol::{ErrorCode, Retry, TopicId, TopicName};

use super::attempts::{Attempts, UNKNOWN_TOPIC_GRACE};
use super::{Router, Target, only};
use crate::clock::{millis, now};
use crate::error::{AdminError, CallError};
use crate::metadata::address;
use crate::pool::Lane;

impl Router {
    /// Asks one broker after the other for the group's coordinator, once.
    pub(crate) async fn find_coordinator(&self, group: &str) -> Result<Arc<str>, CallError> {
        let found = self.coordinator_of(group).await?;
        Ok(address(&found.host, found.port))
    }

    async fn coordinator_of(&self, group: &str) -> Result<GroupCoordinator, CallError> {
        let request = FindCoordinatorRequest { groups: vec![group.to_owned()] };
        let mut last = CallError::NoLeader;
        for asked in self.candidates(Target::Any) {
            let timeout = self.options.request_timeout;
            match self.pool.call(&asked, Lane::Control, &request, timeout).await {
                Ok(answer) => {
                    let refused = |error| CallError::Refused {
                        address: asked.to_string(),
                        api: "FindCoordinator",
                        error,
                    };
                    let found = only(answer.coordinators).map_err(refused)?;
                    return match found.error {
                        Some(error) => Err(refused(error)),
                        None => Ok(found),
                    };
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The coordinators of these groups, as far as one broker knows them now.
    pub(crate) async fn find_coordinators<S: AsRef<str>>(
        &self,
        groups: &[S],
    ) -> Vec<(String, Arc<str>)> {
        let groups = groups.iter().map(|group| group.as_ref().to_owned()).collect();
        let request = FindCoordinatorRequest { groups };
        for asked in self.candidates(Target::Any) {
            let Ok(answer) = self.ask_once(&asked, &request).await else {
                continue;
            };
            let known = answer.coordinators.into_iter().filter(|one| one.error.is_none());
            return known.map(|one| (one.group, address(&one.host, one.port))).collect();
        }
        Vec::new()
    }

    /// Asks one broker, once.
    pub(crate) async fn ask_once<R: Request>(
        &self,
        address: &Arc<str>,
        request: &R,
    ) -> Result<R::Response, CallError> {
        self.pool.call(address, Lane::Control, request, self.options.request_timeout).await
    }

    /// Where the group's coordinator is, tried up to the API deadline.
    pub(crate) async fn locate_coordinator(
        &self,
        group: &str,
    ) -> Result<GroupCoordinator, AdminError> {
        let operation = format!("find the coordinator of group {group}");
        let mut attempts = Attempts::new(self, &operation);
        loop {
            match attempts.run(self.coordinator_of(group)).await {
                Ok(found) => return Ok(found),
                Err(error) => {
                    let failure = attempts.failed(error)?;
                    attempts.pause(failure).await?;
                }
            }
        }
    }

    /// Asks the group's coordinator until it gives an answer that `judge` takes or finds final, or the API
    /// deadline passes. `judge` hears whether an earlier attempt may have been carried out.
    pub(crate) async fn ask_coordinator<R: Request, T>(
        &self,
        operation: &str,
        group: &str,
        request: &R,
        mut judge: impl FnMut(R::Response, bool) -> Result<T, ApiError>,
    ) -> Result<T, AdminError> {
        let mut attempts = Attempts::new(self, operation);
        let mut known: Option<Arc<str>> = None;
        loop {
            let coordinator = match known.take() {
                Some(address) => Ok(address),
                None => attempts.run(self.find_coordinator(group)).await,
            };
            let failure = match coordinator {
                Ok(address) => {
                    let timeout = attempts.timeout();
                    let call = self.pool.call(&address, Lane::Control, request, timeout);
                    let failure = match attempts.run(call).await {
                        Ok(answer) => match judge(answer, attempts.maybe_done) {
                            Ok(done) => return Ok(done),
                            Err(error) => attempts.refused(&address, R::API.name(), error)?,
                        },
                        Err(error) => attempts.failed(error)?,
                    };
                    // One that answered for now is asked again; one that moved is looked for.
                    if failure.retry() == Retry::Later {
                        known = Some(address);
                    }
                    failure
                }
                Err(error) => attempts.failed(error)?,
            };
            attempts.pause(failure).await?;
        }
    }

    /// The id of a topic, looked for up to the API deadline.
    pub(crate) async fn topic_id(
        &self,
        operation: &str,
        name: &TopicName,
    ) -> Result<TopicId, AdminError> {
        let begun = now();
        let deadline = begun + self.options.api_timeout;
        match self.topic(name, deadline, UNKNOWN_TOPIC_GRACE).await {
            Ok(Some(topic)) => Ok(topic.id),
            Ok(None) => Err(AdminError::Refused {
                operation: operation.to_owned(),
                code: ErrorCode::UnknownTopic,
                message: format!("topic {name} does not exist"),
            }),
            Err(last) => Err(AdminError::Unreachable {
                operation: operation.to_owned(),
                attempts: 1,
                waited_ms: u64::from(millis(now() - begun)),
                last,
            }),
        }
    }

    /// Asks every broker that is alive, each until it answers or the API deadline passes. What an answer lacks for now is
    /// asked for again; at the deadline the answers are taken as they are.
    pub(crate) async fn ask_every_broker<R: Request>(
        &self,
        operation: &str,
        request: &R,
        lacks: impl Fn(&R::Response) -> Option<ApiError>,
    ) -> Result<Vec<R::Response>, AdminError> {
        let mut attempts = Attempts::new(self, operation);
        let mut incomplete = None;
        loop {
            let seen = self.image().version;
            let failure = match attempts.run(self.refresh(seen)).await {
                Ok(()) => match self.ask_all(&mut attempts, request).await {
                    Ok(answers) => {
                        let (addresses, answers): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
                        let mut each = addresses.iter().zip(&answers);
                        let lack = each.find_map(|(at, answer)| Some((at, lacks(answer)?)));
                        let Some((address, error)) = lack else { return Ok(answers) };
                        let failure = attempts.refused(address, R::API.name(), error)?;
                        incomplete = Some(answers);
                        failure
                    }
                    Err(error) => attempts.failed(error)?,
                },
                Err(error) => attempts.failed(error)?,
            };
            if let Err(error) = attempts.pause(failure).await {
                return incomplete.ok_or(error);
            }
        }
    }

    async fn ask_all<R: Request>(
        &self,
        attempts: &mut Attempts<'_>,
        request: &R,
    ) -> Result<Vec<(Arc<str>, R::Response)>, CallError> {
        let image = self.image();
        let mut answers = Vec::new();
        for address in image.brokers.values() {
            let timeout = attempts.timeout();
            let call = self.pool.call(address, Lane::Control, request, timeout);
            answers.push((Arc::clone(address), attempts.run(call).await?));
        }
        if answers.is_empty() {
            return Err(CallError::NoLeader);
        }
        Ok(answers)
    }
}
