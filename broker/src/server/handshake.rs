//! The first bytes and the first request of a connection: who speaks, what for, in which versions.
//!
//! Until it is done a connection holds little memory and has a deadline.

use std::fmt;
use std::net::SocketAddr;

use thalweg_protocol::codec::Chunks;
use thalweg_protocol::frame::{Door, FrameReader, HANDSHAKE_BYTES_MAX, decode_request_header};
use thalweg_protocol::native::{Api, HandshakeRequest, HandshakeResponse, PREFACE, Purpose};
use thalweg_protocol::{BrokerEpoch, BrokerId, ClusterId, ErrorCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::connection::Closed;
use super::limits::{Admitted, Limits};
use super::listener::Door as ListenerDoor;
use crate::api::Failure;
use crate::config::Protocol;
use crate::frontend::native::{Decoded, decode, encode_failure, encode_handshake};

/// What names of clients are cut to: they stand in logs.
const NAME_CHARS_MAX: usize = 255;

/// The broker as it introduces itself.
#[derive(Clone, Debug)]
pub(super) struct Introduction {
    pub(super) cluster: ClusterId,
    pub(super) broker: BrokerId,
    pub(super) broker_epoch: BrokerEpoch,
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) name: String,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.address)
    }
}

/// A connection whose handshake is done.
pub(super) struct Opened {
    /// What has arrived behind the handshake.
    pub(super) frames: FrameReader,
    /// The broker's answer, not yet sent.
    pub(super) answer: Chunks,
    /// Who is at the other end.
    pub(super) peer: Peer,
    /// The connection's place.
    pub(super) admitted: Admitted,
}

/// Waits for the handshake and prepares its answer.
pub(super) async fn shake_hands(
    stream: &mut TcpStream,
    address: SocketAddr,
    admitted: Admitted,
    door: &ListenerDoor,
) -> Result<(Opened, Purpose), Closed> {
    let within = door.limits.handshake_max;
    let shaken = tokio::time::timeout(within, first_request(stream, door));
    let (frames, correlation, request) =
        shaken.await.map_err(|_elapsed| Closed::HandshakeLate(within))??;
    let answer = encode_handshake(correlation, &respond(&door.introduction, &door.limits));
    let name: String = request.client_name.chars().take(NAME_CHARS_MAX).collect();
    tracing::debug!(client = name, %address, version = request.client_version, purpose = ?request.purpose, "connected");
    let peer = Peer { address, name };
    Ok((Opened { frames, answer, peer, admitted }, request.purpose))
}

async fn first_request(
    stream: &mut TcpStream,
    door: &ListenerDoor,
) -> Result<(FrameReader, u32, HandshakeRequest), Closed> {
    let mut frames = FrameReader::new(HANDSHAKE_BYTES_MAX);
    preface(stream, &mut frames, door).await?;
    loop {
        let frame = frames.next_frame().map_err(|error| Closed::Protocol(error.to_string()))?;
        let Some(frame) = frame else {
            read_more(stream, &mut frames, door).await?;
            continue;
        };
        let (header, body) =
            decode_request_header(frame).map_err(|error| Closed::Protocol(error.to_string()))?;
        let correlation = header.correlation;
        let failure = match decode(&header, body) {
            Ok(Decoded::Handshake(request)) => return Ok((frames, correlation, request)),
            Ok(_) => Failure::new(
                ErrorCode::HandshakeRequired,
                "the first request on a connection must be the handshake",
            ),
            Err(failure) => failure,
        };
        // The answer says why; the connection is closed because the client does not speak as it should.
        let message = failure.message.clone();
        for chunk in encode_failure(correlation, failure) {
            stream.write_all(&chunk).await?;
            door.metrics.sent_bytes.increment(chunk.len() as u64);
        }
        return Err(Closed::Protocol(message));
    }
}

/// Reads the first bytes, by which a client says which protocol it speaks.
async fn preface(
    stream: &mut TcpStream,
    frames: &mut FrameReader,
    door: &ListenerDoor,
) -> Result<(), Closed> {
    let spoken = loop {
        match Door::detect(frames.peek()) {
            Door::NotYet => read_more(stream, frames, door).await?,
            spoken => break spoken,
        }
    };
    match spoken {
        Door::Native { version } if PREFACE.ends_with(&version.to_be_bytes()) => {
            if door.protocol == Protocol::Kafka {
                return Err(Closed::Protocol(
                    "the native protocol on a listener for Kafka's only".to_owned(),
                ));
            }
            frames.skip(PREFACE.len());
            Ok(())
        }
        Door::Native { version } => Err(Closed::Protocol(format!(
            "major version {version} of the native protocol is unknown"
        ))),
        Door::Kafka => {
            Err(Closed::Protocol("Kafka's protocol is not served by this release".to_owned()))
        }
        Door::Unknown { first } => {
            Err(Closed::Protocol(format!("first bytes {first:02x?} are no known protocol")))
        }
        Door::NotYet => unreachable!("the loop ends when the door is known"),
    }
}

async fn read_more(
    stream: &mut TcpStream,
    frames: &mut FrameReader,
    door: &ListenerDoor,
) -> Result<(), Closed> {
    let count = stream.read_buf(frames.buffer()).await?;
    door.metrics.received_bytes.increment(count as u64);
    if count == 0 { Err(Closed::ByClient) } else { Ok(()) }
}

fn respond(introduction: &Introduction, limits: &Limits) -> HandshakeResponse {
    let wire = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    HandshakeResponse {
        cluster: introduction.cluster,
        broker: introduction.broker,
        broker_epoch: introduction.broker_epoch,
        broker_version: env!("CARGO_PKG_VERSION").to_owned(),
        apis: Api::ALL.iter().map(|api| api.range()).collect(),
        features: Vec::new(),
        mechanisms: Vec::new(),
        frame_bytes_max: wire(limits.frame_bytes_max),
        requests_in_flight_max: wire(limits.requests_in_flight_max),
        bytes_in_flight_max: wire(limits.bytes_in_flight_max),
        idle_timeout_ms: u32::try_from(limits.idle_max.as_millis()).unwrap_or(u32::MAX),
    }
}
