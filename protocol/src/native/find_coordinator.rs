//! Which broker keeps which group.

use super::wire::message;
use super::{Api, ApiError, Request};
use crate::{BrokerId, PartitionIndex};

message! {
    /// Asks for the coordinators of groups; any broker answers.
    pub struct FindCoordinatorRequest {
        /// The groups; none of them needs to exist.
        pub groups: Vec<String>,
    }

    /// The coordinators, in the order of the request.
    pub struct FindCoordinatorResponse {
        /// The coordinators.
        pub coordinators: Vec<GroupCoordinator>,
    }

    /// The broker that keeps one group.
    pub struct GroupCoordinator {
        /// The group.
        pub group: String,
        /// Why nothing is known.
        pub error: Option<ApiError>,
        /// The partition of `__consumer_offsets` that holds the group, or -1.
        pub shard: PartitionIndex,
        /// The broker that leads this partition, or -1.
        pub broker: BrokerId,
        /// The host name or address to connect to.
        pub host: String,
        /// The port to connect to.
        pub port: u16,
    }
}

impl Request for FindCoordinatorRequest {
    const API: Api = Api::FindCoordinator;
    type Response = FindCoordinatorResponse;
}
