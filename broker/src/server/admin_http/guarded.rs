//! The connections over which HTTP comes: few, none that stands still, and always room for one more.
//!
//! Whoever dribbles a byte now and then would else hold all places for as long as it likes, and keep out those who ask
//! whether the broker is well.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::Request;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::IncomingStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep};

use super::super::places::{Place, Places};

/// Connections at once; one more closes the oldest.
const CONNECTIONS_MAX: usize = 64;

/// Between two tries to accept, when the system refuses: out of descriptors, for example.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Accepts, and watches over what it has accepted.
pub(super) struct Guarded {
    listener: TcpListener,
    places: Arc<Places>,
    idle_max: Duration,
}

impl Guarded {
    /// Closes connections on which nothing moves for `idle_max`.
    pub(super) fn new(listener: TcpListener, idle_max: Duration) -> Self {
        Self { listener, places: Places::new(CONNECTIONS_MAX), idle_max }
    }
}

impl axum::serve::Listener for Guarded {
    type Io = Watched;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Watched, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    let (idle_max, place) = (self.idle_max, Arc::new(self.places.begin()));
                    let idle = Box::pin(tokio::time::sleep(idle_max));
                    let own = Arc::clone(&place);
                    let evicted = Box::pin(async move { own.evicted().await });
                    // Those that were accepted before read what they were sent before more are.
                    tokio::task::yield_now().await;
                    return (Watched { stream, idle, idle_max, place, evicted }, address);
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

/// A connection that fails when nothing moves for `idle_max`, or when its place is needed.
pub(super) struct Watched {
    stream: TcpStream,
    idle: Pin<Box<Sleep>>,
    idle_max: Duration,
    place: Arc<Place>,
    evicted: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Watched {
    /// Passes on what moved; otherwise waits for the socket, for the deadline, or for somebody who needs the place.
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
        if self.evicted.as_mut().poll(task).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        ready!(self.idle.as_mut().poll(task));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// The place of a request's connection.
#[derive(Clone, Debug)]
pub(super) struct OnPlace(Arc<Place>);

impl Connected<IncomingStream<'_, Guarded>> for OnPlace {
    fn connect_info(stream: IncomingStream<'_, Guarded>) -> Self {
        Self(Arc::clone(&stream.io().place))
    }
}

/// Who has asked keeps the place until the answer is made.
pub(super) async fn keep_place(
    ConnectInfo(OnPlace(place)): ConnectInfo<OnPlace>,
    request: Request,
    next: Next,
) -> Response {
    let _kept = place.keep();
    next.run(request).await
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
