//! One request to one broker that came to nothing.

use thalweg_protocol::native::ApiError;
use thalweg_protocol::{ErrorCode, Retry};

/// Why one request to one broker got no useful answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No connection could be made.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// The broker's address.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// The broker and this client could not agree on how to talk.
    #[error("handshake with {address} failed: {reason}")]
    Handshake {
        /// The broker's address.
        address: String,
        /// What did not fit.
        reason: String,
    },
    /// The broker does not speak any version of this request that this client speaks.
    #[error(
        "{address} does not know request {api} in a version of this client: update the older one"
    )]
    Unsupported {
        /// The broker's address.
        address: String,
        /// The request.
        api: &'static str,
    },
    /// The connection ended before the answer came.
    #[error("connection to {address} lost before the answer to {api}: {reason}")]
    Lost {
        /// The broker's address.
        address: String,
        /// The request.
        api: &'static str,
        /// Why it ended.
        reason: String,
        /// Whether the request may have reached the broker.
        sent: bool,
    },
    /// No answer came in time.
    #[error("{address} did not answer {api} within {waited_ms} ms")]
    TimedOut {
        /// The broker's address.
        address: String,
        /// The request.
        api: &'static str,
        /// How long was waited, in milliseconds.
        waited_ms: u64,
    },
    /// The broker failed repeatedly and is left alone for a while.
    #[error(
        "{address} failed {failures} times in a row and is left alone for {rest_ms} ms more; last: {last}"
    )]
    Resting {
        /// The broker's address.
        address: String,
        /// How often in a row.
        failures: u32,
        /// How long it is still left alone, in milliseconds.
        rest_ms: u64,
        /// The last failure.
        last: String,
    },
    /// The answer is not what its version says.
    #[error("the answer of {address} to {api} cannot be read: {reason}")]
    Undecodable {
        /// The broker's address.
        address: String,
        /// The request.
        api: &'static str,
        /// What is wrong with the bytes.
        reason: String,
    },
    /// The request is larger than the broker takes.
    #[error("request {api} of {bytes} bytes is larger than the {bytes_max} that {address} takes")]
    TooLarge {
        /// The broker's address.
        address: String,
        /// The request.
        api: &'static str,
        /// Its size.
        bytes: usize,
        /// The broker's limit.
        bytes_max: usize,
    },
    /// As many requests are in flight on the connection as the broker takes.
    #[error("{in_flight} requests are in flight to {address}, which is its limit")]
    Busy {
        /// The broker's address.
        address: String,
        /// How many.
        in_flight: usize,
    },
    /// The broker answered with an error for the request as a whole.
    #[error("{address} refused {api}: {error} ({})", error.code)]
    Refused {
        /// The broker's address.
        address: String,
        /// The request.
        api: &'static str,
        /// What the broker said.
        error: ApiError,
    },
    /// No broker is known that could be asked.
    #[error("no broker is known that leads the partition")]
    NoLeader,
    /// No broker is known that keeps the group, or it does not know the member yet.
    #[error("no broker is known that keeps the group")]
    NoCoordinator,
    /// The client, producer or consumer was closed meanwhile.
    #[error("closed")]
    Closed,
}

impl CallError {
    /// What to do about it.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Connect { .. }
            | Self::Handshake { .. }
            | Self::Resting { .. }
            | Self::NoLeader
            | Self::NoCoordinator
            | Self::Lost { sent: false, .. } => Retry::AfterRefresh,
            Self::Busy { .. } => Retry::Later,
            Self::Lost { .. } | Self::TimedOut { .. } | Self::Undecodable { .. } => {
                Retry::SameSequence
            }
            Self::Refused { error, .. } => error.code.retry(),
            Self::Unsupported { .. } | Self::TooLarge { .. } | Self::Closed => Retry::Never,
        }
    }

    /// The broker's error code, when it was the broker that said no.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { error, .. } => Some(error.code),
            _ => None,
        }
    }
}
