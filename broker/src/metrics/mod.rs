//! What is counted, under which names, and the text that Prometheus reads.
//!
//! Owns every metric's name, unit, help and labels, each declared once. A broker has one [`Metrics`]; two
//! brokers in one process share nothing. Handles are resolved when the thing that they count is made: counting
//! looks nothing up, takes no lock and no memory, and is done for requests and batches, never for records.
//!
//! Invariants: the number of series is bounded by the configuration; a series that counts a topic, a partition or
//! a group ends with it; showing all of them takes no lock that a request waits for.

mod broker;
mod compaction;
mod connections;
mod coordinator;
mod directories;
mod groups;
mod histogram;
mod names;
mod process;
mod registry;
mod requests;
mod text;
mod topics;

pub use broker::{BrokerMetrics, Metrics};
pub use compaction::CompactionMetrics;
pub use connections::{ConnectionMetrics, UnderWay};
pub use coordinator::CoordinatorMetrics;
pub use directories::{DirectoryMetrics, DirectoryState, RecoveryMetrics, SyncMetrics};
pub use groups::{GROUP_STATES, GroupSeries, GroupShown, LagShown, Showing};
pub use histogram::Histogram;
pub use names::{ALL, Kind, Metric, Unit};
pub use registry::{CONTENT_TYPE, amount};
pub use requests::{Phase, RequestMetrics};
pub use topics::{PartitionFigures, PartitionMetrics, TopicMetrics, TopicSeries};
