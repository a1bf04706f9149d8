//! What operators and their tools ask over HTTP: `/healthz`, `/readyz`, `/metrics`.
//!
//! Owns one socket, by default on the loopback address only. Never changes anything, and asks for no
//! password: what it tells is no secret to whoever may reach the address. Few connections at a time, and none
//! that stands still, so that it cannot be used to exhaust the broker.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

pub(super) use crate::base::Readiness;
use crate::metrics::{self, Metrics};

/// Connections at once; one more waits to be accepted.
const CONNECTIONS_MAX: usize = 64;

/// A connection on which nothing moves for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// Between two tries to accept, when the system refuses: out of descriptors, for example.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What the answers are made from.
#[derive(Debug)]
struct Sources {
    readiness: Readiness,
    metrics: Arc<Metrics>,
}

/// Answers what comes to `listener` until `stop`; ends when the requests under way then are answered. To be
/// spawned on the runtime for control.
pub(super) async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    serve_within(listener, Sources { readiness, metrics }, stop, IDLE_MAX).await;
}

async fn serve_within(
    listener: TcpListener,
    sources: Sources,
    stop: CancellationToken,
    idle_max: Duration,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let guarded = Guarded { listener, places, idle_max };
    let server = axum::serve(guarded, router(Arc::new(sources)))
        .with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = server.await {
        tracing::error!(%error, "the HTTP server ended");
    }
}

fn router(sources: Arc<Sources>) -> Router {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(answer_ready))
        .route("/metrics", get(render))
        .fallback(unknown)
        .with_state(sources)
}

#[derive(Debug, Deserialize)]
struct Wanted {
    format: Option<String>,
}

impl Wanted {
    /// JSON when it is asked for by `?format=json` or by the header `Accept`.
    fn json(&self, headers: &HeaderMap) -> bool {
        let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
        self.format.as_deref() == Some("json")
            || accepted.is_some_and(|types| types.contains("application/json"))
    }
}

#[derive(Debug, Serialize)]
struct Ready {
    ready: bool,
    reasons: Vec<Reason>,
}

#[derive(Debug, Serialize)]
struct Reason {
    part: String,
    reason: String,
}

async fn alive() -> &'static str {
    "alive\n"
}

async fn answer_ready(
    State(sources): State<Arc<Sources>>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let reasons = sources.readiness.reasons();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if wanted.json(&headers) {
        let reason = |(part, reason)| Reason { part, reason };
        let ready = reasons.is_empty();
        let body = Ready { ready, reasons: reasons.into_iter().map(reason).collect() };
        return (status, Json(body)).into_response();
    }
    let mut text = if reasons.is_empty() { "ready\n" } else { "not ready\n" }.to_owned();
    for (part, reason) in reasons {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{part}: {reason}");
    }
    (status, text).into_response()
}

async fn render(State(sources): State<Arc<Sources>>) -> Response {
    sources.metrics.broker.ready.set(u8::from(sources.readiness.is_ready()));
    // Disks are asked for their space, and a disk may not answer: control traffic must not wait for it.
    match tokio::task::spawn_blocking(move || sources.metrics.render()).await {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be shown");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn unknown() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "not found; there are /healthz, /readyz and /metrics\n")
}

/// Accepts only while there is a place.
struct Guarded {
    listener: TcpListener,
    places: Arc<Semaphore>,
    idle_max: Duration,
}

impl axum::serve::Listener for Guarded {
    type Io = Watched;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Watched, SocketAddr) {
        loop {
            let place = Arc::clone(&self.places).acquire_owned().await.ok();
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    let idle = Box::pin(tokio::time::sleep(self.idle_max));
                    let idle_max = self.idle_max;
                    return (Watched { stream, idle, idle_max, _place: place }, address);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an HTTP connection; trying again");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that fails when nothing moves for `idle_max`.
struct Watched {
    stream: TcpStream,
    idle: Pin<Box<Sleep>>,
    idle_max: Duration,
    _place: Option<OwnedSemaphorePermit>,
}

impl Watched {
    /// Passes on what moved; otherwise waits for the socket or for the deadline, whichever comes first.
    fn watch<T>(
        &mut self,
        moved: Poll<io::Result<T>>,
        task: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            let deadline = Instant::now() + self.idle_max;
            self.idle.as_mut().reset(deadline);
            return moved;
        }
        ready!(self.idle.as_mut().poll(task));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let moved = Pin::new(&mut self.stream).poll_read(task, buffer);
        self.watch(moved, task)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write(task, bytes);
        self.watch(moved, task)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}

#[cfg(test)]
mod tests;
