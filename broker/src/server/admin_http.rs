//! What operators and their tools ask over HTTP: `/healthz`, `/readyz`, `/metrics`.
//!
//! Owns one socket, by default on the loopback address only. Never changes anything, and asks for no
//! password: what it tells is no secret to whoever may reach the address. Few connections at a time, none
//! that stands still, and one rendering of the figures at a time, so that it cannot be used to exhaust the broker.

mod guarded;
mod rendering;

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::guarded::{Guarded, OnPlace, keep_place};
use self::rendering::Rendering;
pub(super) use crate::base::Readiness;
use crate::metrics::{self, Metrics};

/// A connection on which nothing moves for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// What the answers are made from.
#[derive(Debug)]
struct Sources {
    readiness: Readiness,
    metrics: Arc<Metrics>,
    rendering: Rendering,
}

impl Sources {
    fn new(readiness: Readiness, metrics: Arc<Metrics>) -> Self {
        Self { readiness, metrics, rendering: Rendering::default() }
    }
}

/// Answers what comes to `listener` until `stop`; ends when the requests under way then are answered. To be
/// spawned on the runtime for control.
pub(super) async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    serve_within(listener, Sources::new(readiness, metrics), stop, IDLE_MAX).await;
}

async fn serve_within(
    listener: TcpListener,
    sources: Sources,
    stop: CancellationToken,
    idle_max: Duration,
) {
    let guarded = Guarded::new(listener, idle_max);
    let router = router(Arc::new(sources)).into_make_service_with_connect_info::<OnPlace>();
    let server = axum::serve(guarded, router).with_graceful_shutdown(stop.cancelled_owned());
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
        .layer(middleware::from_fn(keep_place))
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
    let metrics = Arc::clone(&sources.metrics);
    match sources.rendering.text(move || metrics.render()).await {
        Some(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn unknown() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "not found; there are /healthz, /readyz and /metrics\n")
}

#[cfg(test)]
mod tests;
