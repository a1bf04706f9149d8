//! What is counted of sockets.

use metrics::{Counter, Gauge};

use super::names;
use super::registry::Registry;

/// Sockets of one broker, all listeners together.
#[derive(Debug)]
pub struct ConnectionMetrics {
    registry: Registry,
    open: Gauge,
    accepted: Counter,
    in_handshake: Gauge,
    /// Bytes of requests, frames included.
    pub received_bytes: Counter,
    /// Bytes of answers, frames included.
    pub sent_bytes: Counter,
    requests_in_flight: Gauge,
    /// How many may be open.
    pub open_max: Gauge,
    /// Memory that large requests hold while they arrive, in bytes.
    pub request_memory_bytes: Gauge,
    /// What they may hold, in bytes, and as much again those that wait.
    pub request_memory_max_bytes: Gauge,
    /// Times that a connection waited for memory.
    pub request_memory_waits: Counter,
    /// Memory that requests hold while they wait for their answer, in bytes.
    pub waiting_memory_bytes: Gauge,
    /// Memory of large answers that are not taken yet, in bytes.
    pub answer_memory_bytes: Gauge,
    /// What these may hold, in bytes.
    pub answer_memory_max_bytes: Gauge,
}

/// One more while it is held.
#[derive(Debug)]
pub struct UnderWay(Gauge);

impl UnderWay {
    /// One more of what `gauge` counts, until it is dropped.
    pub fn new(gauge: &Gauge) -> Self {
        gauge.increment(1);
        Self(gauge.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

impl ConnectionMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            registry: registry.clone(),
            open: registry.gauge(names::CONNECTIONS, &[]),
            open_max: registry.gauge(names::CONNECTIONS_MAX, &[]),
            accepted: registry.counter(names::CONNECTIONS_ACCEPTED, &[]),
            in_handshake: registry.gauge(names::HANDSHAKES, &[]),
            received_bytes: registry.counter(names::RECEIVED_BYTES, &[]),
            sent_bytes: registry.counter(names::SENT_BYTES, &[]),
            requests_in_flight: registry.gauge(names::REQUESTS_IN_FLIGHT, &[]),
            request_memory_bytes: registry.gauge(names::REQUEST_MEMORY, &[]),
            request_memory_max_bytes: registry.gauge(names::REQUEST_MEMORY_MAX, &[]),
            request_memory_waits: registry.counter(names::REQUEST_MEMORY_WAITS, &[]),
            waiting_memory_bytes: registry.gauge(names::WAITING_MEMORY, &[]),
            answer_memory_bytes: registry.gauge(names::ANSWER_MEMORY, &[]),
            answer_memory_max_bytes: registry.gauge(names::ANSWER_MEMORY_MAX, &[]),
        }
    }

    /// A connection arrived. Each call is followed by one of [`ConnectionMetrics::closed`].
    pub fn accepted(&self) {
        self.accepted.increment(1);
        self.open.increment(1);
    }

    /// A connection ended, or was refused; `reason` is one of a few fixed words.
    pub fn closed(&self, reason: &'static str) {
        // Who sees it open no more finds it among the closed ones.
        self.registry.counter(names::CONNECTIONS_CLOSED, &[reason]).increment(1);
        self.open.decrement(1);
    }

    /// A handshake begins; it ends when the answer is dropped.
    pub fn handshake(&self) -> UnderWay {
        UnderWay::new(&self.in_handshake)
    }

    /// A request begins; it ends when the answer is dropped.
    pub fn request(&self) -> UnderWay {
        UnderWay::new(&self.requests_in_flight)
    }

    /// A request through `door` could not be read.
    pub fn malformed(&self, door: &'static str) {
        self.registry.counter(names::MALFORMED, &[door]).increment(1);
    }
}
