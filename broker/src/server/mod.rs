//! The broker as a whole: assembled in order, listening, stopped in order.
//!
//! Owns sockets, connections and the two runtimes: appends and reads run on one with several workers, metadata,
//! administration and HTTP on one with a single thread that never touches a log file, so that a disk
//! that throttles appends delays no control traffic.

mod admin_http;
mod asked;
mod budget;
mod complaints;
mod connection;
mod handshake;
mod limits;
mod listener;
mod pinning;
mod places;
mod requests;
mod start;
mod stop;

pub use start::{Broker, StartError};
