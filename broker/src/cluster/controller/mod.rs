//! The controller's decisions: an image and a request make records, or a refusal.
//!
//! Pure functions only: no clock, no file, no random number; ids are handed in. Touches nothing: the
//! records take effect when the log has them and `replay` applies them.

mod brokers;
mod configs;
mod election;
mod isr;
mod placement;
mod producer_ids;
mod refusal;
mod rules;
#[cfg(test)]
mod tests;
mod topics;

pub use brokers::Registration;
pub use isr::{IsrMember, IsrProposal};
pub use placement::directory_for;
pub use producer_ids::ProducerIdBlock;
pub use refusal::{Each, Refusal};
pub use rules::Rules;
pub use topics::{CreatedTopic, NewTopic, OFFSETS_TOPIC, TopicChange};

pub(super) use brokers::{assign_directories, change_fence, register, register_directory};
pub(super) use isr::change_isr;
pub(super) use producer_ids::reserve;
pub(super) use topics::{alter, create, delete};
