//! The measured part of each workload: what comes before it, what is read off before and after, what is proved at last.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use thalweg_broker::base::own_cpu;
use thalweg_client::{Offset, OffsetQuery};

use super::chain::{Link, Verdict};
use super::latency::Latencies;
use super::number::wide;
use super::outcome::Outcome;
use super::payload::Payload;
use super::plan::{Limit, Plan, Workload};
use super::progress::Progress;
use super::read::{Pass, Seen, Start, read_once};
use super::target::{Reading, Target, Used};
use super::together::Together;
use super::write::Writers;
use crate::clock::Started;
use crate::failure::Failure;

/// Without a number of records, readers get so many bytes to read: they stay in memory, and within what the kernel
/// leaves unwritten.
const PRELOAD_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Nor do they get more than they could read within the time: so many bytes a millisecond.
const READ_BYTES_PER_MS: u64 = 4_000_000;

/// A part of a run that is not to be measured has no limit of its own.
const NO_LIMIT: Limit = Limit { records: u64::MAX, time: Duration::from_hours(24) };

/// What was measured.
pub(super) struct Phase {
    /// Of the writers; of the readers when there is nobody else.
    pub(super) outcome: Outcome,
    pub(super) latency_of: &'static str,
    /// Of the readers beside writers: records and time.
    pub(super) read: Option<(u64, Duration)>,
    /// From a stamp to a reader.
    pub(super) arrivals: Option<Latencies>,
    pub(super) broker: Used,
    pub(super) client_cpu_seconds: Option<f64>,
    /// What the chains proved, and whether that is good.
    pub(super) verdict: Option<(Verdict, bool)>,
}

/// Everything that a phase needs.
pub(super) struct Stage<'a> {
    pub(super) target: &'a mut Target,
    pub(super) plan: &'a mut Plan,
    pub(super) payload: &'a Payload,
    pub(super) progress: &'a Progress,
}

/// CPU times and counters at one moment.
struct Moment {
    broker: Reading,
    client_cpu: Option<Duration>,
}

impl Stage<'_> {
    /// Makes the topic, measures, proves if asked to, and takes the topic away.
    pub(super) async fn measure(self) -> Result<Phase, Failure> {
        let made_topic = self.target.make_topic(self.plan).await?;
        let phase = match self.plan.workload {
            Workload::Produce => self.produce().await?,
            Workload::Consume => self.consume(made_topic).await?,
            Workload::EndToEnd | Workload::Mixed => self.together().await?,
        };
        self.target.remove_topic(self.plan).await?;
        Ok(phase)
    }

    async fn produce(&self) -> Result<Phase, Failure> {
        let start = Start::Offsets(self.ends().await?);
        let base = Started::now();
        let mut writers = Writers::new(self.plan, self.target, self.payload, None, base).await?;
        let warming = self.progress.count("warming up", writers.sent());
        let mut undelivered = writers.run(self.plan.warm_up).await?.undelivered;
        drop(warming);
        let before = self.moment().await?;
        let counting = self.progress.count("writing", writers.sent());
        let outcome = writers.run(self.plan.limit).await?;
        drop(counting);
        let mut phase = before.phase(self, outcome).await?;
        phase.latency_of = "from sending a record to its acknowledgement";
        undelivered += phase.outcome.undelivered;
        phase.verdict = self.prove(start, writers.ends(), undelivered).await?;
        Ok(phase)
    }

    async fn consume(&self, made_topic: bool) -> Result<Phase, Failure> {
        let ends = if made_topic { self.preload().await? } else { Vec::new() };
        let counted = Arc::new(AtomicU64::new(0));
        let pass = |limit| Pass {
            start: Start::Beginning,
            limit,
            checks: false,
            counted: Arc::clone(&counted),
        };
        let warming = self.progress.count("warming up", Arc::clone(&counted));
        read_once(self.plan, self.target, &pass(self.plan.warm_up)).await?;
        drop(warming);
        let before = self.moment().await?;
        let counting = self.progress.count("reading", Arc::clone(&counted));
        let seen = self.read_again_and_again(pass).await?;
        drop(counting);
        let outcome = Outcome {
            records: seen.records,
            bytes: seen.bytes,
            undelivered: 0,
            time: seen.time,
            latencies: seen.waits,
            errors: seen.errors,
        };
        let mut phase = before.phase(self, outcome).await?;
        phase.latency_of = "waiting for the next batch";
        phase.verdict = self.prove(Start::Beginning, ends, 0).await?;
        Ok(phase)
    }

    /// Reads from the beginning as often as there is time for.
    async fn read_again_and_again(&self, pass: impl Fn(Limit) -> Pass) -> Result<Seen, Failure> {
        let started = Started::now();
        let mut all = Seen::new();
        loop {
            let limit = Limit {
                records: self.plan.limit.records.saturating_sub(all.records),
                time: self.plan.limit.time.saturating_sub(started.elapsed()),
            };
            let seen = read_once(self.plan, self.target, &pass(limit)).await?;
            let is_empty = seen.records == 0;
            all.add(seen);
            all.time = started.elapsed();
            // A number of records is what is there, unless the topic was there before.
            if is_empty || self.plan.limit.records != u64::MAX || all.time >= self.plan.limit.time {
                return Ok(all);
            }
        }
    }

    /// Writes what is to be read.
    async fn preload(&self) -> Result<Vec<(u32, i32, Link)>, Failure> {
        let plan = Plan { rate: None, one_at_a_time: false, ..self.plan.clone() };
        let records = match plan.limit.records {
            u64::MAX => {
                let ms = u64::try_from(plan.limit.time.as_millis()).unwrap_or(u64::MAX);
                let bytes = PRELOAD_BYTES.min(ms.saturating_mul(READ_BYTES_PER_MS));
                (bytes / wide(plan.record_bytes)).max(1)
            }
            records => records,
        };
        let mut writers =
            Writers::new(&plan, self.target, self.payload, None, Started::now()).await?;
        let counting = self.progress.count("writing what is to be read", writers.sent());
        let outcome = writers.run(Limit { records, ..NO_LIMIT }).await?;
        drop(counting);
        match outcome.errors.sample() {
            None => Ok(writers.ends()),
            Some(error) => Err(Failure::failed(format!(
                "{} of {records} records could not be written for the readers; first: {error}",
                outcome.errors.total()
            ))),
        }
    }

    async fn together(&self) -> Result<Phase, Failure> {
        let start = Start::Offsets(self.ends().await?);
        let mut both = Together::new(self.plan, self.target, self.payload, &start).await?;
        let warming = self.progress.count("warming up", both.writers.sent());
        let mut undelivered = both.run(self.plan.warm_up).await?.0.undelivered;
        drop(warming);
        let before = self.moment().await?;
        let counting = self.progress.count("writing and reading", both.writers.sent());
        let (mut outcome, seen) = both.run(self.plan.limit).await?;
        drop(counting);
        outcome.errors.add(seen.errors);
        let mut phase = before.phase(self, outcome).await?;
        phase.latency_of = "from sending a record to its acknowledgement";
        phase.read = Some((seen.records, seen.time));
        phase.arrivals = Some(seen.arrivals);
        undelivered += phase.outcome.undelivered;
        phase.verdict = self.prove(start, both.writers.ends(), undelivered).await?;
        Ok(phase)
    }

    /// Where the logs end now, by partition.
    async fn ends(&self) -> Result<Arc<[Offset]>, Failure> {
        let admin = self.target.client()?.admin();
        let mut ends = admin.list_offsets(&self.plan.topic, OffsetQuery::Latest).await?;
        ends.sort_by_key(|listed| listed.partition);
        Ok(ends.iter().map(|listed| listed.offset).collect())
    }

    /// Reads everything once more and follows the chains, up to where their writers say that they end.
    async fn prove(
        &self,
        start: Start,
        ends: Vec<(u32, i32, Link)>,
        undelivered: u64,
    ) -> Result<Option<(Verdict, bool)>, Failure> {
        if !self.plan.verify {
            return Ok(None);
        }
        let counted = Arc::new(AtomicU64::new(0));
        let counting = self.progress.count("verifying", Arc::clone(&counted));
        let pass = Pass { start, limit: NO_LIMIT, checks: true, counted };
        let seen = read_once(self.plan, self.target, &pass).await?;
        drop(counting);
        if let Some(error) = seen.errors.sample() {
            return Err(Failure::failed(format!("the records cannot be verified: {error}")));
        }
        let verdict = seen.checker.verdict_against(ends);
        Ok(Some((verdict, verdict.is_good(undelivered))))
    }

    async fn moment(&self) -> Result<Moment, Failure> {
        Ok(Moment { broker: self.target.read().await?, client_cpu: own_cpu() })
    }
}

impl Moment {
    /// What was measured since.
    async fn phase(self, stage: &Stage<'_>, outcome: Outcome) -> Result<Phase, Failure> {
        let now = stage.moment().await?;
        let client_cpu = now.client_cpu.zip(self.client_cpu);
        let spent = client_cpu.map(|(now, then)| now.saturating_sub(then).as_secs_f64());
        Ok(Phase {
            outcome,
            latency_of: "",
            read: None,
            arrivals: None,
            broker: now.broker.since(self.broker),
            client_cpu_seconds: spent,
            verdict: None,
        })
    }
}
