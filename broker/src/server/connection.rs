//! One connection of the native protocol: takes frames, begins requests in the order in which they came, and
//! writes answers as they become ready.
//!
//! One task does it all. It stops reading past the limits of requests and bytes in flight; a client that
//! does not read its answers is closed after a while. Ends by itself when the client, the idle timeout, an
//! error or a stop says so; what was begun is then still carried out, only not answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use thalweg_protocol::ErrorCode;
use thalweg_protocol::frame::{FrameReader, decode_request_header};
use thalweg_protocol::native::RequestHeader;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::asked::{Answer, Asked, Departures, Waiting};
use super::budget::Part;
use super::handshake::{Opened, Peer};
use super::limits::{ANSWER_BYTES_MAX, Admitted, Limits, Memory};
use super::listener::Door;
use super::pinning::{PINNED_MAX, Pinning};
use super::requests::{DOOR, RequestCounts};
use crate::api::{Begun, Context, Failure, Request, Response, Services, begin};
use crate::base::Monotonic;
use crate::coordinator::ClientInfo;
use crate::frontend::native::{Decoded, decode};
use crate::metrics::ConnectionMetrics;
use crate::transport::Outbox;

/// Requests of so many bytes begin in one go; then other connections have their turn.
const TURN_BYTES: usize = 256 * 1024;

/// What a request that waits holds at least: its state, and its places among those that wait.
const WAITING_BYTES: usize = 1024;

/// How soon a connection looks again whether there is room for another request that waits.
const ROOM_RETRY: Duration = Duration::from_millis(100);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Closed {
    /// The client closed it.
    #[error("closed by the client")]
    ByClient,
    /// The socket failed.
    #[error("socket failed: {0}")]
    Socket(#[from] std::io::Error),
    /// What came is not the protocol.
    #[error("{0}")]
    Protocol(String),
    /// The client was silent for too long.
    #[error("idle for {0:?}")]
    Idle(Duration),
    /// The client did not say in time who it is.
    #[error("no handshake within {0:?}")]
    HandshakeLate(Duration),
    /// The client does not read its answers.
    #[error("the client took none of {bytes} waiting bytes within {within:?}")]
    SlowReader {
        /// What waits for it.
        bytes: usize,
        /// For how long.
        within: Duration,
    },
    /// A frame did not arrive in time.
    #[error("a frame that began to arrive was not there within {0:?}")]
    SlowFrame(Duration),
    /// Others wanted to begin, too, and this one had waited longest.
    #[error("no handshake yet, and as many others begin as handshakes_max allows")]
    MadeRoom,
    /// The client does not read, and what waits for it keeps space that is needed.
    #[error(
        "the disk is nearly full, and the client took nothing of deleted segments within {0:?}"
    )]
    PinsDeleted(Duration),
    /// The broker is stopping.
    #[error("the broker is stopping")]
    Stopping,
    /// A produce request with `acks=none` failed: closing is the only way to say so.
    #[error("a request without an answer failed: {0}")]
    Unanswerable(String),
}

impl Closed {
    /// The reason as a metric's label.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::ByClient => "client",
            Self::Socket(_) => "socket",
            Self::Protocol(_) => "protocol",
            Self::Idle(_) => "idle",
            Self::HandshakeLate(_) => "handshake_late",
            Self::SlowReader { .. } => "slow_reader",
            Self::SlowFrame(_) => "slow_frame",
            Self::MadeRoom => "handshakes_max",
            Self::PinsDeleted(_) => "pins_deleted",
            Self::Stopping => "stopping",
            Self::Unanswerable(_) => "unanswerable",
        }
    }
}

/// An answer that is ready, and how many bytes its request counts for.
struct Ready {
    waits: Waiting,
    answer: Result<Response, Failure>,
    request_bytes: usize,
    /// Its part of what all requests that wait may hold.
    _memory: Part,
}

/// A request of which something takes long: nothing else of its connection begins meanwhile.
struct Held {
    begun: BoxFuture<'static, Begun>,
    asked: Asked,
    request_bytes: usize,
}

/// A connection after its handshake.
pub(super) struct Connection {
    stream: TcpStream,
    frames: FrameReader,
    outbox: Outbox,
    departures: Departures,
    pinning: Pinning,
    waiting: FuturesUnordered<BoxFuture<'static, Ready>>,
    /// The request that keeps others from beginning, if there is one.
    held: Option<Held>,
    /// The bytes of the requests in `waiting`.
    waiting_bytes: usize,
    peer: Peer,
    /// The same for handlers.
    client: Arc<ClientInfo>,
    listener: Arc<str>,
    services: Arc<Services>,
    requests: Arc<RequestCounts>,
    metrics: Arc<ConnectionMetrics>,
    limits: Arc<Limits>,
    memory: Memory,
    /// Keeps the place among the admitted connections.
    _admitted: Admitted,
    /// When something last came or went.
    active: Instant,
    /// Since when a part of a frame is there while the rest of it could be read.
    frame_began: Option<Instant>,
    /// When bytes last came: nothing is read while a whole frame waits, so each became whole then.
    arrived: Monotonic,
}

impl Connection {
    /// Goes on with a connection whose handshake is done.
    pub(super) fn new(stream: TcpStream, opened: Opened, door: &Door) -> Self {
        let limits = Arc::clone(&door.limits);
        let Opened { mut frames, answer, peer, admitted } = opened;
        frames.set_bytes_max(limits.frame_bytes_max);
        let mut outbox = Outbox::default();
        let mut pinning = Pinning::new();
        pinning.push(answer.iter().map(Bytes::len).sum(), []);
        outbox.push(answer);
        Self {
            stream,
            frames,
            outbox,
            departures: Departures::default(),
            pinning,
            waiting: FuturesUnordered::new(),
            held: None,
            waiting_bytes: 0,
            client: Arc::new(ClientInfo {
                name: peer.name.clone(),
                host: peer.address.ip().to_string(),
            }),
            peer,
            listener: Arc::clone(&door.name),
            services: Arc::clone(&door.services),
            requests: Arc::clone(&door.requests),
            metrics: Arc::clone(&door.metrics),
            memory: limits.memory(),
            limits,
            _admitted: admitted,
            active: Instant::now(),
            frame_began: None,
            arrived: door.services.clock.now(),
        }
    }

    /// Serves until the end, and says why it ended.
    pub(super) async fn serve(mut self, stop: &CancellationToken) -> Closed {
        match self.run(stop).await {
            Ok(never) => match never {},
            Err(closed) => closed,
        }
    }

    async fn run(&mut self, stop: &CancellationToken) -> Result<std::convert::Infallible, Closed> {
        // Set again only when it rang or something ends earlier: setting it for every request would have the thread that
        // sleeps until the next timer woken for each.
        let mut alarm = std::pin::pin!(sleep_until(self.expires()));
        loop {
            self.begin_what_arrived().await?;
            if stop.is_cancelled() && !self.is_busy() && self.outbox.is_empty() {
                return Err(Closed::Stopping);
            }
            let reads = self.may_begin() && !stop.is_cancelled();
            let has_memory = self.memory.covers(self.frames.announced_bytes());
            self.watch_frame(reads && has_memory);
            let expires = self.expires();
            if alarm.is_elapsed() || expires < alarm.deadline() {
                alarm.as_mut().reset(expires);
            }
            tokio::select! {
                biased;
                Some(ready) = self.waiting.next(), if !self.waiting.is_empty() => {
                    self.waiting_bytes -= ready.request_bytes;
                    self.send(ready.waits.answer(ready.answer, &self.limits.answers));
                }
                written = self.outbox.write_some(&self.stream), if !self.outbox.is_empty() => {
                    let written = written?;
                    self.metrics.sent_bytes.increment(written as u64);
                    self.pinning.written(written);
                    self.departures.written(written, &*self.services.clock);
                    self.active = Instant::now();
                }
                begun = end_of(&mut self.held), if self.held.is_some() => self.resume(begun)?,
                () = self.memory.grant(self.frames.announced_bytes()), if reads && !has_memory => {}
                ready = self.stream.readable(), if reads && has_memory => {
                    ready?;
                    self.read()?;
                }
                () = stop.cancelled(), if !stop.is_cancelled() => {}
                () = alarm.as_mut() => self.expired()?,
            }
        }
    }

    /// Reads what the socket has into a buffer that is there only while something is in it.
    fn read(&mut self) -> Result<(), Closed> {
        // Not `try_read_buf`: this one knows that a read which did not fill its buffer has taken all there was, and the
        // socket is not asked once more.
        let (mut reader, _) = self.stream.split();
        let Some(read) = reader.read_buf(self.frames.buffer()).now_or_never() else {
            return Ok(());
        };
        match read {
            Ok(0) => Err(Closed::ByClient),
            Ok(count) => {
                self.metrics.received_bytes.increment(count as u64);
                self.active = Instant::now();
                self.arrived = self.services.clock.now();
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Puts an answer behind those that wait to be sent.
    fn send(&mut self, mut answer: Answer) {
        let bytes = answer.chunks.iter().map(Bytes::len).sum();
        self.pinning.push(bytes, std::mem::take(&mut answer.holds));
        let chunks = self.departures.push(answer, self.outbox.bytes());
        self.outbox.push(chunks);
    }

    /// Whether another request may begin: neither too many nor too large ones are in flight. One whose answer the
    /// client has not taken is: who never reads would else decide how much memory its answers take.
    fn may_begin(&self) -> bool {
        self.held.is_none()
            && (self.waiting.is_empty() || self.limits.waiting.has_room())
            && self.waiting.len() + self.departures.count() < self.limits.requests_in_flight_max
            && self.waiting_bytes + self.outbox.bytes() < self.limits.bytes_in_flight_max
            && self.departures.copied_bytes() < ANSWER_BYTES_MAX
    }

    /// Whether requests are under way that have no answer yet.
    fn is_busy(&self) -> bool {
        self.held.is_some() || !self.waiting.is_empty()
    }

    /// Notes since when the broker waits for the rest of a frame. While it does not read, the client is not to blame.
    fn watch_frame(&mut self, reads: bool) {
        if !reads || self.frames.buffered_bytes() == 0 {
            self.frame_began = None;
        } else if self.frame_began.is_none() {
            self.frame_began = Some(Instant::now());
        }
    }

    async fn begin_what_arrived(&mut self) -> Result<(), Closed> {
        let mut begun_bytes = 0;
        while self.may_begin() {
            let frame = self.frames.next_frame().map_err(|e| Closed::Protocol(e.to_string()))?;
            let Some(frame) = frame else { break };
            self.frame_began = None;
            begun_bytes += frame.len();
            self.begin(frame)?;
            if self.held.is_none() {
                self.memory.release();
            }
            // Who sends without end does not keep the worker from other connections.
            if begun_bytes > TURN_BYTES {
                begun_bytes = 0;
                tokio::task::yield_now().await;
            }
        }
        if self.frames.buffered_bytes() == 0 {
            self.frames.release();
        }
        Ok(())
    }

    /// Begins one request; its answer is in the outbox or among the waiting ones when this returns.
    fn begin(&mut self, frame: Bytes) -> Result<(), Closed> {
        let request_bytes = frame.len();
        let (header, body) =
            decode_request_header(frame).map_err(|error| Closed::Protocol(error.to_string()))?;
        let asked = Asked::new(
            header.correlation,
            self.requests.kind(header.api).map(Arc::clone),
            self.arrived,
            &self.services.clock,
            &self.metrics,
        );
        let body = body.with_elements_max(self.limits.request_elements_max);
        let request = match decode(&header, body).and_then(only_requests) {
            Ok(request) => request,
            Err(failure) => {
                tracing::debug!(client = %self.peer, %failure, "request refused");
                if failure.code == ErrorCode::MalformedRequest {
                    self.metrics.malformed(DOOR);
                }
                self.send(asked.answer(Err(failure), &self.limits.answers));
                return Ok(());
            }
        };
        let context = Context {
            timeout: self.timeout(&header),
            listener: Arc::clone(&self.listener),
            client: Arc::clone(&self.client),
        };
        self.go_on(asked, begin(&self.services, request, context), request_bytes)
    }

    /// What held up the others is over.
    fn resume(&mut self, begun: Begun) -> Result<(), Closed> {
        let Some(Held { asked, request_bytes, .. }) = self.held.take() else { return Ok(()) };
        self.memory.release();
        self.active = Instant::now();
        self.go_on(asked, begun, request_bytes)
    }

    fn go_on(&mut self, asked: Asked, begun: Begun, request_bytes: usize) -> Result<(), Closed> {
        match begun {
            Begun::Done(answer) => self.send(asked.answer(answer, &self.limits.answers)),
            Begun::Waiting(waiting) => {
                self.waiting_bytes += request_bytes;
                let memory = self.limits.waiting.take(request_bytes.max(WAITING_BYTES));
                let waits = asked.wait();
                self.waiting.push(Box::pin(async move {
                    Ready { waits, answer: waiting.await, request_bytes, _memory: memory }
                }));
            }
            Begun::Held(begun) => self.held = Some(Held { begun, asked, request_bytes }),
            Begun::Silent(outcome) => {
                asked.silent(outcome.as_ref().err().map(|failure| failure.code));
                outcome.map_err(|failure| Closed::Unanswerable(failure.message))?;
            }
        }
        Ok(())
    }

    /// The request's deadline, within the broker's own.
    fn timeout(&self, header: &RequestHeader) -> Duration {
        match header.timeout_ms {
            0 => self.limits.request_timeout_max,
            ms => Duration::from_millis(u64::from(ms)).min(self.limits.request_timeout_max),
        }
    }

    /// When to look whether the connection has to end.
    fn expires(&self) -> Instant {
        let mut silent = self.silent_until();
        if !self.waiting.is_empty() && !self.limits.waiting.has_room() {
            // Nobody says when those of others are answered.
            silent = silent.min(Instant::now() + ROOM_RETRY);
        }
        self.pinning.look_at().map_or(silent, |look| look.min(silent))
    }

    /// When the connection has been without progress for too long. A client that waits for an answer is not
    /// idle: the answer's deadline ends that wait.
    fn silent_until(&self) -> Instant {
        let allowed = if !self.outbox.is_empty() {
            self.limits.slow_reader_max
        } else if !self.is_busy() {
            self.limits.idle_max
        } else {
            self.limits.idle_max + self.limits.request_timeout_max
        };
        let silent = self.active + allowed;
        // What has begun to arrive holds a buffer, and a large frame holds memory of all connections: it is there in
        // time, however lively its connection is.
        match self.frame_began {
            Some(began) => silent.min(began + self.limits.frame_max),
            None => silent,
        }
    }

    fn expired(&mut self) -> Result<(), Closed> {
        // A client that does not read is looked at again and again: what it has asked for needs no large buffer.
        self.frames.release();
        if self.pinning.is_due() {
            return Err(Closed::PinsDeleted(PINNED_MAX));
        }
        if Instant::now() < self.silent_until() {
            return Ok(());
        }
        if self.frame_began.is_some_and(|at| at.elapsed() >= self.limits.frame_max) {
            return Err(Closed::SlowFrame(self.limits.frame_max));
        }
        if self.outbox.is_empty() {
            return Err(Closed::Idle(self.limits.idle_max));
        }
        Err(Closed::SlowReader { bytes: self.outbox.bytes(), within: self.limits.slow_reader_max })
    }
}

/// Waits for what holds up the others.
async fn end_of(held: &mut Option<Held>) -> Begun {
    match held {
        Some(held) => (&mut held.begun).await,
        None => std::future::pending().await,
    }
}

/// What opens a connection is refused once it is open.
fn only_requests(decoded: Decoded) -> Result<Request, Failure> {
    match decoded {
        Decoded::Request(request) => Ok(request),
        Decoded::Handshake(_) => Err(Failure::new(
            ErrorCode::InvalidRequest,
            "the handshake of this connection is done; open another connection for another one",
        )),
        Decoded::Authenticate(request) => Err(Failure::new(
            ErrorCode::AuthenticationFailed,
            format!("mechanism {:?}: this broker asks for no authentication", request.mechanism),
        )),
    }
}
