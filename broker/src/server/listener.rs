//! Accepts connections, shakes hands, and hands each connection to the runtime that its purpose asks for.

use std::net::SocketAddr;
use std::sync::Arc;

use thalweg_protocol::native::Purpose;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Closed, Connection};
use super::handshake::{Introduction, Opened, shake_hands};
use super::limits::{Admitted, Limits};
use super::requests::RequestCounts;
use crate::api::Services;
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
    /// What is counted of requests.
    pub(super) requests: Arc<RequestCounts>,
    /// The runtime for control connections.
    pub(super) control: Handle,
    /// Every connection, so that a stop can wait for them.
    pub(super) connections: TaskTracker,
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
    door.metrics.accepted();
    let place = door.limits.admit(address.ip());
    match place.and_then(|admitted| Ok((admitted, door.limits.begin_handshake()?))) {
        Ok((admitted, handshake)) => {
            let task = serve(stream, address, admitted, handshake, Arc::clone(door));
            door.connections.spawn(task);
        }
        Err(refused) => {
            door.metrics.closed(refused.label());
            tracing::debug!(%address, reason = %refused, "connection refused");
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    address: SocketAddr,
    admitted: Admitted,
    handshake: OwnedSemaphorePermit,
    door: Arc<Door>,
) {
    if let Err(error) = prepare(&stream) {
        tracing::debug!(%address, %error, "cannot prepare the socket");
        return;
    }
    let shaken = tokio::select! {
        shaken = shake_hands(&mut stream, address, admitted, &door) => shaken,
        () = door.stop.cancelled() => Err(Closed::Stopping),
    };
    drop(handshake);
    match shaken {
        Ok((opened, Purpose::Data)) => run(stream, opened, door).await,
        Ok((opened, Purpose::Control)) => move_to_control(stream, opened, door),
        Err(closed) => report(&door, &address, &closed),
    }
}

/// Goes on with the connection on the runtime for control.
fn move_to_control(stream: TcpStream, opened: Opened, door: Arc<Door>) {
    let stream = match stream.into_std() {
        Ok(stream) => stream,
        Err(error) => return report(&door, &opened.peer, &Closed::Socket(error)),
    };
    let control = door.control.clone();
    let connections = door.connections.clone();
    let task = async move {
        match TcpStream::from_std(stream) {
            Ok(stream) => run(stream, opened, door).await,
            Err(error) => report(&door, &opened.peer, &Closed::Socket(error)),
        }
    };
    connections.spawn_on(task, &control);
}

async fn run(stream: TcpStream, opened: Opened, door: Arc<Door>) {
    let peer = opened.peer.clone();
    let closed = Connection::new(stream, opened, &door).serve(&door.stop).await;
    report(&door, &peer, &closed);
}

fn report(door: &Door, peer: &dyn std::fmt::Display, closed: &Closed) {
    door.metrics.closed(closed.label());
    match closed {
        Closed::ByClient | Closed::Stopping | Closed::Idle(_) | Closed::Socket(_) => {
            tracing::debug!(%peer, reason = %closed, "connection closed");
        }
        _ => tracing::warn!(%peer, reason = %closed, "connection closed"),
    }
}
