//! Publishing a round of events at a steady pace, and what became of each one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use thalweg_client::{Delivered, Producer, Record};
use tokio::time::{MissedTickBehavior, interval};

use super::events::Event;
use crate::clock::Started;
use crate::failure::Failure;

/// Publishes to this topic.
pub(super) const TOPIC: &str = "earthquakes";

/// Two events a millisecond: fast enough to be short, slow enough for each to have a latency of its own.
const PACE: Duration = Duration::from_millis(1);
const EVENTS_PER_TICK: usize = 2;

/// Which event of which round: what a record's headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    /// From 1.
    pub(super) round: usize,
    /// The event's place in its round, from 0.
    pub(super) index: usize,
}

/// How far a round has come, for whoever watches.
#[derive(Debug, Default)]
pub(super) struct Tally {
    sent: AtomicU64,
    acknowledged: AtomicU64,
}

impl Tally {
    /// Events handed to the producer.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    /// Events that the broker has acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }
}

/// One round of publishing.
pub(super) struct Round {
    pub(super) number: usize,
    pub(super) events: Arc<[Event]>,
    pub(super) producer: Producer,
    pub(super) tally: Arc<Tally>,
    /// What the time of sending is counted from.
    pub(super) started: Started,
}

impl Round {
    /// Sends every event; ends when every one is acknowledged, and says where each is stored.
    pub(super) async fn publish(self) -> Result<Vec<(Place, Delivered)>, Failure> {
        let mut ticks = interval(PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut acknowledged = Vec::with_capacity(self.events.len());
        let mut receipts = FuturesUnordered::new();
        let mut unsent = self.events.iter().enumerate();
        let mut all_sent = false;
        while !all_sent || !receipts.is_empty() {
            tokio::select! {
                _ = ticks.tick(), if !all_sent => for _ in 0..EVENTS_PER_TICK {
                    let Some((index, event)) = unsent.next() else {
                        all_sent = true;
                        break;
                    };
                    let place = Place { round: self.number, index };
                    let receipt = self.send(place, event).await?;
                    receipts.push(async move { (place, receipt.await) });
                },
                Some((place, result)) = receipts.next() => {
                    acknowledged.push((place, result?));
                    self.tally.acknowledged.fetch_add(1, Ordering::Release);
                }
            }
        }
        Ok(acknowledged)
    }

    async fn send(&self, place: Place, event: &Event) -> Result<thalweg_client::Receipt, Failure> {
        let headers =
            [place.round.to_string(), place.index.to_string(), micros(self.started).to_string()];
        let [round, index, sent] = &headers;
        let record = Record::to(TOPIC)
            .key(&event.network)
            .value(event.line)
            .header("round", round)
            .header("index", index)
            .header("sent-us", sent);
        let receipt = self.producer.send(record).await?;
        self.tally.sent.fetch_add(1, Ordering::Release);
        Ok(receipt)
    }
}

/// Microseconds since the demo began.
pub(super) fn micros(started: Started) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)
}
