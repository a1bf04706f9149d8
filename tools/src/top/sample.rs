//! What the brokers said at one moment.

use std::time::Duration;

use thalweg_client::{ClusterDescription, DescribedGroup, DescribedTopic};

use super::unknown::Unknown;

/// The answers of one round.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// When they were there, since the start.
    pub(super) at: Duration,
    pub(super) cluster: ClusterDescription,
    pub(super) topics: Vec<DescribedTopic>,
    /// A coordinator may be loading while all else is well; then why its groups are not known.
    pub(super) groups: Result<Vec<DescribedGroup>, String>,
    /// What is not among them, and why.
    pub(super) groups_unknown: Vec<Unknown>,
}

/// How one round ended.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    Sample(Box<Sample>),
    /// Nobody answered.
    Silence {
        reason: String,
    },
}
