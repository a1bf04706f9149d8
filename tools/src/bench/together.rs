//! Writers and readers at the same time: a record at a time until its reader has it, or all that goes.

use std::sync::Arc;

use thalweg_client::Consumer;
use tokio::sync::watch;

use super::arrivals::Arrivals;
use super::outcome::Outcome;
use super::payload::Payload;
use super::plan::{Limit, Plan, Workload};
use super::read::{self, Seen, Start};
use super::target::Target;
use super::write::Writers;
use crate::clock::Started;
use crate::failure::Failure;

/// Writers and readers; they live through warm-up and measurement.
pub(super) struct Together {
    pub(super) writers: Writers,
    consumers: Vec<Consumer>,
    arrivals: Arc<Arrivals>,
    base: Started,
}

impl Together {
    /// Makes both; the readers begin at `start`.
    pub(super) async fn new(
        plan: &Plan,
        target: &Target,
        payload: &Payload,
        start: &Start,
    ) -> Result<Self, Failure> {
        let base = Started::now();
        let is_closed_loop = plan.workload == Workload::EndToEnd && plan.one_at_a_time;
        let waiting = if is_closed_loop { plan.producers } else { 0 };
        let arrivals = Arc::new(Arrivals::new(waiting, plan.timeout));
        let mut consumers = Vec::new();
        for index in 0..plan.consumers {
            consumers.push(read::consumer(plan, target, index, start, false).await?);
        }
        let writers = Writers::new(plan, target, payload, Some(&arrivals), base).await?;
        Ok(Self { writers, consumers, arrivals, base })
    }

    /// Writes until the limit, and reads until everything written has arrived.
    pub(super) async fn run(&mut self, limit: Limit) -> Result<(Outcome, Seen), Failure> {
        let started = Started::now();
        let arrived_before = self.arrivals.count();
        let (stop, stopped) = watch::channel(false);
        let mut readers = Vec::new();
        for consumer in std::mem::take(&mut self.consumers) {
            let arrivals = Arc::clone(&self.arrivals);
            let stopped = stopped.clone();
            readers
                .push(tokio::spawn(read::follow(consumer, started, self.base, arrivals, stopped)));
        }
        let mut outcome = self.writers.run(limit).await?;
        let expected = arrived_before + outcome.records;
        outcome.errors.not_read(self.arrivals.wait_for(expected).await);
        drop(stop);
        let mut seen = Seen::new();
        for reader in readers {
            let ended = reader.await;
            let (consumer, part) = ended
                .map_err(|error| Failure::failed(format!("a reader ended too early: {error}")))?;
            self.consumers.push(consumer);
            seen.add(part);
        }
        Ok((outcome, seen))
    }
}
