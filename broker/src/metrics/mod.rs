//! What is counted, under which names, and the text that Prometheus reads.
//!
//! Owns every metric's name, unit, help and labels, each declared once; the numbers themselves are the
//! metrics library's. A broker has one [`Metrics`] with a recorder of its own; two brokers in one process share
//! nothing. Handles are resolved when the thing that they count is made: counting looks nothing up and takes
//! no lock.
//!
//! Invariants: the number of series is bounded by the configuration. Samples of histograms wait, 16 bytes each,
//! until the next [`Metrics::upkeep`] or rendering; [`UPKEEP_INTERVAL`] bounds how many that are.

mod broker;
mod compaction;
mod connections;
mod coordinator;
mod directories;
mod groups;
mod names;
mod process;
mod registry;
mod requests;
mod topics;

pub use broker::{BrokerMetrics, Metrics, UPKEEP_INTERVAL};
pub use compaction::CompactionMetrics;
pub use connections::{ConnectionMetrics, UnderWay};
pub use coordinator::CoordinatorMetrics;
pub use directories::{DirectoryMetrics, DirectoryState, RecoveryMetrics, SyncMetrics};
pub use groups::{GROUP_STATES, GroupMetrics, GroupSeries, GroupShown, Showing};
pub use names::{ALL, Kind, Metric, Unit};
pub use registry::{CONTENT_TYPE, amount};
pub use requests::RequestMetrics;
pub use topics::{PartitionFigures, PartitionMetrics, TopicMetrics};
