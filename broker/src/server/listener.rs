//! Accepts connections, shakes hands, and hands each connection to the runtime that its purpose asks for.

use std::net::SocketAddr;
use std::sync::Arc;

use thalweg_protocol::native::Purpose;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::complaints::Complaints;
use super::connection::{Closed, Connection};
use super::handshake::{Introduction, Opened, shake_hands};
use super::limits::{Admitted, Limits};
use super::places::Place;
use super::requests::{DOOR, RequestCounts};
use crate::api::Services;
use crate::base::Tasks;
use crate::config::Protocol;
use crate::metrics::ConnectionMetrics;
use crate::transport::prepare;

/// What every connection of one listener needs.
pub(super) struct Door {
    /// The listener's name: clients are told the addresses of this one.
    pub(super) name: Arc<str>,
    /// What it speaks.
    pub(super) protocol: Protocol,
    /// How the broker introduces itself.
    pub(super) introduction: Introduction,
    /// What handlers work with.
    pub(super) services: Arc<Services>,
    /// What strangers may take.
    pub(super) limits: Arc<Limits>,
    /// What is counted of connections.
    pub(super) metrics: Arc<ConnectionMetrics>,
    /// What is logged of connections that end badly.
    pub(super) complaints: Arc<Complaints>,
    /// What is counted of requests.
    pub(super) requests: Arc<RequestCounts>,
    /// The runtime for data connections.
    pub(super) data: Handle,
    /// The runtime for control connections.
    pub(super) control: Handle,
    /// Every connection, so that a stop can wait for them.
    pub(super) connections: Tasks,
    /// Tells all of them to finish.
    pub(super) stop: CancellationToken,
}

/// How long to wait when no connection can be accepted, for want of descriptors for example.
const ACCEPT_RETRY: std::time::Duration = std::time::Duration::from_millis(100);

/// Accepts until the broker stops.
pub(super) async fn accept(listener: TcpListener, door: Arc<Door>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = door.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, address)) => take(stream, address, &door),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; trying again");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// Gives a new connection its place and its task, or closes it.
fn take(stream: TcpStream, address: SocketAddr, door: &Arc<Door>) {
    let counted = Counted::new(&door.metrics);
    let place = door.limits.admit(address.ip());
    match place {
        Ok(admitted) => {
            let handshake = door.limits.handshakes.begin();
            let task = serve(stream, address, admitted, handshake, Arc::clone(door), counted);
            door.connections.spawn("connection", &door.data, task);
        }
        Err(refused) => {
            counted.end(refused.label());
            tracing::debug!(%address, reason = %refused, "connection refused");
        }
    }
}

/// Counts one connection as open until it is dropped, and then as closed: exactly once, whatever happens.
struct Counted {
    metrics: Arc<ConnectionMetrics>,
    reason: &'static str,
}

impl Counted {
    fn new(metrics: &Arc<ConnectionMetrics>) -> Self {
        metrics.accepted();
        // What is dropped without a reason was dropped by a panic, or by a stop that waited no longer.
        Self { metrics: Arc::clone(metrics), reason: "dropped" }
    }

    fn end(mut self, reason: &'static str) {
        self.reason = reason;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.metrics.closed(self.reason);
    }
}

async fn serve(
    mut stream: TcpStream,
    address: SocketAddr,
    admitted: Admitted,
    handshake: Place,
    door: Arc<Door>,
    counted: Counted,
) {
    let shaking = door.metrics.handshake();
    if let Err(error) = prepare(&stream, door.limits.open_connections()) {
        return report(&door, counted, &address, &Closed::Socket(error));
    }
    let shaken = tokio::select! {
        shaken = shake_hands(&mut stream, address, admitted, &door) => shaken,
        () = handshake.evicted() => Err(Closed::MadeRoom),
        () = door.stop.cancelled() => Err(Closed::Stopping),
    };
    drop((handshake, shaking));
    match shaken {
        // Apart: a task is as large as its largest part, and a stranger's needs none of what serving does.
        Ok((opened, Purpose::Data)) => Box::pin(run(stream, opened, door, counted)).await,
        Ok((opened, Purpose::Control)) => move_to_control(stream, opened, door, counted),
        Err(closed) => report(&door, counted, &address, &closed),
    }
}

/// Goes on with the connection on the runtime for control.
fn move_to_control(stream: TcpStream, opened: Opened, door: Arc<Door>, counted: Counted) {
    let stream = match stream.into_std() {
        Ok(stream) => stream,
        Err(error) => return report(&door, counted, &opened.peer, &Closed::Socket(error)),
    };
    let control = door.control.clone();
    let connections = door.connections.clone();
    let task = async move {
        match TcpStream::from_std(stream) {
            Ok(stream) => run(stream, opened, door, counted).await,
            Err(error) => report(&door, counted, &opened.peer, &Closed::Socket(error)),
        }
    };
    connections.spawn("connection", &control, task);
}

async fn run(stream: TcpStream, opened: Opened, door: Arc<Door>, counted: Counted) {
    let peer = opened.peer.clone();
    let closed = Connection::new(stream, opened, &door).serve(&door.stop).await;
    report(&door, counted, &peer, &closed);
}

fn report(door: &Door, counted: Counted, peer: &dyn std::fmt::Display, closed: &Closed) {
    counted.end(closed.label());
    match closed {
        Closed::ByClient | Closed::Stopping | Closed::Idle(_) | Closed::Socket(_) => {
            tracing::debug!(%peer, reason = %closed, "connection closed");
        }
        _ => {
            if matches!(closed, Closed::Protocol(_)) {
                door.metrics.malformed(DOOR);
            }
            let now = door.services.clock.now();
            if let Some(unsaid) = door.complaints.may_say(now) {
                tracing::warn!(%peer, reason = %closed, unsaid, "connection closed");
            }
        }
    }
}
