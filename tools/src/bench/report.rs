//! What a run tells: one value, from which both the table and the JSON are made.

use std::collections::BTreeMap;

use serde::Serialize;

use super::chain::Verdict;
use super::latency::{Latencies, Percentiles};
use super::machine::{Control, Machine, Pauses};
use super::number::{GB, float, rate, rounded, share};
use super::phase::Phase;
use super::plan::{Plan, Settings, Workload};

/// One run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) workload: &'static str,
    pub(super) settings: Settings,
    /// Records acknowledged within the measured time; read, when there are only readers.
    pub(super) records: u64,
    pub(super) seconds: f64,
    pub(super) records_per_second: f64,
    /// Of values alone.
    pub(super) bytes_per_second: f64,
    /// What readers beside the writers got.
    pub(super) read_records_per_second: Option<f64>,
    /// The latency that the workload is about; the two below tell which.
    pub(super) latency_us: Option<Percentiles>,
    pub(super) latency_of: &'static str,
    /// With writers: until the acknowledgement.
    pub(super) acknowledged_us: Option<Percentiles>,
    /// With writers and readers: until a reader had it.
    pub(super) arrived_us: Option<Percentiles>,
    pub(super) errors: u64,
    pub(super) errors_by_code: BTreeMap<String, u64>,
    /// One of the errors in words.
    pub(super) first_error: Option<String>,
    /// None when the broker's CPU time is not known.
    pub(super) broker_cpu_seconds_per_gb: Option<f64>,
    pub(super) client_cpu_seconds_per_gb: Option<f64>,
    /// CPU time of the broker for one record, in microseconds.
    pub(super) broker_cpu_us_per_record: Option<f64>,
    /// Groups of logs that the broker brought to stable storage; none when that is not known.
    pub(super) flushes: Option<f64>,
    pub(super) bytes_per_flush: Option<f64>,
    pub(super) logs_per_flush: Option<f64>,
    pub(super) machine: Machine,
    /// What this run reached of what the control reached; none when that would say nothing.
    pub(super) share_of_machine: Option<f64>,
    /// Why there is no share.
    pub(super) void: Option<String>,
    pub(super) control: Option<Control>,
    /// The same of the bare loop into new memory, which a log always writes to: what is missing here is the broker's doing.
    pub(super) share_of_fresh: Option<f64>,
    /// Why there is no such share.
    pub(super) fresh_void: Option<String>,
    pub(super) fresh: Option<Control>,
    /// With a rate: what the cores alone let any record wait, to be held against the latency.
    pub(super) pauses_us: Option<Pauses>,
    /// Why there is nothing of that, or nothing that it says.
    pub(super) pauses_void: Option<String>,
    /// What the chains of hashes proved; none when that was not asked for.
    pub(super) verified: Option<Verdict>,
    /// Whether that is good.
    pub(super) is_intact: Option<bool>,
}

/// Everything that a report is made of.
pub(super) struct Measured<'a> {
    pub(super) plan: &'a Plan,
    pub(super) phase: Phase,
    pub(super) machine: Machine,
}

/// What the machine reached, or why it was not measured.
pub(super) struct Controls {
    pub(super) control: Result<Control, String>,
    /// With new memory.
    pub(super) fresh: Result<Control, String>,
    /// Of the cores.
    pub(super) pauses: Result<Pauses, String>,
}

impl Controls {
    /// None, and why.
    pub(super) fn none(reason: &str) -> Self {
        let reason = reason.to_owned();
        Self { control: Err(reason.clone()), fresh: Err(reason.clone()), pauses: Err(reason) }
    }
}

/// What a run reached, as a control is compared with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    pub(super) bytes_per_second: f64,
    pub(super) p50_us: Option<f64>,
}

impl Measured<'_> {
    /// Bytes of values that were written, or read.
    pub(super) const fn bytes(&self) -> u64 {
        self.phase.outcome.bytes
    }

    /// Bytes that one flush brought to stable storage.
    pub(super) fn bytes_per_flush(&self) -> Option<f64> {
        let flushes = self.phase.broker.flushes.filter(|flushes| *flushes > 0.0);
        flushes.map(|flushes| float(self.bytes()) / flushes)
    }

    /// The report, with the controls' word on it.
    pub(super) fn report(self, controls: Controls) -> Report {
        let Controls { control, fresh, pauses } = controls;
        let bytes_per_flush = self.bytes_per_flush();
        let Self { plan, phase, machine } = self;
        let Phase { outcome, broker, .. } = phase;
        let per_gb = |seconds: f64| rounded(share(seconds, float(outcome.bytes) / GB), 3);
        let per_record = |seconds: f64| rounded(share(seconds * 1e6, float(outcome.records)), 3);
        let waited = outcome.latencies.percentiles();
        let arrived_us = phase.arrivals.as_ref().and_then(Latencies::percentiles);
        // End to end is what that workload is about; beside writers at full speed it is their backlog.
        let is_end_to_end = plan.workload == Workload::EndToEnd;
        let latency_us = if is_end_to_end { arrived_us } else { waited };
        let bytes_per_second = rate(outcome.bytes, outcome.time);
        let reached = Reached { bytes_per_second, p50_us: latency_us.map(|latency| latency.p50) };
        let share_of = |control: &Result<Control, String>| match control {
            Ok(control) => control.share(reached),
            Err(reason) => Err(reason.clone()),
        };
        let (share_of_machine, share_of_fresh) = (share_of(&control), share_of(&fresh));
        let logs = broker.flushed_logs.zip(broker.flushes);
        Report {
            workload: plan.workload.name(),
            settings: Settings::from(plan),
            records: outcome.records,
            seconds: rounded(outcome.time.as_secs_f64(), 3),
            records_per_second: rounded(rate(outcome.records, outcome.time), 1),
            bytes_per_second: rounded(bytes_per_second, 0),
            read_records_per_second: phase.read.map(|(read, time)| rounded(rate(read, time), 1)),
            latency_us,
            latency_of: if is_end_to_end {
                "from sending a record until its reader has it"
            } else {
                phase.latency_of
            },
            acknowledged_us: waited.filter(|_| plan.workload != Workload::Consume),
            arrived_us,
            errors: outcome.errors.total(),
            errors_by_code: outcome.errors.by_code().clone(),
            first_error: outcome.errors.sample().map(str::to_owned),
            broker_cpu_seconds_per_gb: broker.cpu_seconds.map(per_gb),
            client_cpu_seconds_per_gb: phase.client_cpu_seconds.map(per_gb),
            broker_cpu_us_per_record: broker.cpu_seconds.map(per_record),
            flushes: broker.flushes,
            bytes_per_flush: bytes_per_flush.map(|bytes| rounded(bytes, 0)),
            logs_per_flush: logs.map(|(logs, flushes)| rounded(share(logs, flushes), 1)),
            machine,
            void: share_of_machine.as_ref().err().cloned(),
            share_of_machine: share_of_machine.ok(),
            control: control.ok(),
            fresh_void: share_of_fresh.as_ref().err().cloned(),
            share_of_fresh: share_of_fresh.ok(),
            fresh: fresh.ok(),
            pauses_void: pauses.as_ref().map_or_else(|why| Some(why.clone()), Pauses::void),
            pauses_us: pauses.ok(),
            verified: phase.verdict.map(|(verdict, _)| verdict),
            is_intact: phase.verdict.map(|(_, is_good)| is_good),
        }
    }
}
