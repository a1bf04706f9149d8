//! What strangers may take of the broker: connections, frames, bytes in flight, time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::Counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::base::ByteSize;
use crate::config::Limits as Configured;
use crate::metrics::ConnectionMetrics;

/// No request is waited for longer, whatever its client says.
const REQUEST_TIMEOUT_MAX: Duration = Duration::from_mins(2);

/// Frames up to this size need no grant of memory: every connection may hold one buffer of it.
const UNGRANTED_BYTES: usize = 64 * 1024;

/// The memory budget counts in pieces of this size, so that it fits a semaphore.
const PIECE_BYTES: usize = 1024;

/// The limits of all connections together and of each.
#[derive(Debug)]
pub(crate) struct Limits {
    /// The largest frame, in bytes after the length.
    pub(crate) frame_bytes_max: usize,
    /// Past so many requests in flight a connection is not read.
    pub(crate) requests_in_flight_max: usize,
    /// Past so many bytes in flight a connection is not read.
    pub(crate) bytes_in_flight_max: usize,
    /// A silent connection is closed after so long.
    pub(crate) idle_max: Duration,
    /// A connection without a handshake is closed after so long.
    pub(crate) handshake_max: Duration,
    /// A client that takes none of its answers is closed after so long.
    pub(crate) slow_reader_max: Duration,
    /// A frame that memory was set aside for arrives within so long.
    pub(crate) large_frame_max: Duration,
    /// No request is waited for longer.
    pub(crate) request_timeout_max: Duration,
    /// All connections together.
    pub(crate) connections_max: usize,
    /// The connections of one address.
    pub(crate) connections_per_address_max: usize,
    /// Connections that have not finished their handshake, all together.
    pub(crate) handshakes: Arc<Semaphore>,
    /// Memory for large frames of all connections together, in pieces.
    pub(crate) memory: Arc<Semaphore>,
    /// How many pieces there are.
    pub(crate) memory_pieces: usize,
    /// Counts the frames that waited for memory.
    pub(crate) memory_waits: Counter,
    /// The connections of each address.
    pub(crate) addresses: Mutex<HashMap<IpAddr, usize>>,
}

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// There are too many in all.
    #[error("{0} connections are open, as many as connections_max allows")]
    Total(usize),
    /// Too many have not finished their handshake.
    #[error("as many connections as handshakes_max allows have not finished their handshake")]
    Handshakes,
    /// There are too many from this address.
    #[error(
        "{0} connections are open from this address, as many as connections_per_address_max allows"
    )]
    Address(usize),
}

impl Refused {
    /// The reason as a metric's label.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Total(_) => "connections_max",
            Self::Handshakes => "handshakes_max",
            Self::Address(_) => "connections_per_address_max",
        }
    }
}

impl Limits {
    /// As the configuration has them.
    pub(crate) fn of(limits: &Configured, metrics: &ConnectionMetrics) -> Self {
        let bytes = |size: ByteSize| usize::try_from(size.bytes()).unwrap_or(usize::MAX);
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let memory_pieces = Self::pieces(bytes(limits.request_memory_bytes_max));
        Self {
            frame_bytes_max: bytes(limits.frame_bytes_max),
            requests_in_flight_max: count(limits.requests_in_flight_max),
            bytes_in_flight_max: bytes(limits.bytes_in_flight_max),
            idle_max: limits.connection_idle_ms_max.duration(),
            handshake_max: limits.handshake_ms_max.duration(),
            slow_reader_max: limits.slow_reader_ms_max.duration(),
            large_frame_max: limits.slow_reader_ms_max.duration(),
            request_timeout_max: REQUEST_TIMEOUT_MAX,
            connections_max: count(limits.connections_max),
            connections_per_address_max: count(limits.connections_per_address_max),
            handshakes: Arc::new(Semaphore::new(count(limits.handshakes_max))),
            memory: Arc::new(Semaphore::new(memory_pieces)),
            memory_pieces,
            memory_waits: metrics.request_memory_waits.clone(),
            addresses: Mutex::default(),
        }
    }

    /// A budget of `bytes` for large frames, as the pieces that [`Limits::memory`] counts.
    pub(crate) fn pieces(bytes: usize) -> usize {
        (bytes / PIECE_BYTES).clamp(1, Semaphore::MAX_PERMITS)
    }

    /// A place for one more handshake, given back when it is dropped.
    pub(crate) fn begin_handshake(&self) -> Result<OwnedSemaphorePermit, Refused> {
        Arc::clone(&self.handshakes).try_acquire_owned().map_err(|_full| Refused::Handshakes)
    }

    /// A place for one more connection from `address`.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admitted, Refused> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = addresses.values().sum();
        if total >= self.connections_max {
            return Err(Refused::Total(total));
        }
        let count = addresses.entry(address).or_default();
        if *count >= self.connections_per_address_max {
            return Err(Refused::Address(*count));
        }
        *count += 1;
        Ok(Admitted { limits: Arc::clone(self), address })
    }

    /// One connection's share of the memory for large frames; nothing yet.
    pub(crate) fn memory(&self) -> Memory {
        Memory {
            budget: Arc::clone(&self.memory),
            pieces_max: self.memory_pieces,
            held: None,
            granted: 0,
            granted_at: None,
            waits: self.memory_waits.clone(),
            waiting: false,
        }
    }

    /// How many bytes of memory are granted now.
    pub(crate) fn granted_bytes(&self) -> usize {
        self.memory_pieces.saturating_sub(self.memory.available_permits()) * PIECE_BYTES
    }
}

/// A place among the connections, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    limits: Arc<Limits>,
    address: IpAddr,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut addresses = self.limits.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

/// What one connection holds of the memory for large frames: granted before a large frame is read, given
/// back when its request has begun.
#[derive(Debug)]
pub(crate) struct Memory {
    budget: Arc<Semaphore>,
    pieces_max: usize,
    held: Option<OwnedSemaphorePermit>,
    granted: usize,
    /// When it was granted; whoever holds memory must use it in time.
    granted_at: Option<Instant>,
    waits: Counter,
    /// Whether this frame was counted as one that waits.
    waiting: bool,
}

impl Memory {
    /// Whether a frame of `bytes` may be read now.
    pub(crate) const fn covers(&self, bytes: usize) -> bool {
        bytes <= UNGRANTED_BYTES || bytes <= self.granted
    }

    /// Waits until a frame of `bytes` may be read. Dropping the future takes nothing.
    pub(crate) async fn grant(&mut self, bytes: usize) {
        // A frame larger than the whole budget takes all of it.
        let pieces = bytes.div_ceil(PIECE_BYTES).min(self.pieces_max);
        let pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
        let mut permit = Arc::clone(&self.budget).try_acquire_many_owned(pieces).ok();
        if permit.is_none() {
            // Once for each frame, however often its connection begins to wait again.
            if !std::mem::replace(&mut self.waiting, true) {
                self.waits.increment(1);
            }
            permit = Arc::clone(&self.budget).acquire_many_owned(pieces).await.ok();
        }
        self.held = Some(permit.expect("the budget is never closed"));
        self.granted = bytes;
        self.granted_at = Some(Instant::now());
        self.waiting = false;
    }

    /// When memory was granted that is still held.
    pub(crate) const fn granted_at(&self) -> Option<Instant> {
        self.granted_at
    }

    /// Gives back what is held.
    pub(crate) fn release(&mut self) {
        self.held = None;
        self.granted = 0;
        self.granted_at = None;
        self.waiting = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn limits() -> Arc<Limits> {
        counting(Counter::noop())
    }

    fn counting(memory_waits: Counter) -> Arc<Limits> {
        Arc::new(Limits {
            frame_bytes_max: 1 << 20,
            requests_in_flight_max: 4,
            bytes_in_flight_max: 1 << 20,
            idle_max: Duration::from_secs(1),
            handshake_max: Duration::from_secs(1),
            slow_reader_max: Duration::from_secs(1),
            large_frame_max: Duration::from_secs(1),
            request_timeout_max: Duration::from_secs(1),
            connections_max: 3,
            connections_per_address_max: 2,
            handshakes: Arc::new(Semaphore::new(2)),
            memory: Arc::new(Semaphore::new(Limits::pieces(256 * 1024))),
            memory_pieces: Limits::pieces(256 * 1024),
            memory_waits,
            addresses: Mutex::default(),
        })
    }

    #[test]
    fn connections_are_counted_in_total_and_by_address() {
        let limits = limits();
        let one: IpAddr = [127, 0, 0, 1].into();
        let two: IpAddr = [127, 0, 0, 2].into();
        let first = limits.admit(one).unwrap();
        let _second = limits.admit(one).unwrap();
        assert_eq!(limits.admit(one).unwrap_err(), Refused::Address(2));
        let _third = limits.admit(two).unwrap();
        assert_eq!(limits.admit(two).unwrap_err(), Refused::Total(3));
        drop(first);
        assert!(limits.admit(two).is_ok());
    }

    #[tokio::test]
    async fn a_frame_that_waits_is_counted_once_and_what_is_granted_is_known() {
        let waits = Arc::new(AtomicU64::new(0));
        let limits = counting(Counter::from_arc(Arc::clone(&waits)));
        let (mut one, mut two) = (limits.memory(), limits.memory());
        one.grant(200 * 1024).await;
        assert_eq!(limits.granted_bytes(), 200 * 1024);
        for _ in 0..3 {
            // The connection's loop gives up waiting for something else, then begins again.
            assert!(futures_util::FutureExt::now_or_never(two.grant(100 * 1024)).is_none());
        }
        assert_eq!(waits.load(Ordering::Relaxed), 1);
        one.release();
        two.grant(100 * 1024).await;
        assert_eq!((limits.granted_bytes(), waits.load(Ordering::Relaxed)), (100 * 1024, 1));
        two.release();
        one.grant(200 * 1024).await;
        assert!(futures_util::FutureExt::now_or_never(two.grant(100 * 1024)).is_none());
        assert_eq!(waits.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn large_frames_wait_for_memory() {
        let limits = limits();
        let (mut one, mut two) = (limits.memory(), limits.memory());
        assert!(one.covers(UNGRANTED_BYTES));
        assert!(!one.covers(200 * 1024));
        one.grant(200 * 1024).await;
        assert!(one.covers(200 * 1024));
        assert!(futures_util::FutureExt::now_or_never(two.grant(100 * 1024)).is_none());
        one.release();
        two.grant(100 * 1024).await;
        assert!(two.covers(100 * 1024));
    }
}
