//! Why a request, or one partition of it, failed: said once, for both front doors.

use thalweg_protocol::{BrokerId, ErrorCode, LeaderEpoch, Offset};
use thalweg_storage::ReadError;

use crate::cluster::{MetadataError, Refusal};
use crate::partition::PartitionError;

/// A refusal or a failure, with what a client needs to go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// What to act on.
    pub(crate) code: ErrorCode,
    /// What was tried, where, and with which numbers.
    pub(crate) message: String,
    /// Facts beside the code.
    pub(crate) hint: Hint,
}

/// Facts beside an error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Hint {
    /// None.
    #[default]
    Nothing,
    /// Who leads the partition.
    Leader(BrokerId, LeaderEpoch),
    /// Where good bytes go on behind a damaged range.
    NextGood(Offset),
    /// The range of offsets that can be read: log start and high watermark.
    Range(Offset, Offset),
    /// How far the reader's log and this one agree: an epoch and its end.
    Diverging(LeaderEpoch, Offset),
}

impl Failure {
    /// A failure without further facts.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: Hint::Nothing }
    }

    /// The same with a fact.
    #[must_use]
    pub(crate) const fn with(mut self, hint: Hint) -> Self {
        self.hint = hint;
        self
    }
}

impl From<PartitionError> for Failure {
    fn from(error: PartitionError) -> Self {
        let hint = match &error {
            PartitionError::NotLeader { leader, epoch, .. } => Hint::Leader(*leader, *epoch),
            PartitionError::Truncated { epoch, end, .. } => Hint::Diverging(*epoch, *end),
            PartitionError::OutOfRange { log_start, high_watermark, .. } => {
                Hint::Range(*log_start, *high_watermark)
            }
            PartitionError::Read { error: ReadError::Corrupt { next_good, .. }, .. } => {
                Hint::NextGood(*next_good)
            }
            _ => Hint::Nothing,
        };
        Self::new(error.code(), error.to_string()).with(hint)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code(), refusal.to_string())
    }
}

impl From<MetadataError> for Failure {
    fn from(error: MetadataError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
