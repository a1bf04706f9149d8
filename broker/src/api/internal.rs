//! What clients may not do to the topics that are the brokers' own.

use thalweg_protocol::ErrorCode;

use super::Failure;
use crate::cluster::OFFSETS_TOPIC;
use crate::partition::Partition;

/// Refuses a partition of an internal topic. No other topic can have such a name.
pub(super) fn refuse_internal(partition: &Partition, action: &str) -> Result<(), Failure> {
    if partition.topic().as_str() == OFFSETS_TOPIC {
        let message =
            format!("{partition}: the topic is internal: it cannot be {action} by clients");
        return Err(Failure::new(ErrorCode::NotAuthorized, message));
    }
    Ok(())
}
