//! Deletes topics.

use super::wire::message;
use super::{Api, ApiError, Request};

message! {
    /// Asks to delete topics with all that is in them; each succeeds or fails on its own.
    pub struct DeleteTopicsRequest {
        /// Their names.
        pub names: Vec<String>,
    }

    /// What became of each topic, in the order of the request.
    pub struct DeleteTopicsResponse {
        /// The topics.
        pub topics: Vec<TopicResult>,
    }

    /// Whether it worked for one topic.
    pub struct TopicResult {
        /// Its name.
        pub name: String,
        /// Why it did not work.
        pub error: Option<ApiError>,
    }
}

impl Request for DeleteTopicsRequest {
    const API: Api = Api::DeleteTopics;
    type Response = DeleteTopicsResponse;
}
