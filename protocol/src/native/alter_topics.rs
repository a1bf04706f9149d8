//! Adds partitions to topics and changes their settings.

use super::wire::message;
use super::{Api, Request, TopicResult};

message! {
    /// Asks for changes; each topic's are made all together or not at all.
    pub struct AlterTopicsRequest {
        /// The topics.
        pub topics: Vec<AlterTopic>,
        /// Only say what would happen.
        pub validate_only: bool,
    }

    /// The changes to one topic.
    pub struct AlterTopic {
        /// Its name.
        pub name: String,
        /// How many partitions it shall have; it can only grow.
        pub partitions: Option<i32>,
        /// Settings to change.
        pub configs: Vec<ConfigChange>,
    }

    /// One setting to change.
    pub struct ConfigChange {
        /// Its name.
        pub key: String,
        /// Its new value; none goes back to the default.
        pub value: Option<String>,
    }

    /// What became of each topic, in the order of the request.
    pub struct AlterTopicsResponse {
        /// The topics.
        pub topics: Vec<TopicResult>,
    }
}

impl Request for AlterTopicsRequest {
    const API: Api = Api::AlterTopics;
    type Response = AlterTopicsResponse;
}
