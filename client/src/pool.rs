//! The connections to all brokers, at most one for each broker and lane, made when first needed.
//!
//! Owns the breakers: a broker that fails repeatedly is left alone for a while. Knows addresses, not
//! what brokers lead.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thalweg_protocol::ErrorCode;
use thalweg_protocol::native::{Purpose, Request};

use crate::clock::now;
use crate::config::ClientOptions;
use crate::connection::{Connection, Watcher, open};
use crate::error::CallError;
use crate::retry::Breaker;

/// What a connection carries. Appends and long polls go apart: an answer of megabytes must not stand
/// before an acknowledgement, nor a queue of appends before a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Metadata and administration.
    Control,
    /// Appends, and what else touches a log briefly.
    Produce,
    /// Long polls.
    Fetch,
}

impl Lane {
    const fn purpose(self) -> Purpose {
        match self {
            Self::Control => Purpose::Control,
            Self::Produce | Self::Fetch => Purpose::Data,
        }
    }
}

/// The place of one connection.
#[derive(Debug, Default)]
struct Slot {
    live: Mutex<Option<Arc<Connection>>>,
    /// One task connects, the others wait for it.
    connecting: tokio::sync::Mutex<()>,
}

impl Slot {
    fn live(&self) -> Option<Arc<Connection>> {
        let live = lock(&self.live);
        live.as_ref().filter(|connection| connection.is_live()).cloned()
    }
}

type Slots = HashMap<Arc<str>, HashMap<Lane, Arc<Slot>>>;

/// The connections of one client.
#[derive(Debug)]
pub(crate) struct Pool {
    options: Arc<ClientOptions>,
    slots: Mutex<Slots>,
    breakers: Mutex<HashMap<Arc<str>, Breaker>>,
    /// Whether any breaker counts failures: spares the good path the look.
    troubled: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept here is valid at every step, so a panic elsewhere spoils nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    pub(crate) fn new(options: Arc<ClientOptions>) -> Self {
        Self {
            options,
            slots: Mutex::default(),
            breakers: Mutex::default(),
            troubled: AtomicBool::new(false),
        }
    }

    /// The live connection, if there is one.
    pub(crate) fn live(&self, address: &Arc<str>, lane: Lane) -> Option<Arc<Connection>> {
        let slot = lock(&self.slots).get(address)?.get(&lane)?.clone();
        slot.live()
    }

    /// The live connection, or a new one.
    pub(crate) async fn connection(
        &self,
        address: &Arc<str>,
        lane: Lane,
    ) -> Result<Arc<Connection>, CallError> {
        let slot = self.slot(address, lane);
        if let Some(live) = slot.live() {
            return Ok(live);
        }
        let _connecting = slot.connecting.lock().await;
        if let Some(live) = slot.live() {
            return Ok(live);
        }
        self.check_breaker(address)?;
        match open(address, lane.purpose(), &self.options).await {
            Ok(connection) => {
                let connection = Arc::new(connection);
                *lock(&slot.live) = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                self.failed(address, &error);
                Err(error)
            }
        }
    }

    /// Has this connection for one that was made.
    #[cfg(test)]
    pub(crate) fn put(&self, address: &Arc<str>, lane: Lane, connection: Connection) {
        *lock(&self.slot(address, lane).live) = Some(Arc::new(connection));
    }

    /// From now on no connection is made here but by the test: who wants one waits.
    #[cfg(test)]
    pub(crate) fn hold(&self, address: &Arc<str>, lane: Lane) {
        std::mem::forget(self.slot(address, lane).connecting.try_lock().unwrap());
    }

    /// One request over one connection; tells the breaker how it went.
    pub(crate) async fn call<R: Request>(
        &self,
        address: &Arc<str>,
        lane: Lane,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, CallError> {
        self.call_watched(address, lane, request, timeout, None).await
    }

    /// The same, and somebody looks at the answer while it arrives.
    pub(crate) async fn call_watched<R: Request>(
        &self,
        address: &Arc<str>,
        lane: Lane,
        request: &R,
        timeout: Duration,
        watcher: Option<Box<dyn Watcher>>,
    ) -> Result<R::Response, CallError> {
        let connection = self.connection(address, lane).await?;
        let answer = connection.call(request, timeout, watcher).await;
        match &answer {
            Ok(_) => self.succeeded(address),
            Err(error) => self.noted(address, error),
        }
        answer
    }

    /// Tells the breaker of an error after the connection was made.
    pub(crate) fn noted(&self, address: &Arc<str>, error: &CallError) {
        match error {
            CallError::TimedOut { .. } | CallError::Undecodable { .. } => {
                self.failed(address, error);
            }
            CallError::Refused { error, .. } if error.code != ErrorCode::Overloaded => {
                self.succeeded(address);
            }
            _ => {}
        }
    }

    /// The broker answered: whatever failed before is over.
    pub(crate) fn succeeded(&self, address: &Arc<str>) {
        if self.troubled.load(Ordering::Relaxed) {
            let mut breakers = lock(&self.breakers);
            breakers.remove(address);
            self.troubled.store(!breakers.is_empty(), Ordering::Relaxed);
        }
    }

    fn failed(&self, address: &Arc<str>, error: &CallError) {
        let mut breakers = lock(&self.breakers);
        let (failures, rest) = (self.options.breaker_failures, self.options.breaker_rest);
        let breaker =
            breakers.entry(address.clone()).or_insert_with(|| Breaker::new(failures, rest));
        breaker.failed(error.to_string(), now(), fastrand::f64());
        self.troubled.store(true, Ordering::Relaxed);
    }

    fn check_breaker(&self, address: &Arc<str>) -> Result<(), CallError> {
        let mut breakers = lock(&self.breakers);
        let Some(breaker) = breakers.get_mut(address) else {
            return Ok(());
        };
        match breaker.resting(now()) {
            None => Ok(()),
            Some(rest) => Err(CallError::Resting {
                address: address.to_string(),
                failures: breaker.failures(),
                rest_ms: u64::try_from(rest.as_millis()).unwrap_or(u64::MAX),
                last: breaker.last().to_owned(),
            }),
        }
    }

    fn slot(&self, address: &Arc<str>, lane: Lane) -> Arc<Slot> {
        let mut slots = lock(&self.slots);
        let lanes = slots.entry(address.clone()).or_default();
        lanes.entry(lane).or_default().clone()
    }

    /// Forgets the addresses that `keep` does not want any more.
    pub(crate) fn retain(&self, keep: impl Fn(&str) -> bool) {
        lock(&self.slots).retain(|address, _| keep(address));
        lock(&self.breakers).retain(|address, _| keep(address));
    }
}
