//! What is counted, under which names, and the text that Prometheus reads.
//!
//! Owns every metric's name, unit, help and labels, each declared once. A broker has one [`Metrics`]; two
//! brokers in one process share nothing. Handles are resolved when the thing that they count is made, and
//! counting is one atomic addition: no lookup, no lock, no allocation.
//!
//! Invariants: the number of series is bounded by the configuration, and a topic's series end with the
//! topic. Samples are counted into fixed buckets at once, so nothing grows while nobody asks.

mod broker;
mod connections;
mod directories;
mod names;
mod process;
mod registry;
mod render;
mod requests;
mod series;
mod topics;

pub use broker::{BrokerMetrics, Metrics};
pub use connections::ConnectionMetrics;
pub use directories::{DirectoryMetrics, DirectoryState, RecoveryMetrics, SyncMetrics};
pub use names::{ALL, Kind, Metric, Unit};
pub use registry::{Registry, Scope};
pub use render::CONTENT_TYPE;
pub use requests::RequestMetrics;
pub use series::{Counter, Gauge, Histogram};
pub use topics::{PartitionFigures, PartitionMetrics, TopicMetrics};
