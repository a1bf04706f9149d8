//! The readers: each has its own connection and its share of the partitions, and decodes every record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thalweg_client::{ConsumeError, ConsumedBatch, Consumer, Offset, StartAt};
use tokio::sync::watch;

use super::arrivals::Arrivals;
use super::chain::Checker;
use super::errors::Errors;
use super::latency::Latencies;
use super::number::wide;
use super::plan::{Limit, Plan};
use super::stamp::Stamp;
use super::target::Target;
use crate::clock::Started;
use crate::failure::Failure;

/// So many errors in a row end a reader.
const FAILURES_MAX: u32 = 16;

/// Where a reader begins, by partition.
#[derive(Clone, Debug)]
pub(super) enum Start {
    /// With the first record.
    Beginning,
    /// With what is written from now on.
    Offsets(Arc<[Offset]>),
}

/// What one reader saw.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) time: Duration,
    /// How long it waited for each batch.
    pub(super) waits: Latencies,
    /// From the moment in each measured stamp until the record was here.
    pub(super) arrivals: Latencies,
    pub(super) errors: Errors,
    pub(super) checker: Checker,
    failures_in_a_row: u32,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self {
            records: 0,
            bytes: 0,
            time: Duration::ZERO,
            waits: Latencies::new(),
            arrivals: Latencies::new(),
            errors: Errors::default(),
            checker: Checker::default(),
            failures_in_a_row: 0,
        }
    }

    /// Adds what another reader saw at the same time.
    pub(super) fn add(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.time = self.time.max(other.time);
        self.waits.add(&other.waits);
        self.arrivals.add(&other.arrivals);
        self.errors.add(other.errors);
        self.checker.add(other.checker);
    }

    fn failed(&mut self, error: &ConsumeError) {
        self.errors.reading(error);
        self.failures_in_a_row += 1;
    }

    /// Decodes every record of a batch, but for those after `left`.
    fn take(&mut self, batch: &ConsumedBatch, checks: bool, left: u64) -> Result<(), ConsumeError> {
        let partition = batch.partition.get();
        let records = batch.records()?;
        let before = self.records;
        for record in &records {
            if self.records - before == left {
                break;
            }
            let value = record?.value.unwrap_or_default();
            self.records += 1;
            self.bytes += wide(value.len());
            if checks {
                self.checker.see(partition, value);
            }
        }
        self.failures_in_a_row = 0;
        Ok(())
    }

    /// Decodes the records of a batch that were written by this run, and notes when they arrived.
    fn take_stamped(
        &mut self,
        batch: &ConsumedBatch,
        base: Started,
        arrivals: &Arrivals,
    ) -> Result<(), ConsumeError> {
        let records = batch.records()?;
        let before = self.records;
        for record in &records {
            let value = record?.value.unwrap_or_default();
            let Some(stamp) = Stamp::read(value) else { continue };
            self.records += 1;
            self.bytes += wide(value.len());
            if !stamp.sent.is_zero() {
                self.arrivals.record(base.elapsed().saturating_sub(stamp.sent));
            }
            arrivals.of(stamp.writer);
        }
        arrivals.add(self.records - before);
        self.failures_in_a_row = 0;
        Ok(())
    }
}

/// Makes reader number `index`.
pub(super) async fn consumer(
    plan: &Plan,
    target: &Target,
    index: usize,
    start: &Start,
    stop_at_end: bool,
) -> Result<Consumer, Failure> {
    let readers = plan.consumers;
    let own = (0..plan.partitions).zip(0_usize..).filter(|(_, place)| place % readers == index);
    let assigned = own.map(|(partition, place)| {
        let start = match start {
            Start::Beginning => StartAt::Earliest,
            Start::Offsets(offsets) => {
                StartAt::Offset(offsets.get(place).copied().unwrap_or(Offset::ZERO))
            }
        };
        (plan.topic.as_str(), partition, start)
    });
    let builder = target.client()?.consumer().assign(assigned);
    let builder = if stop_at_end { builder.stop_at_end() } else { builder };
    Ok(builder.build().await?)
}

/// What all readers of a pass have in common.
#[derive(Clone)]
pub(super) struct Pass {
    pub(super) start: Start,
    pub(super) limit: Limit,
    /// Whether the chains are followed.
    pub(super) checks: bool,
    /// Records read so far, by all readers and for a progress line.
    pub(super) counted: Arc<AtomicU64>,
}

/// Reads what is there, once, to the ends that the logs have now or to the limit.
pub(super) async fn read_once(plan: &Plan, target: &Target, pass: &Pass) -> Result<Seen, Failure> {
    let started = Started::now();
    let limit = pass.counted.load(Ordering::Relaxed).saturating_add(pass.limit.records);
    let mut readers = Vec::new();
    for index in 0..plan.consumers {
        let consumer = consumer(plan, target, index, &pass.start, true).await?;
        readers.push(tokio::spawn(read(consumer, pass.clone(), limit, started)));
    }
    let mut seen = Seen::new();
    for reader in readers {
        let ended = reader.await;
        seen.add(
            ended.map_err(|error| Failure::failed(format!("a reader ended too early: {error}")))?,
        );
    }
    Ok(seen)
}

async fn read(mut consumer: Consumer, pass: Pass, limit: u64, started: Started) -> Seen {
    let mut seen = Seen::new();
    loop {
        let asked = started.elapsed();
        let left = limit.saturating_sub(pass.counted.load(Ordering::Relaxed));
        if left == 0 || asked >= pass.limit.time || seen.failures_in_a_row >= FAILURES_MAX {
            break;
        }
        let Some(batch) = consumer.next_batch().await else { break };
        seen.waits.record(started.elapsed().saturating_sub(asked));
        let before = seen.records;
        if let Err(error) = batch.and_then(|batch| seen.take(&batch, pass.checks, left)) {
            seen.failed(&error);
        }
        pass.counted.fetch_add(seen.records - before, Ordering::Relaxed);
    }
    seen.time = started.elapsed();
    seen
}

/// Reads what comes until the other end of `stop` is gone, and tells of each arrival.
pub(super) async fn follow(
    mut consumer: Consumer,
    started: Started,
    base: Started,
    arrivals: Arc<Arrivals>,
    mut stop: watch::Receiver<bool>,
) -> (Consumer, Seen) {
    let mut seen = Seen::new();
    while seen.failures_in_a_row < FAILURES_MAX {
        let batch = tokio::select! {
            batch = consumer.next_batch() => batch,
            _ = stop.changed() => break,
        };
        let Some(batch) = batch else { break };
        match batch.and_then(|batch| seen.take_stamped(&batch, base, &arrivals)) {
            Ok(()) => seen.time = started.elapsed(),
            Err(error) => seen.failed(&error),
        }
    }
    (consumer, seen)
}
