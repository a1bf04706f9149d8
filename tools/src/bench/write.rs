//! The writers: as many records as fit, or as many a second as asked for, until the limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thalweg_client::{Producer, SendError};
use tokio::runtime::Handle;

use super::arrivals::{Arrivals, Arriving};
use super::chain::Link;
use super::collect::{Samples, collect};
use super::errors::Errors;
use super::number::wide;
use super::outcome::Outcome;
use super::pace::{Pace, be_punctual, wait_until};
use super::payload::Payload;
use super::plan::{Limit, Plan};
use super::source::Source;
use super::target::Target;
use crate::clock::Started;
use crate::failure::Failure;

/// So many failures in a row end a writer: the broker is not coming back.
const FAILURES_MAX: u32 = 16;

/// A delivery may take so long before it counts as an error.
const DELIVERY_MAX: Duration = Duration::from_secs(30);

/// All writers of a run; they live through warm-up and measurement.
pub(super) struct Writers {
    writers: Vec<Writer>,
    sent: Arc<AtomicU64>,
}

/// One producer, with a connection of its own.
struct Writer {
    index: usize,
    producer: Producer,
    source: Source,
    record_bytes: u64,
    sample_every: u64,
    send_many: u64,
    rate: Option<Pace>,
    one_at_a_time: bool,
    /// Where it is told that a reader has the record, if that is waited for, too.
    arriving: Option<Arriving>,
    /// Stamps count from here, in all phases.
    base: Started,
    /// Told to the progress line.
    sent: Arc<AtomicU64>,
}

impl Writers {
    /// Makes the producers.
    pub(super) async fn new(
        plan: &Plan,
        target: &Target,
        payload: &Payload,
        arrivals: Option<&Arrivals>,
        base: Started,
    ) -> Result<Self, Failure> {
        let sent = Arc::new(AtomicU64::new(0));
        let mut writers = Vec::new();
        for index in 0..plan.producers {
            let pace = |rate| Pace::new(rate, wide(index), wide(plan.producers));
            writers.push(Writer {
                index,
                producer: producer(plan, target).await?,
                source: Source::new(plan, payload, index),
                record_bytes: wide(plan.record_bytes),
                sample_every: plan.sample_every(),
                send_many: plan.send_many,
                rate: plan.rate.map(pace),
                one_at_a_time: plan.one_at_a_time,
                arriving: arrivals.and_then(|arrivals| arrivals.of_writer(index)),
                base,
                sent: Arc::clone(&sent),
            });
        }
        Ok(Self { writers, sent })
    }

    /// How many records were sent so far, for a progress line.
    pub(super) fn sent(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent)
    }

    /// Where the chains end: by writer and partition.
    pub(super) fn ends(&self) -> Vec<(u32, i32, Link)> {
        self.writers.iter().flat_map(|writer| writer.source.ends()).collect()
    }

    /// Writes until the limit, and until everything is acknowledged.
    pub(super) async fn run(&mut self, limit: Limit) -> Result<Outcome, Failure> {
        let started = Started::now();
        let writers = wide(self.writers.len());
        let mut tasks = Vec::new();
        for writer in std::mem::take(&mut self.writers) {
            let limit = limit.part(wide(writer.index), writers);
            tasks.push(tokio::spawn(writer.run(limit, started)));
        }
        let mut outcome = Outcome::new();
        for task in tasks {
            let ended = task.await;
            let (writer, part) = ended
                .map_err(|error| Failure::failed(format!("a writer ended too early: {error}")))?;
            outcome.add(part);
            self.writers.push(writer);
        }
        Ok(outcome)
    }
}

async fn producer(plan: &Plan, target: &Target) -> Result<Producer, Failure> {
    let mut builder = target
        .client()?
        .producer()
        .acks(plan.acks)
        .compression(plan.compression)
        .batch_bytes(plan.batch_bytes)
        .send_timeout(plan.timeout)
        .delivery_timeout(DELIVERY_MAX);
    if let Some(linger) = plan.linger {
        builder = builder.linger(linger);
    }
    Ok(builder.build().await?)
}

/// What one writer did so far.
struct Tally {
    sent: u64,
    errors: Errors,
    failures_in_a_row: u32,
}

impl Tally {
    const fn is_over(&self, limit: Limit) -> bool {
        self.sent >= limit.records || self.failures_in_a_row >= FAILURES_MAX
    }

    fn failed(&mut self, error: &SendError) {
        self.errors.sending(error);
        self.failures_in_a_row += 1;
    }

    const fn taken(&mut self) {
        self.sent += 1;
        self.failures_in_a_row = 0;
    }
}

impl Writer {
    async fn run(mut self, limit: Limit, started: Started) -> (Self, Outcome) {
        let (samples, collecting) = collect(started);
        let mut outcome = Outcome::new();
        let mut tally = Tally { sent: 0, errors: Errors::default(), failures_in_a_row: 0 };
        if self.one_at_a_time {
            self.one_by_one(limit, started, &mut tally, &mut outcome).await;
        } else if let Some(pace) = self.rate {
            (self, tally) = self.on_a_thread(limit, started, pace, &samples, tally).await;
        } else {
            self.as_fast_as_possible(limit, started, &samples, &mut tally).await;
        }
        drop(samples);
        let flushed = self.producer.flush().await;
        outcome.time = started.elapsed();
        if let Err(error) = &flushed {
            outcome.undelivered = error.records_failed;
            tally.errors.delivering(error);
        }
        outcome.records = tally.sent.saturating_sub(outcome.undelivered);
        outcome.bytes = outcome.records * self.record_bytes;
        outcome.errors = tally.errors;
        if let Ok(latencies) = collecting.await {
            outcome.latencies.add(&latencies);
        }
        (self, outcome)
    }

    /// Sends whenever there is room. Now and then a record is measured, and other tasks get their turn.
    async fn as_fast_as_possible(
        &mut self,
        limit: Limit,
        started: Started,
        samples: &Samples,
        tally: &mut Tally,
    ) {
        let stamps_from = self.stamps_from(started);
        let mut next_sample = 0;
        while !tally.is_over(limit) {
            if tally.sent < next_sample && self.send_many > 1 {
                self.send_many(next_sample.min(limit.records) - tally.sent, tally).await;
                continue;
            }
            if tally.sent < next_sample {
                match self.producer.send(self.source.record(Duration::ZERO)).await {
                    Ok(receipt) => {
                        drop(receipt);
                        tally.taken();
                    }
                    Err(error) => tally.failed(&error),
                }
                continue;
            }
            let since = started.elapsed();
            if since >= limit.time {
                break;
            }
            match self.producer.send(self.source.record(stamps_from + since)).await {
                Ok(receipt) => {
                    tally.taken();
                    drop(samples.send((since, receipt)).await);
                }
                Err(error) => tally.failed(&error),
            }
            // Not always the same place of a batch.
            next_sample = tally.sent + fastrand::u64(0..2 * self.sample_every);
            self.sent.fetch_add(next_sample - tally.sent + 1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    }

    /// Hands some records over in one call; at most `left`.
    async fn send_many(&mut self, left: u64, tally: &mut Tally) {
        let count = usize::try_from(left.min(self.send_many)).unwrap_or(usize::MAX);
        match self.producer.send_all(self.source.records(count)).await {
            Ok(receipts) => {
                tally.sent += receipts.records();
                tally.failures_in_a_row = 0;
            }
            // Those before the first that failed are counted as delivered by nobody.
            Err(error) => tally.failed(&error),
        }
    }

    /// Sends a record when the one before is acknowledged, and not before it is due.
    async fn one_by_one(
        &mut self,
        limit: Limit,
        started: Started,
        tally: &mut Tally,
        outcome: &mut Outcome,
    ) {
        let stamps_from = self.stamps_from(started);
        while !tally.is_over(limit) {
            let since = match self.rate {
                None => started.elapsed(),
                Some(pace) => {
                    let due = pace.due(tally.sent);
                    let early = due.saturating_sub(started.elapsed());
                    if !early.is_zero() {
                        tokio::time::sleep(early).await;
                    }
                    due
                }
            };
            if since >= limit.time {
                break;
            }
            let sent = self.producer.send(self.source.record(stamps_from + since)).await;
            let acknowledged = match sent {
                Ok(receipt) => receipt.await,
                Err(error) => {
                    tally.failed(&error);
                    continue;
                }
            };
            tally.taken();
            self.sent.fetch_add(1, Ordering::Relaxed);
            // A failed one is told by the flush at the end.
            if acknowledged.is_ok() {
                outcome.latencies.record(started.elapsed().saturating_sub(since));
                if let Some(arriving) = &mut self.arriving
                    && !arriving.next().await
                {
                    tally.errors.not_read(1);
                }
            }
        }
    }

    /// Sends each record when it is due, from a thread of its own: the runtime's timers are too coarse.
    async fn on_a_thread(
        mut self,
        limit: Limit,
        started: Started,
        pace: Pace,
        samples: &Samples,
        mut tally: Tally,
    ) -> (Self, Tally) {
        let samples = samples.clone();
        let runtime = Handle::current();
        let writing = tokio::task::spawn_blocking(move || {
            be_punctual();
            let stamps_from = self.stamps_from(started);
            while !tally.is_over(limit) {
                let due = pace.due(tally.sent);
                if due >= limit.time {
                    break;
                }
                wait_until(started, due);
                self.send_from_thread(&runtime, (due, stamps_from), &samples, &mut tally);
            }
            (self, tally)
        });
        match writing.await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends, and this task with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    fn send_from_thread(
        &mut self,
        runtime: &Handle,
        (due, stamps_from): (Duration, Duration),
        samples: &Samples,
        tally: &mut Tally,
    ) {
        let is_sample = tally.sent.is_multiple_of(self.sample_every);
        let stamp = if is_sample { stamps_from + due } else { Duration::ZERO };
        let record = self.source.record(stamp);
        let taken = match self.producer.try_send(&record) {
            Ok(Some(receipt)) => Ok(receipt),
            Ok(None) => runtime.block_on(self.producer.send(record)),
            Err(error) => Err(error),
        };
        match taken {
            Ok(receipt) => {
                tally.taken();
                self.sent.fetch_add(1, Ordering::Relaxed);
                if is_sample {
                    drop(samples.blocking_send((due, receipt)));
                }
            }
            Err(error) => tally.failed(&error),
        }
    }

    /// The moment in stamps at which this phase started.
    fn stamps_from(&self, started: Started) -> Duration {
        self.base.elapsed().saturating_sub(started.elapsed())
    }
}
