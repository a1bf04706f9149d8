//! Why a command did not succeed, in words, and the exit code that says so.

use std::io::{self, Write};
use std::process::ExitCode;

use thalweg_client::{
    AdminError, CommitError, ConfigError, ConsumeError, ErrorCode, FlushError, SendError,
};

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command cannot be meant so; exit code 2.
    Usage(String),
    /// The operation failed; exit code 1.
    Failed(String),
    /// Nobody reads the output any more, which is no error: `thalweg consume … | head`.
    OutputClosed,
}

impl Failure {
    /// A failed operation.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    /// Bad usage.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    /// Says it on standard error and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let (text, code) = match self {
            Self::OutputClosed => return ExitCode::SUCCESS,
            Self::Failed(text) => (text, 1),
            Self::Usage(text) => (text, 2),
        };
        // Nobody is there to be told that standard error is gone.
        drop(writeln!(io::stderr(), "error: {text}"));
        ExitCode::from(code)
    }

    fn with_hint(text: &str, hint: Option<&str>) -> Self {
        Self::Failed(hint.map_or_else(|| text.to_owned(), |hint| format!("{text}\n  hint: {hint}")))
    }
}

/// Only writing the output gives a bare error of the system; files have messages with their names.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Failed(format!("cannot write the output: {error}")),
        }
    }
}

const UNREACHABLE: &str =
    "is a broker running there? `thalweg serve` starts one; --broker HOST:PORT names another";

/// What may help, by the broker's own word.
fn hint(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::UnknownTopic => {
            Some("`thalweg topic list` shows what there is, `thalweg topic create NAME` makes one")
        }
        ErrorCode::TopicExists => Some("`thalweg topic describe NAME` shows it"),
        ErrorCode::OffsetOutOfRange => {
            Some("`--from beginning` reads from the first record that is still there")
        }
        ErrorCode::UnknownGroup => Some("`thalweg group list` shows what there is"),
        ErrorCode::GroupNotEmpty => Some("`thalweg group describe GROUP` shows its members"),
        ErrorCode::InstanceInUse => {
            Some("end the other one, or give this one another name (`--instance`)")
        }
        ErrorCode::Corrupt => Some("`thalweg log verify PATH` on the broker's machine says more"),
        _ => None,
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        match &error {
            AdminError::Config(error) => Self::Usage(error.to_string()),
            AdminError::Unreachable { .. } => {
                Self::with_hint(&error.to_string(), Some(UNREACHABLE))
            }
            _ => Self::with_hint(&error.to_string(), error.code().and_then(hint)),
        }
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        match &error {
            CommitError::Config(error) => Self::Usage(error.to_string()),
            CommitError::Unreachable { .. } => {
                Self::with_hint(&error.to_string(), Some(UNREACHABLE))
            }
            _ => Self::with_hint(&error.to_string(), error.code().and_then(hint)),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        match &error {
            SendError::Config(error) => Self::Usage(error.to_string()),
            _ => Self::with_hint(&error.to_string(), error.code().and_then(hint)),
        }
    }
}

impl From<FlushError> for Failure {
    fn from(error: FlushError) -> Self {
        Self::with_hint(&error.to_string(), error.first.code().and_then(hint))
    }
}

impl From<ConsumeError> for Failure {
    fn from(error: ConsumeError) -> Self {
        match &error {
            ConsumeError::Config(error) => Self::Usage(error.to_string()),
            ConsumeError::Unreachable { .. } => {
                Self::with_hint(&error.to_string(), Some(UNREACHABLE))
            }
            _ => Self::with_hint(&error.to_string(), error.code().and_then(hint)),
        }
    }
}
