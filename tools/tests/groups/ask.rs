//! Questions about groups, asked of the real command line until the answer is so.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Broker, DEADLINE};

/// What `thalweg group describe` says to programs.
pub fn describe(broker: &Broker, group: &str) -> Value {
    broker.run(&["group", "describe", group, "--output", "json"]).good().json()
}

/// The owners of the partitions, by partition; none for one that nobody owns.
pub fn owners(described: &Value) -> Vec<Option<String>> {
    let partitions = described["partitions"].as_array().unwrap();
    partitions.iter().map(|it| it["owner"].as_str().map(str::to_owned)).collect()
}

/// Asks until there is an answer, and says how long that took. Each question is a process or a look at one, so asking
/// on does not spin.
#[expect(clippy::disallowed_methods, reason = "a deadline for what is asked of other processes")]
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> (T, Duration) {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return (answer, started.elapsed());
        }
        assert!(started.elapsed() < DEADLINE, "{what}: not so within {DEADLINE:?}");
    }
}
