//! What is counted of each kind of request.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Gauge};
use thalweg_protocol::ErrorCode;

use super::connections::UnderWay;
use super::histogram::Histogram;
use super::names;
use super::registry::Registry;

/// One kind of request through one door.
#[derive(Debug)]
pub struct RequestMetrics {
    registry: Registry,
    door: &'static str,
    request: &'static str,
    answered: Counter,
    waiting: Gauge,
    seconds: Histogram,
    phases: [Histogram; Phase::ALL.len()],
    /// One per known code and one for those unknown; made when the code first occurs, so that the text does
    /// not fill with zeros.
    errors: Vec<OnceLock<Counter>>,
}

/// What a request spends its time on, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It is read, and others of its connection come first.
    Queue,
    /// It is decoded and carried out.
    Handling,
    /// For its records to be committed, for records to read, for a disk, for the metadata.
    Waiting,
    /// Its answer is encoded, and goes to the socket after those before it.
    Sending,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Queue, Self::Handling, Self::Waiting, Self::Sending];

    /// The phase as a metric's label.
    const fn label(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Handling => "handling",
            Self::Waiting => "waiting",
            Self::Sending => "sending",
        }
    }
}

impl RequestMetrics {
    pub(super) fn new(registry: &Registry, door: &'static str, request: &'static str) -> Self {
        let phase = |phase: Phase| {
            registry.histogram(names::REQUEST_PHASE_SECONDS, &[door, request, phase.label()])
        };
        Self {
            registry: registry.clone(),
            door,
            request,
            answered: registry.counter(names::REQUESTS, &[door, request]),
            waiting: registry.gauge(names::REQUESTS_WAITING, &[door, request]),
            seconds: registry.histogram(names::REQUEST_SECONDS, &[door, request]),
            phases: Phase::ALL.map(phase),
            errors: (0..=ErrorCode::ALL.len()).map(|_| OnceLock::new()).collect(),
        }
    }

    /// A request spent so long on one phase.
    pub fn spent(&self, phase: Phase, took: Duration) {
        let [queue, handling, waiting, sending] = &self.phases;
        let histogram = match phase {
            Phase::Queue => queue,
            Phase::Handling => handling,
            Phase::Waiting => waiting,
            Phase::Sending => sending,
        };
        histogram.record_time(took);
    }

    /// A request begins to wait; the wait ends when the answer is dropped.
    pub fn wait(&self) -> UnderWay {
        UnderWay::new(&self.waiting)
    }

    /// A request was carried out, whether well or not.
    pub fn answered(&self) {
        self.answered.increment(1);
    }

    /// The last of a request: its answer has left, `took` after the request was read.
    pub fn ended(&self, took: Duration) {
        self.seconds.record_time(took);
    }

    /// A request, or one partition or topic of it, failed.
    pub fn failed(&self, code: ErrorCode) {
        let known = ErrorCode::ALL.iter().position(|other| *other == code);
        let Some(counter) = self.errors.get(known.unwrap_or(ErrorCode::ALL.len())) else { return };
        let resolve = || {
            let code = known.map_or_else(|| "Unknown".to_owned(), |_| format!("{code:?}"));
            self.registry.counter(names::REQUEST_ERRORS, &[self.door, self.request, &code])
        };
        counter.get_or_init(resolve).increment(1);
    }
}
