//! One measured number, with what it is about.

use serde::Serialize;

use super::super::latency::Latencies;
use super::super::number::rounded;
use crate::values::grouped;

/// One figure.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    pub(super) what: String,
    pub(super) value: f64,
    pub(super) unit: &'static str,
    /// It shall be at most so much.
    pub(super) aim: Option<f64>,
}

impl Figure {
    /// A figure without an aim.
    pub(super) fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value: rounded(value, 3), unit, aim: None }
    }

    /// The most that it shall be.
    pub(super) const fn at_most(mut self, aim: f64) -> Self {
        self.aim = Some(aim);
        self
    }

    /// Half, 99 % and all of what was measured lie below these.
    pub(super) fn latencies(what: &str, latencies: &Latencies) -> Vec<Self> {
        let told = latencies.percentiles();
        let named = |name, value| Self::new(format!("{what}, {name}"), value, "µs");
        told.map(|it| vec![named("p50", it.p50), named("p99", it.p99), named("longest", it.max)])
            .unwrap_or_default()
    }

    /// The value for people.
    pub(super) fn shown(&self) -> String {
        if self.value.abs() >= 1_000.0 {
            grouped(format!("{:.0}", self.value).parse::<i64>().unwrap_or(i64::MAX))
        } else {
            format!("{}", self.value)
        }
    }
}
