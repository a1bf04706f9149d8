//! One round of authentication; a mechanism may take several.

use bytes::Bytes;

use super::wire::message;
use super::{Api, Request};

message! {
    /// The client's next token.
    pub struct AuthenticateRequest {
        /// One of the mechanisms that the handshake named.
        pub mechanism: String,
        /// What the mechanism says.
        pub token: Bytes,
    }

    /// The broker's next token.
    pub struct AuthenticateResponse {
        /// Whether the client is authenticated now.
        pub done: bool,
        /// What the mechanism says.
        pub token: Bytes,
    }
}

impl Request for AuthenticateRequest {
    const API: Api = Api::Authenticate;
    type Response = AuthenticateResponse;
}
