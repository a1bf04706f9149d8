//! What a run tells: one value, from which both the table and the JSON are made.

use std::collections::BTreeMap;

use serde::Serialize;

use super::latency::Percentiles;
use super::machine::{Control, Machine};
use super::number::{GB, float, length, rate, rounded, share};
use super::outcome::Outcome;
use super::plan::{Plan, Settings};
use super::target::Used;

/// One run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) workload: &'static str,
    pub(super) settings: Settings,
    /// Records acknowledged, or read, within the measured time.
    pub(super) records: u64,
    pub(super) seconds: f64,
    pub(super) records_per_second: f64,
    /// Of values alone.
    pub(super) bytes_per_second: f64,
    pub(super) latency_us: Option<Percentiles>,
    pub(super) latency_of: &'static str,
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
}

/// Everything that a report is made of.
pub(super) struct Measured<'a> {
    pub(super) plan: &'a Plan,
    pub(super) outcome: Outcome,
    pub(super) latency_of: &'static str,
    pub(super) broker: Used,
    pub(super) client_cpu_seconds: Option<f64>,
    pub(super) machine: Machine,
}

impl Measured<'_> {
    /// Bytes of values that were written or read.
    pub(super) fn bytes(&self) -> f64 {
        float(self.outcome.records) * length(self.plan.record_bytes)
    }

    /// Bytes that one flush brought to stable storage.
    pub(super) fn bytes_per_flush(&self) -> Option<f64> {
        self.broker.flushes.filter(|flushes| *flushes > 0.0).map(|flushes| self.bytes() / flushes)
    }

    /// The report, with the control's word on it.
    pub(super) fn report(self, control: Result<Control, String>) -> Report {
        let bytes = self.bytes();
        let bytes_per_flush = self.bytes_per_flush();
        let per_gb = |seconds: f64| rounded(share(seconds, bytes / GB), 3);
        let Outcome { records, time, latencies, errors } = self.outcome;
        let percentiles = latencies.percentiles();
        let seconds = time.as_secs_f64();
        let reached = Reached {
            records_per_second: rate(records, time),
            p50_us: percentiles.map(|percentiles| percentiles.p50),
        };
        let share_of_machine = match &control {
            Ok(control) => control.share(reached),
            Err(reason) => Err(reason.clone()),
        };
        Report {
            workload: self.plan.workload.name(),
            settings: Settings::from(self.plan),
            records,
            seconds: rounded(seconds, 3),
            records_per_second: rounded(reached.records_per_second, 1),
            bytes_per_second: rounded(share(bytes, seconds), 0),
            latency_us: percentiles,
            latency_of: self.latency_of,
            errors: errors.total(),
            errors_by_code: errors.by_code().clone(),
            first_error: errors.sample().map(str::to_owned),
            broker_cpu_seconds_per_gb: self.broker.cpu_seconds.map(per_gb),
            client_cpu_seconds_per_gb: self.client_cpu_seconds.map(per_gb),
            broker_cpu_us_per_record: self
                .broker
                .cpu_seconds
                .map(|seconds| rounded(share(seconds * 1e6, float(records)), 3)),
            flushes: self.broker.flushes,
            logs_per_flush: self
                .broker
                .flushed_logs
                .zip(self.broker.flushes)
                .map(|(logs, flushes)| rounded(share(logs, flushes), 1)),
            bytes_per_flush: bytes_per_flush.map(|bytes| rounded(bytes, 0)),
            machine: self.machine,
            void: share_of_machine.as_ref().err().cloned(),
            share_of_machine: share_of_machine.ok(),
            control: control.ok(),
        }
    }
}

/// What a run reached, as a control is compared with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    pub(super) records_per_second: f64,
    pub(super) p50_us: Option<f64>,
}
