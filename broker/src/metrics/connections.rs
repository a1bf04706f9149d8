//! What is counted of sockets.

use super::names;
use super::registry::Registry;
use super::series::{Counter, Gauge};

/// Sockets of one broker, all listeners together.
#[derive(Debug)]
pub struct ConnectionMetrics {
    registry: Registry,
    open: Gauge,
    accepted: Counter,
    /// Connections that have not finished their handshake.
    pub in_handshake: Gauge,
    /// Bytes of requests, frames included.
    pub received_bytes: Counter,
    /// Bytes of answers, frames included.
    pub sent_bytes: Counter,
    /// Requests under way.
    pub requests_in_flight: Gauge,
    /// Memory that requests under way hold.
    pub request_memory_bytes: Gauge,
    /// Times that a connection waited for memory.
    pub request_memory_waits: Counter,
}

impl ConnectionMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            registry: registry.clone(),
            open: registry.gauge(names::CONNECTIONS, &[]),
            accepted: registry.counter(names::CONNECTIONS_ACCEPTED, &[]),
            in_handshake: registry.gauge(names::HANDSHAKES, &[]),
            received_bytes: registry.counter(names::RECEIVED_BYTES, &[]),
            sent_bytes: registry.counter(names::SENT_BYTES, &[]),
            requests_in_flight: registry.gauge(names::REQUESTS_IN_FLIGHT, &[]),
            request_memory_bytes: registry.gauge(names::REQUEST_MEMORY, &[]),
            request_memory_waits: registry.counter(names::REQUEST_MEMORY_WAITS, &[]),
        }
    }

    /// A connection arrived. Each call is followed by one of [`ConnectionMetrics::closed`].
    pub fn accepted(&self) {
        self.accepted.increment();
        self.open.increment();
    }

    /// A connection ended, or was refused; `reason` is one of a few fixed words.
    pub fn closed(&self, reason: &'static str) {
        self.open.decrement();
        self.registry.counter(names::CONNECTIONS_CLOSED, &[reason]).increment();
    }

    /// A request through `door` could not be read.
    pub fn malformed(&self, door: &'static str) {
        self.registry.counter(names::MALFORMED, &[door]).increment();
    }
}
