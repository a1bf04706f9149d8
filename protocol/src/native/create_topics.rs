//! Creates topics.

use super::wire::message;
use super::{Api, ApiError, Request};
use crate::TopicId;

message! {
    /// Asks for new topics; each succeeds or fails on its own.
    pub struct CreateTopicsRequest {
        /// The topics.
        pub topics: Vec<NewTopic>,
        /// Only say what would happen.
        pub validate_only: bool,
    }

    /// A topic to create.
    pub struct NewTopic {
        /// Its name.
        pub name: String,
        /// How many partitions; -1 takes the broker's default.
        pub partitions: i32,
        /// How many replicas of each; -1 takes the broker's default.
        pub replication_factor: i16,
        /// Settings that differ from the defaults.
        pub configs: Vec<ConfigEntry>,
    }

    /// One setting.
    pub struct ConfigEntry {
        /// Its name, such as `retention.ms`.
        pub key: String,
        /// Its value as text.
        pub value: String,
    }

    /// What became of each topic, in the order of the request.
    pub struct CreateTopicsResponse {
        /// The topics.
        pub topics: Vec<CreatedTopic>,
    }

    /// What became of one topic.
    pub struct CreatedTopic {
        /// Its name.
        pub name: String,
        /// Why it was not created.
        pub error: Option<ApiError>,
        /// Its id; zero when it was not created.
        pub id: TopicId,
        /// How many partitions it has.
        pub partitions: i32,
        /// How many replicas each has.
        pub replication_factor: i16,
    }
}

impl Request for CreateTopicsRequest {
    const API: Api = Api::CreateTopics;
    type Response = CreateTopicsResponse;
}
