//! The broker as a library: partitions, metadata, request handlers, server.
//!
//! Owns everything between a socket and a log. [`Broker`] is the whole, started and stopped in order; the binary
//! that runs it, its command line and its log output are in the package `thalweg`. Never prints, never exits the
//! process, never reads the command line.
//!
//! `ARCHITECTURE.md` tells the journeys of a record by file name.

mod api;
pub mod base;
pub mod cluster;
pub mod config;
pub mod coordinator;
mod frontend;
pub mod metrics;
pub mod partition;
mod replication;
mod server;
mod transport;

pub use server::{Broker, StartError};
