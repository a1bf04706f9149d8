//! The place of authentication: the rounds between the handshake and the first request.
//!
//! Brokers of this release ask for none. When one names mechanisms in its handshake, the connection is
//! refused here with an error that says so, instead of failing later at the first request.

use thalweg_protocol::native::HandshakeResponse;

use crate::error::CallError;

/// Authenticates a connection whose handshake was answered.
pub(crate) fn authenticate(address: &str, hello: &HandshakeResponse) -> Result<(), CallError> {
    if hello.mechanisms.is_empty() {
        return Ok(());
    }
    Err(CallError::Handshake {
        address: address.to_owned(),
        reason: format!(
            "the broker asks for authentication ({}), which this release of the client does not offer",
            hello.mechanisms.join(", ")
        ),
    })
}
