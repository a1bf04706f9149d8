//! Bytes to values and back: what travels between Thalweg's brokers and clients, and what lies on disk.
//!
//! Owns the record batch ([`batch`]), the native protocol ([`native`]), the frames that carry it
//! ([`frame`]) and the newtypes and numeric codes that both sides share. Never does I/O, never reads a
//! clock, never awaits.
//!
//! Invariant: whatever bytes arrive, decoding neither panics nor allocates more than the bytes that
//! arrived justify.

pub mod batch;
pub mod codec;
mod error_code;
pub mod frame;
mod id;
pub mod murmur2;
pub mod native;
mod offset;

pub use error_code::{ErrorCode, Retry};
pub use id::{
    BrokerEpoch, BrokerId, ClusterId, DirectoryId, GroupEpoch, MemberEpoch, MemberId,
    PartitionIndex, ProducerEpoch, ProducerId, TopicId, TopicName, TopicNameError, TopicPartition,
};
pub use offset::{LeaderEpoch, Offset, Sequence, TimestampMs};
