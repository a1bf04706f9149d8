//! What is counted of each kind of request of the native door.

use std::sync::Arc;

use thalweg_protocol::native::Api;

use crate::metrics::{Metrics, RequestMetrics};

/// The door's name in the metrics.
pub(super) const DOOR: &str = "native";

/// One set of figures for each kind of request, resolved once.
pub(super) struct RequestCounts {
    kinds: Vec<(Api, Arc<RequestMetrics>)>,
}

impl RequestCounts {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let kind = |api: &Api| (*api, metrics.request(DOOR, api.name()));
        Self { kinds: Api::ALL.iter().map(kind).collect() }
    }

    /// The figures of the kind with this number; none for a number that is no kind.
    pub(super) fn kind(&self, number: u16) -> Option<&Arc<RequestMetrics>> {
        let api = Api::from_number(number)?;
        self.kinds.iter().find(|(other, _)| *other == api).map(|(_, metrics)| metrics)
    }
}
