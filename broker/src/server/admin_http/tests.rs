//! Asked over a real socket, by bare HTTP, so that no client library hides what is sent.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::config::BrokerConfig;

struct Server {
    address: SocketAddr,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        Self::start_within(IDLE_MAX).await
    }

    async fn start_within(idle_max: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let readiness = Readiness::new();
        let metrics = Metrics::new(&BrokerConfig::default());
        let stop = CancellationToken::new();
        let sources = Sources::new(readiness.clone(), Arc::clone(&metrics));
        let serving = tokio::spawn(serve_within(listener, sources, stop.clone(), idle_max));
        Self { address, readiness, metrics, stop, serving }
    }

    /// Status line and headers, and body.
    async fn ask(&self, path: &str, headers: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }
}

fn status(head: &str) -> &str {
    head.split(' ').nth(1).unwrap()
}

#[tokio::test]
async fn a_broker_is_alive_from_the_start_and_ready_when_nothing_stands_against_it() {
    let server = Server::start().await;
    server.readiness.not_ready("start", "the broker is starting");
    assert_eq!(server.ask("/healthz", "").await.1, "alive\n");
    let (head, body) = server.ask("/readyz", "").await;
    assert_eq!(
        (status(&head), body.as_str()),
        ("503", "not ready\nstart: the broker is starting\n")
    );

    server.readiness.not_ready("log directory /data", "offline: a sync failed");
    server.readiness.ready("start");
    let (head, body) = server.ask("/readyz", "").await;
    let expected = "not ready\nlog directory /data: offline: a sync failed\n";
    assert_eq!((status(&head), body.as_str()), ("503", expected));

    server.readiness.ready("log directory /data");
    let (head, body) = server.ask("/readyz", "").await;
    assert_eq!((status(&head), body.as_str()), ("200", "ready\n"));
}

#[tokio::test]
async fn readiness_comes_as_json_when_asked_for() {
    let server = Server::start().await;
    server.readiness.not_ready("start", "the broker is starting");
    let json = r#"{"ready":false,"reasons":[{"part":"start","reason":"the broker is starting"}]}"#;
    for (path, headers) in
        [("/readyz?format=json", ""), ("/readyz", "Accept: application/json\r\n")]
    {
        let (head, body) = server.ask(path, headers).await;
        assert_eq!((status(&head), body.as_str()), ("503", json));
        assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
    }
    server.readiness.ready("start");
    let (head, body) = server.ask("/readyz?format=json", "").await;
    assert_eq!((status(&head), body.as_str()), ("200", r#"{"ready":true,"reasons":[]}"#));
}

#[tokio::test]
async fn metrics_are_served_with_prometheus_own_content_type() {
    let server = Server::start().await;
    server.readiness.not_ready("start", "the broker is starting");
    server.metrics.connections.accepted();
    let (head, body) = server.ask("/metrics", "").await;
    assert_eq!(status(&head), "200");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    assert!(body.contains("thalweg_connections 1\n") && body.contains("thalweg_ready 0\n"));
    server.readiness.ready("start");
    assert!(server.ask("/metrics", "").await.1.contains("thalweg_ready 1\n"));
}

#[tokio::test]
async fn an_unknown_path_is_told_the_known_ones() {
    let server = Server::start().await;
    let (head, body) = server.ask("/", "").await;
    assert_eq!(status(&head), "404");
    assert!(body.contains("/healthz, /readyz and /metrics"), "{body}");
}

#[tokio::test]
async fn it_stops_although_a_connection_is_open_and_then_takes_no_more() {
    let server = Server::start().await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    server.stop.cancel();
    server.serving.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_connection_that_stands_still_is_closed() {
    let server = Server::start_within(Duration::from_millis(20)).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET /healthz HT").await.unwrap();
    let mut answer = Vec::new();
    // Ends when the server closes the connection; with a reset or without.
    let closed = tokio::time::timeout(Duration::from_secs(20), slow.read_to_end(&mut answer));
    let _ = closed.await.expect("it is still open");
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

/// Once 64 connections that sent a byte now and then kept everybody else out for as long as they liked.
#[tokio::test]
async fn those_who_dribble_keep_nobody_out() {
    let server = Server::start().await;
    let mut strangers = Vec::new();
    for _ in 0..200 {
        let mut stranger = TcpStream::connect(server.address).await.unwrap();
        stranger.write_all(b"G").await.unwrap();
        strangers.push(stranger);
    }
    let asked = tokio::time::timeout(Duration::from_secs(20), server.ask("/healthz", ""));
    assert_eq!(asked.await.expect("nobody answers").1, "alive\n");
}
