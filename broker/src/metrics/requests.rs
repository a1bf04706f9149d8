//! What is counted of each kind of request.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Histogram};
use thalweg_protocol::ErrorCode;

use super::names;
use super::registry::Registry;

/// One kind of request through one door.
#[derive(Debug)]
pub struct RequestMetrics {
    registry: Registry,
    door: &'static str,
    request: &'static str,
    answered: Counter,
    seconds: Histogram,
    /// One per known code and one for those unknown; made when the code first occurs, so that the text does
    /// not fill with zeros.
    errors: Vec<OnceLock<Counter>>,
}

impl RequestMetrics {
    pub(super) fn new(registry: &Registry, door: &'static str, request: &'static str) -> Self {
        Self {
            registry: registry.clone(),
            door,
            request,
            answered: registry.counter(names::REQUESTS, &[door, request]),
            seconds: registry.histogram(names::REQUEST_SECONDS, &[door, request]),
            errors: (0..=ErrorCode::ALL.len()).map(|_| OnceLock::new()).collect(),
        }
    }

    /// A request ended, whether well or not, `took` after it was read.
    pub fn answered(&self, took: Duration) {
        self.answered.increment(1);
        self.seconds.record(took);
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
