//! Connections for tests of what stands above them: the other end is the test, not a task with a socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use thalweg_protocol::codec::Chunks;
use thalweg_protocol::frame::{
    decode_body, decode_request_header, decode_response_header, response_frame,
};
use thalweg_protocol::native::{Api, HandshakeResponse, Request, ResponseHeader, Wire};
use thalweg_protocol::{BrokerEpoch, BrokerId, ClusterId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{Answer, Connection, Outgoing};
use crate::error::CallError;

/// Requests that may be in flight over one such connection.
const IN_FLIGHT_MAX: usize = 64;

/// The other end of a connection. When it goes, the connection fails as one whose task has ended.
pub(crate) struct Held {
    requests: mpsc::Receiver<Outgoing>,
    ended: Arc<AtomicBool>,
}

/// Where the answer to one request goes.
pub(crate) struct Reply {
    answer: oneshot::Sender<Answer>,
    /// Counts as in flight as long as this is here.
    _permit: OwnedSemaphorePermit,
}

/// What a broker without peculiarities says when it is connected to.
pub(crate) fn hello() -> HandshakeResponse {
    HandshakeResponse {
        cluster: ClusterId::NONE,
        broker: BrokerId::new(1),
        broker_epoch: BrokerEpoch::new(1),
        broker_version: "test".to_owned(),
        apis: Api::ALL.iter().map(|api| api.range()).collect(),
        features: Vec::new(),
        mechanisms: Vec::new(),
        frame_bytes_max: 1 << 20,
        requests_in_flight_max: 64,
        bytes_in_flight_max: 1 << 20,
        idle_timeout_ms: 600_000,
    }
}

impl Connection {
    /// One that lives as long as its other end says.
    pub(crate) fn held(address: &Arc<str>, hello: HandshakeResponse) -> (Self, Held) {
        let (outgoing, requests) = mpsc::channel(IN_FLIGHT_MAX);
        let ended = Arc::new(AtomicBool::new(false));
        let connection = Self {
            address: address.clone(),
            hello,
            outgoing,
            permits: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
            in_flight_max: IN_FLIGHT_MAX,
            correlation: AtomicU32::new(0),
            ended: ended.clone(),
        };
        (connection, Held { requests, ended })
    }

    /// One whose task has ended a moment ago, which nobody has noticed yet.
    pub(crate) fn just_ended(address: &Arc<str>, hello: HandshakeResponse) -> Self {
        Self::held(address, hello).0
    }
}

impl Held {
    /// The next request that was begun, and where its answer goes.
    pub(crate) fn next<R: Request>(&mut self) -> Option<(R, Reply)> {
        let outgoing = self.requests.try_recv().ok()?;
        let (_, body) = decode_request_header(without_length(&outgoing.chunks)).unwrap();
        let reply = Reply { answer: outgoing.answer, _permit: outgoing.permit };
        Some((decode_body(body).unwrap(), reply))
    }

    /// The connection is seen to have ended.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }
}

impl Reply {
    pub(crate) fn good<T: Wire>(self, body: &T) {
        let frame = response_frame(&ResponseHeader::ok(0), Some(body));
        let (_, body) = decode_response_header(without_length(&frame)).unwrap();
        // Who asked may have stopped waiting.
        let _ = self.answer.send(Ok(body));
    }

    pub(crate) fn failed(self, error: CallError) {
        let _ = self.answer.send(Err(error));
    }
}

/// A frame as the other side reads it.
fn without_length(frame: &Chunks) -> Bytes {
    let bytes: Vec<u8> = frame.iter().flat_map(|chunk| chunk.iter().copied()).collect();
    Bytes::from(bytes).slice(4..)
}
