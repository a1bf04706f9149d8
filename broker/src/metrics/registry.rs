//! One recorder of the metrics library for each broker: makes series from what [`names`] declares, and shows them.
//!
//! A series stays until the broker ends: the library takes none away. Whoever makes series in unbounded
//! number therefore counts them; see [`super::topics`].

use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use super::names::{self, Kind, Metric, Unit};

/// The content type of the text that [`super::Metrics::render`] makes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The library wants to know where a metric comes from, and the exporter shows nothing of it.
const METADATA: Metadata<'static> = Metadata::new("thalweg", Level::INFO, None);

/// All series of one broker. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(super) struct Registry {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    collectors: Arc<Mutex<Vec<Collector>>>,
}

type Collector = Arc<dyn Fn() + Send + Sync>;

impl Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// Every declared metric is described; none has a series.
    pub(super) fn new() -> Self {
        let mut builder = PrometheusBuilder::new();
        for metric in names::ALL {
            if let Kind::Histogram(bounds) = metric.kind {
                let this = Matcher::Full(metric.name.to_owned());
                let set = builder.set_buckets_for_metric(this, bounds);
                builder = set.expect("every histogram is declared with bounds");
            }
        }
        let recorder = builder.build_recorder();
        for metric in names::ALL {
            describe(&recorder, metric);
        }
        let handle = recorder.handle();
        Self { recorder: Arc::new(recorder), handle, collectors: Arc::default() }
    }

    /// Has `collect` called before each rendering, to set what is not counted as it happens.
    pub(super) fn before_render(&self, collect: impl Fn() + Send + Sync + 'static) {
        let mut collectors = self.collectors.lock().unwrap_or_else(PoisonError::into_inner);
        collectors.push(Arc::new(collect));
    }

    /// The text that Prometheus reads; the metrics come in no order.
    pub(super) fn render(&self) -> String {
        let collectors = self.collectors.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Not under a lock: a collector may make new series.
        for collect in collectors {
            collect();
        }
        self.handle.render()
    }

    /// Counts the samples that have come since into their buckets, which frees their memory.
    pub(super) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// The series of `metric` with these label values, in the order of its labels.
    pub(super) fn counter(&self, metric: &'static Metric, labels: &[&str]) -> Counter {
        assert_eq!(metric.kind, Kind::Counter, "{}", metric.name);
        self.recorder.register_counter(&key(metric, labels), &METADATA)
    }

    /// The same for a gauge.
    pub(super) fn gauge(&self, metric: &'static Metric, labels: &[&str]) -> Gauge {
        assert_eq!(metric.kind, Kind::Gauge, "{}", metric.name);
        self.recorder.register_gauge(&key(metric, labels), &METADATA)
    }

    /// The same for a histogram.
    pub(super) fn histogram(&self, metric: &'static Metric, labels: &[&str]) -> Histogram {
        assert!(matches!(metric.kind, Kind::Histogram(_)), "{}", metric.name);
        self.recorder.register_histogram(&key(metric, labels), &METADATA)
    }
}

fn key(metric: &'static Metric, values: &[&str]) -> Key {
    assert_eq!(metric.labels.len(), values.len(), "{} has other labels", metric.name);
    let label = |(name, value): (&&'static str, &&str)| Label::new(*name, (*value).to_owned());
    Key::from_parts(metric.name, metric.labels.iter().zip(values).map(label).collect::<Vec<_>>())
}

fn describe(recorder: &PrometheusRecorder, metric: &'static Metric) {
    let unit = match metric.unit {
        Unit::Count => metrics::Unit::Count,
        Unit::Bytes => metrics::Unit::Bytes,
        Unit::Seconds => metrics::Unit::Seconds,
    };
    let (name, unit, help) = (metric.name.into(), Some(unit), metric.help.into());
    match metric.kind {
        Kind::Counter => recorder.describe_counter(name, unit, help),
        Kind::Gauge => recorder.describe_gauge(name, unit, help),
        Kind::Histogram(_) => recorder.describe_histogram(name, unit, help),
    }
}

/// A number as gauges and histograms hold it.
#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus' own numbers are floating-point: exact up to 2^53, which is 9 PB or 285 years of \
              offsets at a million a second"
)]
pub const fn amount(number: u64) -> f64 {
    number as f64
}
