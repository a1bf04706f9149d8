//! Operations of the admin that did not succeed.

use thalweg_protocol::ErrorCode;

use super::{CallError, ConfigError};

/// Why an operation of [`Admin`](crate::Admin) did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// No broker gave an answer before the deadline.
    #[error("{operation}: no answer after {attempts} attempts in {waited_ms} ms; last: {last}")]
    Unreachable {
        /// What was tried.
        operation: String,
        /// How often.
        attempts: u32,
        /// For how long, in milliseconds.
        waited_ms: u64,
        /// The last failure.
        last: CallError,
    },
    /// The broker refused, and the same request would fail again.
    #[error("{operation}: {message} ({code})")]
    Refused {
        /// What was tried.
        operation: String,
        /// The broker's error code.
        code: ErrorCode,
        /// What the broker said.
        message: String,
    },
    /// The request itself cannot be made.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl AdminError {
    /// The broker's error code, when it was the broker that said no.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Unreachable { last, .. } => last.code(),
            Self::Config(_) => None,
        }
    }
}
