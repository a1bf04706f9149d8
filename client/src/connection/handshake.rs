//! Opens a connection: socket, preface, handshake, authentication; then the task takes over.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

use bytes::Bytes;
use thalweg_protocol::frame::{
    FrameReader, HANDSHAKE_BYTES_MAX, decode_body, decode_response_header, request_frame,
};
use thalweg_protocol::native::{
    Api, HandshakeRequest, HandshakeResponse, PREFACE, Purpose, RequestHeader, Tags,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout_at;

use super::Connection;
use super::io::Task;
use crate::auth::authenticate;
use crate::clock::{millis, now};
use crate::config::ClientOptions;
use crate::error::CallError;

/// Connects, shakes hands and starts the task, all within `connect_timeout`.
pub(crate) async fn open(
    address: &Arc<str>,
    purpose: Purpose,
    options: &ClientOptions,
) -> Result<Connection, CallError> {
    let deadline = now() + options.connect_timeout;
    let opening = async {
        let stream = connect(address).await?;
        shake_hands(stream, address, purpose, options).await
    };
    match timeout_at(deadline, opening).await {
        Ok(opened) => opened,
        Err(_) => Err(CallError::Connect {
            address: address.to_string(),
            reason: format!("nothing within {} ms", millis(options.connect_timeout)),
        }),
    }
}

async fn connect(address: &Arc<str>) -> Result<TcpStream, CallError> {
    let refused = |error: io::Error| CallError::Connect {
        address: address.to_string(),
        reason: error.to_string(),
    };
    let stream = TcpStream::connect(address.as_ref()).await.map_err(refused)?;
    stream.set_nodelay(true).map_err(refused)?;
    Ok(stream)
}

async fn shake_hands(
    mut stream: TcpStream,
    address: &Arc<str>,
    purpose: Purpose,
    options: &ClientOptions,
) -> Result<Connection, CallError> {
    let failed = |reason: String| CallError::Handshake { address: address.to_string(), reason };
    stream
        .write_all(&greeting(purpose, options))
        .await
        .map_err(|error| failed(error.to_string()))?;
    let mut frames = FrameReader::new(HANDSHAKE_BYTES_MAX).trusting();
    let hello = loop {
        if let Some(frame) = frames.next_frame().map_err(|e| failed(e.to_string()))? {
            break decode_hello(frame).map_err(&failed)?;
        }
        match stream.read_buf(frames.buffer()).await {
            Ok(0) => return Err(failed("the broker closed the connection".to_owned())),
            Ok(_) => {}
            Err(error) => return Err(failed(error.to_string())),
        }
    };
    authenticate(address, &hello)?;
    frames.set_bytes_max(options.response_bytes_max);
    Ok(start(stream, frames, address, hello))
}

/// Preface and handshake request, in one piece.
fn greeting(purpose: Purpose, options: &ClientOptions) -> Vec<u8> {
    let header = RequestHeader {
        api: Api::Handshake.number(),
        version: Api::Handshake.range().version_max,
        correlation: 0,
        timeout_ms: millis(options.connect_timeout),
        tags: Tags::default(),
    };
    let request = HandshakeRequest {
        client_name: options.client_name.clone(),
        client_version: concat!("thalweg-client/", env!("CARGO_PKG_VERSION")).to_owned(),
        purpose,
        features: Vec::new(),
    };
    let mut greeting = PREFACE.to_vec();
    for chunk in request_frame(&header, &request) {
        greeting.extend_from_slice(&chunk);
    }
    greeting
}

fn decode_hello(frame: Bytes) -> Result<HandshakeResponse, String> {
    let (header, reader) = decode_response_header(frame).map_err(|error| error.to_string())?;
    match header.error {
        Some(error) => Err(format!("{error} ({})", error.code)),
        None => decode_body(reader).map_err(|error| error.to_string()),
    }
}

fn start(
    stream: TcpStream,
    frames: FrameReader,
    address: &Arc<str>,
    hello: HandshakeResponse,
) -> Connection {
    // A broker that names no limit must not stop us altogether.
    let in_flight_max = usize::try_from(hello.requests_in_flight_max)
        .unwrap_or(usize::MAX)
        .clamp(1, REQUESTS_IN_FLIGHT_MAX);
    let (sender, receiver) = mpsc::channel(in_flight_max);
    let ended = Arc::new(AtomicBool::new(false));
    let task = Task::new(stream, frames, address.clone(), receiver, ended.clone());
    tokio::spawn(task.run());
    Connection {
        address: address.clone(),
        hello,
        outgoing: sender,
        permits: Arc::new(Semaphore::new(in_flight_max)),
        in_flight_max,
        correlation: AtomicU32::new(1),
        ended,
    }
}

/// More requests in flight than this would only wait in the broker's queue.
const REQUESTS_IN_FLIGHT_MAX: usize = 1024;
