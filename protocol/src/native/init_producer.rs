//! Gives out a producer id.

use super::wire::message;
use super::{Api, Request};
use crate::{ProducerEpoch, ProducerId};

message! {
    /// Asks for a producer id, or for the next epoch of one.
    pub struct InitProducerRequest {
        /// Kept for transactions: must be none.
        pub transactional_id: Option<String>,
        /// The producer's id so far, or -1 for a new one.
        pub producer: ProducerId,
        /// Its epoch so far, or -1.
        pub epoch: ProducerEpoch,
    }

    /// The id to produce with; sequences begin at 0.
    pub struct InitProducerResponse {
        /// The id; never given out before.
        pub producer: ProducerId,
        /// The epoch.
        pub epoch: ProducerEpoch,
    }
}

impl Request for InitProducerRequest {
    const API: Api = Api::InitProducer;
    type Response = InitProducerResponse;
}
