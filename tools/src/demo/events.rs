//! A week of earthquakes, part of the binary.

use serde::Deserialize;

/// One JSON object a line; `data/README.md` says where they are from.
const LINES: &str = include_str!("../../data/earthquakes.jsonl");

/// One earthquake.
#[derive(Debug)]
pub(super) struct Event {
    /// The feature as it is published.
    pub(super) line: &'static str,
    /// The network that reported it: the record's key.
    pub(super) network: String,
    /// Its magnitude; some have none.
    pub(super) magnitude: Option<f64>,
    /// Where it was.
    pub(super) place: String,
}

#[derive(Deserialize)]
struct Feature {
    properties: Properties,
}

#[derive(Deserialize)]
struct Properties {
    net: String,
    mag: Option<f64>,
    place: Option<String>,
}

/// All of them, by the time at which they happened.
pub(super) fn all() -> Result<Vec<Event>, serde_json::Error> {
    LINES.lines().map(event).collect()
}

fn event(line: &'static str) -> Result<Event, serde_json::Error> {
    let Properties { net, mag, place } = serde_json::from_str::<Feature>(line)?.properties;
    Ok(Event { line, network: net, magnitude: mag, place: place.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_1707_events_of_12_networks() {
        let events = all().unwrap();
        let networks: BTreeSet<&str> = events.iter().map(|event| event.network.as_str()).collect();
        assert_eq!((events.len(), networks.len()), (1_707, 12));
    }
}
