//! One socket to one broker: requests go out in the order in which they are begun, answers come back in
//! any order and are tied to them by the correlation id.
//!
//! Owns the handshake, the correlation map, the bound on requests in flight and each request's deadline.
//! One task reads and writes; it ends with the last handle. Never retries: that is the caller's.
//!
//! Invariants: every request that was begun is answered once, at the latest by its deadline; a broker
//! that misses a deadline loses the connection, so that nothing of an old request can be mistaken for an
//! answer; an answer larger than the limit is refused before room is made for it.

mod handshake;
mod io;

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use thalweg_protocol::codec::{Chunks, Reader};
use thalweg_protocol::frame::{decode_body, request_frame};
use thalweg_protocol::native::{Api, HandshakeResponse, Request, RequestHeader, Tags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

pub(crate) use handshake::open;

use crate::clock::{Instant, millis, now};
use crate::error::CallError;

/// What the task answers: the body of a good answer, still to be decoded.
type Answer = Result<Reader, CallError>;

/// A request on its way to the task.
struct Outgoing {
    chunks: Chunks,
    correlation: u32,
    api: &'static str,
    begun: Instant,
    deadline: Instant,
    /// Whether the broker answers; if not, the request is done when it is written.
    answered: bool,
    answer: oneshot::Sender<Answer>,
    watcher: Option<Box<dyn Watcher>>,
    /// Held until the request is answered: bounds the requests in flight.
    permit: OwnedSemaphorePermit,
}

/// Looks at an answer that comes in pieces.
pub(crate) trait Watcher: Send {
    /// Sees what has arrived of a frame of `length` bytes, both without the length in front; false when it
    /// has seen enough.
    fn see(&mut self, arrived: &[u8], length: usize) -> bool;
}

/// A live connection whose handshake is done.
#[derive(Debug)]
pub(crate) struct Connection {
    address: Arc<str>,
    hello: HandshakeResponse,
    outgoing: mpsc::Sender<Outgoing>,
    permits: Arc<Semaphore>,
    in_flight_max: usize,
    correlation: AtomicU32,
    /// Set by the task when it ends.
    ended: Arc<AtomicBool>,
}

impl Connection {
    /// Puts a request in line; the answer is awaited through what comes back. Requests begun one after
    /// another reach the broker in that order.
    pub(crate) fn begin<R: Request>(
        &self,
        request: &R,
        timeout: Duration,
        answered: bool,
    ) -> Result<Pending<R>, CallError> {
        self.begin_watched(request, timeout, answered, None)
    }

    fn begin_watched<R: Request>(
        &self,
        request: &R,
        timeout: Duration,
        answered: bool,
        watcher: Option<Box<dyn Watcher>>,
    ) -> Result<Pending<R>, CallError> {
        let api = R::API.name();
        self.check_version(R::API)?;
        let permit = self.permits.clone().try_acquire_owned().map_err(|_| CallError::Busy {
            address: self.address.to_string(),
            in_flight: self.in_flight_max,
        })?;
        let correlation = self.correlation.fetch_add(1, Ordering::Relaxed);
        let header = RequestHeader {
            api: R::API.number(),
            version: R::API.range().version_max,
            correlation,
            timeout_ms: millis(timeout),
            tags: Tags::default(),
        };
        let chunks = request_frame(&header, request);
        self.check_size(api, &chunks)?;
        let (sender, receiver) = oneshot::channel();
        let begun = now();
        let outgoing = Outgoing {
            chunks,
            correlation,
            api,
            begun,
            deadline: begun + timeout + GRACE,
            answered,
            answer: sender,
            watcher,
            permit,
        };
        // There is room: the channel holds as many as there are permits.
        self.outgoing
            .try_send(outgoing)
            .map_err(|_| self.lost(api, "it ended before the request was written", false))?;
        Ok(Pending { receiver, address: self.address.clone(), answered, request: PhantomData })
    }

    /// Sends a request and waits for its answer, at most `timeout` (and a little for the way back).
    pub(crate) async fn call<R: Request>(
        &self,
        request: &R,
        timeout: Duration,
        watcher: Option<Box<dyn Watcher>>,
    ) -> Result<R::Response, CallError> {
        self.begin_watched(request, timeout, true, watcher)?.await
    }

    pub(crate) fn is_live(&self) -> bool {
        !self.ended.load(Ordering::Acquire)
    }

    pub(crate) const fn hello(&self) -> &HandshakeResponse {
        &self.hello
    }

    fn check_version(&self, api: Api) -> Result<(), CallError> {
        let ours = api.range();
        let spoken = self.hello.apis.iter().any(|theirs| {
            theirs.api == ours.api
                && theirs.version_min <= ours.version_max
                && theirs.version_max >= ours.version_max
        });
        if spoken {
            Ok(())
        } else {
            Err(CallError::Unsupported { address: self.address.to_string(), api: api.name() })
        }
    }

    fn check_size(&self, api: &'static str, chunks: &Chunks) -> Result<(), CallError> {
        let bytes = chunks.iter().map(bytes::Bytes::len).sum::<usize>();
        let bytes_max = usize::try_from(self.hello.frame_bytes_max).unwrap_or(usize::MAX);
        if bytes > bytes_max.saturating_add(4) {
            return Err(CallError::TooLarge {
                address: self.address.to_string(),
                api,
                bytes,
                bytes_max,
            });
        }
        Ok(())
    }

    fn lost(&self, api: &'static str, reason: &str, sent: bool) -> CallError {
        CallError::Lost { address: self.address.to_string(), api, reason: reason.to_owned(), sent }
    }
}

/// How much longer than the broker the client waits: the broker's own deadline answers first, and says
/// more than a lost connection does.
const GRACE: Duration = Duration::from_secs(1);

/// The answer to a request that was begun. Dropping it lets the answer pass unread.
pub(crate) struct Pending<R> {
    receiver: oneshot::Receiver<Answer>,
    address: Arc<str>,
    answered: bool,
    request: PhantomData<fn() -> R>,
}

impl<R: Request> Pending<R> {
    fn decode(
        &self,
        answer: Result<Answer, oneshot::error::RecvError>,
    ) -> Result<R::Response, CallError> {
        let api = R::API.name();
        let lost = |_| CallError::Lost {
            address: self.address.to_string(),
            api,
            reason: "its task ended".to_owned(),
            sent: true,
        };
        let reader = answer.map_err(lost)??;
        decode_body(reader).map_err(|error| CallError::Undecodable {
            address: self.address.to_string(),
            api,
            reason: error.to_string(),
        })
    }

    /// Waits until a request that has no answer is written.
    pub(crate) async fn written(self) -> Result<(), CallError> {
        debug_assert!(!self.answered, "a request with an answer is awaited");
        match self.receiver.await {
            Ok(answer) => answer.map(drop),
            Err(_) => Err(CallError::Lost {
                address: self.address.to_string(),
                api: R::API.name(),
                reason: "its task ended".to_owned(),
                sent: true,
            }),
        }
    }
}

impl<R: Request> Future for Pending<R> {
    type Output = Result<R::Response, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(context).map(|answer| self.decode(answer))
    }
}

#[cfg(test)]
mod held;
#[cfg(test)]
pub(crate) use held::{Held, Reply, hello};
