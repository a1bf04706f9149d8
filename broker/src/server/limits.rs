//! What strangers may take of the broker: connections, frames, bytes in flight, time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::Counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::budget::Budget;
use super::places::Places;
use crate::base::ByteSize;
use crate::config::Limits as Configured;
use crate::metrics::ConnectionMetrics;

/// No request is waited for longer, whatever its client says.
const REQUEST_TIMEOUT_MAX: Duration = Duration::from_mins(2);

/// Frames up to this size need no grant of memory: every connection may hold one buffer of it.
const UNGRANTED_BYTES: usize = 64 * 1024;

/// Copied bytes of answers that one connection may leave unread before its next request is begun. Records are not
/// copied: they are sent from the log.
pub(super) const ANSWER_BYTES_MAX: usize = 32 * 1024;

/// Descriptors for what is neither a connection nor a log file.
const OTHER_DESCRIPTORS: u64 = 160;

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
    /// A frame that has begun to arrive is there within so long.
    pub(crate) frame_max: Duration,
    /// No request is waited for longer.
    pub(crate) request_timeout_max: Duration,
    /// All connections together.
    pub(crate) connections_max: usize,
    /// The connections of one address.
    pub(crate) connections_per_address_max: usize,
    /// Elements of all lists in one request.
    pub(crate) request_elements_max: usize,
    /// Memory for large answers that are not taken yet.
    pub(crate) answers: Arc<Budget>,
    /// Bytes of requests that wait for their answer.
    pub(crate) waiting: Arc<Budget>,
    /// Connections that have not finished their handshake, all together.
    pub(crate) handshakes: Arc<Places>,
    /// Memory for large frames of all connections together, in pieces.
    pub(crate) memory: Arc<Semaphore>,
    /// How many pieces there are.
    pub(crate) memory_pieces: usize,
    /// Counts the frames that waited for memory.
    pub(crate) memory_waits: Counter,
    /// Those that are open.
    pub(crate) open: Mutex<Open>,
}

/// The connections that are open, in all and of each address.
#[derive(Debug, Default)]
pub(crate) struct Open {
    total: usize,
    addresses: HashMap<IpAddr, usize>,
}

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// There are too many in all.
    #[error("{0} connections are open, as many as connections_max allows")]
    Total(usize),
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
            Self::Address(_) => "connections_per_address_max",
        }
    }
}

impl Limits {
    /// As the configuration has them, where this process may have so many descriptors and keeps `log_files_max` of
    /// them for log files: connections never take what a new segment needs.
    pub(crate) fn of(
        limits: &Configured,
        metrics: &ConnectionMetrics,
        descriptors_max: u64,
        log_files_max: usize,
    ) -> Self {
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
            frame_max: limits.slow_reader_ms_max.duration(),
            request_timeout_max: REQUEST_TIMEOUT_MAX,
            connections_max: count(limits.connections_max)
                .min(connections_for(descriptors_max, log_files_max)),
            connections_per_address_max: count(limits.connections_per_address_max),
            request_elements_max: count(limits.request_elements_max),
            answers: Budget::new(bytes(limits.answer_memory_bytes_max)),
            waiting: Budget::new(bytes(limits.request_memory_bytes_max)),
            handshakes: Places::new(count(limits.handshakes_max)),
            memory: Arc::new(Semaphore::new(memory_pieces)),
            memory_pieces,
            memory_waits: metrics.request_memory_waits.clone(),
            open: Mutex::default(),
        }
    }

    /// A budget of `bytes` for large frames, as the pieces that [`Limits::memory`] counts.
    pub(crate) fn pieces(bytes: usize) -> usize {
        (bytes / PIECE_BYTES).clamp(1, Semaphore::MAX_PERMITS)
    }

    /// A place for one more connection from `address`.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admitted, Refused> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.connections_max {
            return Err(Refused::Total(open.total));
        }
        let count = open.addresses.entry(address).or_default();
        if *count >= self.connections_per_address_max {
            return Err(Refused::Address(*count));
        }
        *count += 1;
        open.total += 1;
        Ok(Admitted { limits: Arc::clone(self), address })
    }

    /// How many connections are open.
    pub(crate) fn open_connections(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).total
    }

    /// One connection's share of the memory for large frames; nothing yet.
    pub(crate) fn memory(&self) -> Memory {
        Memory {
            budget: Arc::clone(&self.memory),
            pieces_max: self.memory_pieces,
            held: None,
            granted: 0,
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
        let mut open = self.limits.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        if let Some(count) = open.addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.addresses.remove(&self.address);
            }
        }
    }
}

/// How many connections the descriptors of this process leave room for.
fn connections_for(descriptors_max: u64, log_files_max: usize) -> usize {
    let log_files = u64::try_from(log_files_max).unwrap_or(u64::MAX);
    let left = descriptors_max.saturating_sub(log_files).saturating_sub(OTHER_DESCRIPTORS);
    usize::try_from(left).unwrap_or(usize::MAX).max(1)
}

/// What one connection holds of the memory for large frames: granted before a large frame is read, given
/// back when its request has begun.
#[derive(Debug)]
pub(crate) struct Memory {
    budget: Arc<Semaphore>,
    pieces_max: usize,
    held: Option<OwnedSemaphorePermit>,
    granted: usize,
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
        self.waiting = false;
    }

    /// Gives back what is held.
    pub(crate) fn release(&mut self) {
        self.held = None;
        self.granted = 0;
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
            frame_max: Duration::from_secs(1),
            request_timeout_max: Duration::from_secs(1),
            connections_max: 3,
            connections_per_address_max: 2,
            request_elements_max: 1_000,
            answers: Budget::new(1 << 20),
            waiting: Budget::new(1 << 20),
            handshakes: Places::new(2),
            memory: Arc::new(Semaphore::new(Limits::pieces(256 * 1024))),
            memory_pieces: Limits::pieces(256 * 1024),
            memory_waits,
            open: Mutex::default(),
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

    #[test]
    fn connections_leave_descriptors_for_log_files() {
        assert_eq!(connections_for(1024, 400), 464);
        assert_eq!(connections_for(100, 400), 1);
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
