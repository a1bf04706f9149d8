//! Publish records to Thalweg and subscribe to them.
//!
//! Start with a [`Client`]; it makes [producers](Producer), [consumers](Consumer) and an [`Admin`].
//!
//! ```no_run
//! use thalweg_client::{Client, NewTopic, Record, StartAt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder().bootstrap("127.0.0.1:9092").client_name("front-page").build()?;
//! client.admin().create_topic(NewTopic::new("events").partitions(3)).await?;
//!
//! let producer = client.producer().build().await?;
//! let receipt = producer.send(Record::to("events").key("net-7").value("hello")).await?;
//! let delivered = receipt.await?; // on stable storage, in order, exactly once
//! println!("partition {} offset {}", delivered.partition, delivered.offset);
//! producer.close().await?;
//!
//! let mut consumer = client.consumer().topic("events", StartAt::Earliest).build().await?;
//! while let Some(record) = consumer.next().await {
//!     let record = record?;
//!     println!("{} {:?}", record.offset, record.value);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Members of a group share a topic's partitions and go on where the group has committed:
//!
//! ```no_run
//! # async fn example(client: thalweg_client::Client) -> Result<(), Box<dyn std::error::Error>> {
//! let mut consumer = client.consumer().group("alerts").subscribe(["events"]).build().await?;
//! while let Some(record) = consumer.next().await {
//!     let record = record?;
//!     println!("{}/{} {:?}", record.partition, record.offset, record.value);
//! } // the next call says that the record is done; what is done is committed every 5 s and on closing
//! consumer.close().await?; // its partitions go to others at once
//! # Ok(())
//! # }
//! ```
//!
//! The crate's `examples` go on from here: `worker_pool` (several processes, each record at least once), `exactly_once`
//! (the offset is stored with the result in an `SQLite` table), `replay_yesterday` (by time, beside all groups).
//!
//! Owns routing, batching, pipelining, retries and deadlines. Never blocks a thread, never reads a
//! clock outside `clock.rs`, never waits without a deadline.
//!
//! Invariants: with the default options a record whose [`Receipt`] said `Ok` is stored once, in the order
//! in which `send` was called for its partition; a handle that is dropped takes its tasks with it.

mod admin;
mod auth;
mod client;
mod clock;
mod config;
mod connection;
mod consumer;
mod error;
mod metadata;
mod pool;
mod producer;
mod record;
mod retry;
mod router;

pub use thalweg_protocol::batch::{Compression, HeaderRef, Headers, HeadersRef, RecordRef};
pub use thalweg_protocol::native::{
    Acks, AssignedTopic, ConfigSource, DescribeClusterResponse as ClusterDescription,
    DescribedBroker, DescribedConfig, DescribedDirectory, DescribedGroup, DescribedMember,
    DescribedOffset, DescribedPartition, DescribedTopic, DescribedTopicOffsets, EpochEnd,
    GroupCoordinator, GroupKind, GroupState, GroupSubscription, ListedGroup, MissingShard,
    OffsetQuery,
};
pub use thalweg_protocol::{
    BrokerId, ClusterId, ErrorCode, GroupEpoch, LeaderEpoch, MemberEpoch, Offset, PartitionIndex,
    TimestampMs, TopicId, TopicName,
};

pub use admin::{
    Admin, AlterTopic, CompactionStatus, CreatedTopic, GroupListing, ListedOffset, NewTopic,
    PlannedReset, ResetTo, TopicListing,
};
pub use client::Client;
pub use config::{Addresses, ClientBuilder};
pub use consumer::{
    AssignedPartition, BatchRecordIter, BatchRecords, CommitError, CommitOffset, Committed,
    ConsumedBatch, ConsumedRecord, Consumer, ConsumerBuilder, Event, FailedCommit, GroupEvent,
    GroupPartition, Lag, OnCorrupt, OnOutOfRange, StartAt,
};
pub use error::{AdminError, CallError, ConfigError, ConsumeError, FlushError, SendError};
pub use producer::{Delivered, Producer, ProducerBuilder, ProducerStats, Receipt, Receipts};
pub use record::{Partition, Record};
