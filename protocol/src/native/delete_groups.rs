//! Forgets groups with all their offsets.

use super::wire::message;
use super::{Api, ApiError, Request};

message! {
    /// Deletes groups; each succeeds or fails on its own.
    pub struct DeleteGroupsRequest {
        /// The groups.
        pub groups: Vec<String>,
    }

    /// What became of each group, in the order of the request.
    pub struct DeleteGroupsResponse {
        /// The groups.
        pub groups: Vec<GroupResult>,
    }

    /// What became of one group.
    pub struct GroupResult {
        /// The group.
        pub group: String,
        /// Why it did not work.
        pub error: Option<ApiError>,
    }
}

impl Request for DeleteGroupsRequest {
    const API: Api = Api::DeleteGroups;
    type Response = DeleteGroupsResponse;
}
