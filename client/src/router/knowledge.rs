//! Who is asked for metadata, and what it says of topics.

use std::sync::Arc;
use std::time::Duration;

use thalweg_protocol::TopicName;
use thalweg_protocol::native::{MetadataRequest, MetadataResponse};
use tokio::time::{sleep_until, timeout_at};

use super::{Router, Target};
use crate::clock::{Instant, now};
use crate::error::CallError;
use crate::metadata::Topic;
use crate::pool::Lane;

impl Router {
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
    pub(super) fn candidates(&self, target: Target) -> Vec<Arc<str>> {
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
}
