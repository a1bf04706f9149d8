//! What the demo prints: a step a paragraph, a table of networks, latencies.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use thalweg_client::{Offset, PartitionIndex};

use super::events::Event;
use super::group::Summed;
use super::read::Seen;
use crate::table::Table;
use crate::values;

/// What was seen of one network.
#[derive(Debug)]
struct Network<'a> {
    partition: PartitionIndex,
    events: u64,
    strongest: Option<&'a Event>,
    first: Offset,
    last: Offset,
}

/// Network, partition, events, strongest, offsets; the busiest network first.
pub(super) fn networks(seen: &[Seen], events: &[Event]) -> Table {
    let mut networks: BTreeMap<&str, Network<'_>> = BTreeMap::new();
    for one in seen {
        let event = one.place.and_then(|place| events.get(place.index));
        let network = networks.entry(&one.key).or_insert(Network {
            partition: one.partition,
            events: 0,
            strongest: None,
            first: one.offset,
            last: one.offset,
        });
        network.events += 1;
        network.last = one.offset;
        let magnitude = |event: Option<&Event>| event.and_then(|event| event.magnitude);
        if magnitude(event) > magnitude(network.strongest) {
            network.strongest = event;
        }
    }
    let mut rows: Vec<(&str, Network<'_>)> = networks.into_iter().collect();
    rows.sort_by_key(|(_, network)| std::cmp::Reverse(network.events));
    let mut table = Table::new(&["network", "#partition", "#events", "strongest", "#offsets"]);
    for (name, network) in rows {
        table.row([
            name.to_owned(),
            network.partition.to_string(),
            network.events.to_string(),
            network.strongest.map(strongest).unwrap_or_default(),
            format!("{} – {}", network.first, network.last),
        ]);
    }
    table
}

fn strongest(event: &Event) -> String {
    const PLACE_CHARS_MAX: usize = 40;
    let place: String = event.place.chars().take(PLACE_CHARS_MAX).collect();
    format!("M {:.1}  {place}", event.magnitude.unwrap_or_default())
}

/// End-to-end latencies.
#[expect(clippy::struct_field_names, reason = "the unit is last in a name")]
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Latencies {
    pub(super) p50_us: u64,
    pub(super) p90_us: u64,
    pub(super) p99_us: u64,
    pub(super) max_us: u64,
}

impl Latencies {
    /// Of these events; none when there are no events.
    pub(super) fn of(seen: &[Seen]) -> Option<Self> {
        // A minute is far beyond the demo's own deadline.
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).ok()?;
        for one in seen {
            histogram.saturating_record(one.latency_us);
        }
        (!histogram.is_empty()).then(|| Self {
            p50_us: histogram.value_at_quantile(0.5),
            p90_us: histogram.value_at_quantile(0.9),
            p99_us: histogram.value_at_quantile(0.99),
            max_us: histogram.max(),
        })
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = |us| values::time(Duration::from_micros(us));
        let Self { p50_us, p90_us, p99_us, max_us } = *self;
        write!(
            f,
            "p50 {}   p90 {}   p99 {}   max {}",
            time(p50_us),
            time(p90_us),
            time(p99_us),
            time(max_us)
        )
    }
}

/// What the demo tells programs.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) events: usize,
    pub(super) networks: usize,
    pub(super) latency: Option<Latencies>,
    /// Of the second round, when the broker's process was gone.
    pub(super) acknowledged_at_kill: u64,
    pub(super) sent_at_kill: u64,
    pub(super) restart_ms: u64,
    pub(super) acknowledged: usize,
    pub(super) read_back: usize,
    pub(super) complaints: Vec<String>,
    pub(super) group: Summed,
    pub(super) seconds: f64,
}
