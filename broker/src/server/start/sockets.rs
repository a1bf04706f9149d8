//! Binds what the configuration names, before anything on disk is touched.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::error::StartError;
use crate::cluster::Endpoint;
use crate::config::{Address, BrokerConfig, Listener};
use crate::transport::bind;

/// A listener's setting, its socket, its address.
pub(super) type Sockets = Vec<(Listener, TcpListener, SocketAddr)>;

pub(super) fn bind_all(config: &BrokerConfig, data: &Runtime) -> Result<Sockets, StartError> {
    let bind = |listener: &Listener| {
        let (socket, at) = bind_one(&listener.address, data)?;
        Ok((listener.clone(), socket, at))
    };
    config.listeners.iter().map(bind).collect()
}

pub(super) fn bind_one(
    address: &Address,
    runtime: &Runtime,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let resolve = |source| StartError::Resolve { address: address.clone(), source };
    let listen = |source| StartError::Listen { address: address.clone(), source };
    let at = (address.host.as_str(), address.port)
        .to_socket_addrs()
        .map_err(resolve)?
        .next()
        .ok_or_else(|| resolve(io::Error::other("the name has no address")))?;
    let _within = runtime.enter();
    let socket = bind(at).map_err(listen)?;
    let at = socket.local_addr().map_err(listen)?;
    Ok((socket, at))
}

/// The name of the listener at this place: metadata tells clients the addresses of the one they came through.
pub(super) fn listener_name(place: usize) -> String {
    format!("listener-{place}")
}

/// Where each listener is reached, as clients are told.
pub(super) fn endpoints(sockets: &Sockets) -> Vec<Endpoint> {
    let endpoint = |(place, (listener, _, at)): (usize, &(Listener, TcpListener, SocketAddr))| {
        let (host, port) = match &listener.advertised {
            Some(advertised) => (advertised.host.clone(), advertised.port),
            None => (listener.address.host.clone(), at.port()),
        };
        Endpoint { listener: listener_name(place), host, port }
    };
    sockets.iter().enumerate().map(endpoint).collect()
}
