//! The first request on a connection: who speaks, what for, in which versions.

use super::wire::message;
use super::{Api, ApiRange, Request, Wire};
use crate::codec::{DecodeError, Reader, Writer};
use crate::{BrokerEpoch, BrokerId, ClusterId};

/// What a connection is for; the broker serves control connections where no append can delay them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Produce and fetch.
    Data,
    /// Metadata, administration, groups, heartbeats.
    Control,
}

impl Wire for Purpose {
    const BYTES_MIN: usize = 1;

    fn encode(&self, writer: &mut Writer) {
        writer.u8(match self {
            Self::Data => 0,
            Self::Control => 1,
        });
    }

    fn decode(reader: &mut Reader, what: &'static str) -> Result<Self, DecodeError> {
        match reader.u8(what)? {
            0 => Ok(Self::Data),
            1 => Ok(Self::Control),
            found => Err(DecodeError::Value { what, found: i64::from(found) }),
        }
    }
}

message! {
    /// Opens a connection. Its version is 0 for ever: it negotiates the others.
    pub struct HandshakeRequest {
        /// The client's name, for logs and metrics; at most 255 characters are kept.
        pub client_name: String,
        /// The client library and its version.
        pub client_version: String,
        /// What the connection is for.
        pub purpose: Purpose,
        /// What the client can do beyond the versions.
        pub features: Vec<String>,
    }

    /// What the client may send on this connection.
    pub struct HandshakeResponse {
        /// The cluster.
        pub cluster: ClusterId,
        /// The broker at the other end.
        pub broker: BrokerId,
        /// Its life.
        pub broker_epoch: BrokerEpoch,
        /// Its release.
        pub broker_version: String,
        /// The requests that it knows, in which versions.
        pub apis: Vec<ApiRange>,
        /// What it can do beyond the versions.
        pub features: Vec<String>,
        /// Mechanisms of authentication; empty when it asks for none.
        pub mechanisms: Vec<String>,
        /// The largest frame that it takes, in bytes after the length.
        pub frame_bytes_max: u32,
        /// Beyond so many requests in flight it stops reading.
        pub requests_in_flight_max: u32,
        /// Beyond so many bytes in flight it stops reading.
        pub bytes_in_flight_max: u32,
        /// It closes a connection that was silent for so long, in milliseconds.
        pub idle_timeout_ms: u32,
    }
}

impl Request for HandshakeRequest {
    const API: Api = Api::Handshake;
    type Response = HandshakeResponse;
}
