//! Proves groups with real processes: several `thalweg consume --group` share a topic and hand partitions over, the
//! figures of `thalweg group describe` match a count by hand, and offsets go where a reset says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod ask;
mod member;
mod patterns;
mod reset;
#[path = "../support/mod.rs"]
mod support;
mod terminals;

use tempfile::TempDir;

use crate::ask::describe;
use crate::support::Broker;

/// The project's own earthquakes.
pub const EARTHQUAKES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/earthquakes.jsonl");
pub const EVENTS: usize = 1_707;

/// A broker on an empty folder.
pub fn broker() -> (TempDir, Broker) {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(&folder.path().join("data"));
    (folder, broker)
}

/// A broker that holds the earthquakes in three partitions, each by the time at which it happened.
pub fn broker_with_earthquakes() -> (TempDir, Broker) {
    let (folder, broker) = broker();
    broker.run(&["topic", "create", "earthquakes", "-p", "3"]).good();
    publish(&broker);
    (folder, broker)
}

/// Publishes the earthquakes once more.
pub fn publish(broker: &Broker) {
    let fields = ["--key-field", "properties.net", "--timestamp-field", "properties.time"];
    broker.run(&[&["produce", "earthquakes", "--file", EARTHQUAKES][..], &fields].concat()).good();
}

/// What the group has committed, by partition.
pub fn committed(broker: &Broker, group: &str) -> Vec<Option<i64>> {
    let described = describe(broker, group);
    let partitions = described["partitions"].as_array().unwrap();
    partitions.iter().map(|it| it["committed"].as_i64()).collect()
}
