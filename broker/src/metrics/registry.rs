//! The series of one broker: made from what [`names`] declares, shown as the text that Prometheus reads, and
//! taken away when what they count is gone.
//!
//! Whoever makes series in unbounded number counts them; see [`super::topics`]. A metric's lock is held
//! while one of its series is made or taken away, and while the metric is shown; counting takes none.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{Counter, Gauge};

use super::histogram::Histogram;
use super::names::{self, Kind, Metric};
use super::text::{label_text, show_metric};

/// The content type of the text that [`super::Metrics::render`] makes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All series of one broker. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(super) struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    /// Every declared metric, by its name.
    families: BTreeMap<&'static str, Family>,
    collectors: Mutex<Vec<Collector>>,
}

type Collector = Arc<dyn Fn() + Send + Sync>;

/// One metric's series, by their labels as text.
struct Family {
    metric: &'static Metric,
    series: Mutex<BTreeMap<String, Number>>,
}

/// What one series shows.
#[derive(Clone, Debug)]
pub(super) enum Number {
    /// A whole number.
    Whole(Arc<AtomicU64>),
    /// The bits of a floating-point number.
    Real(Arc<AtomicU64>),
    /// Samples by size.
    Samples(Histogram),
}

impl Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Family {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Number>> {
        // Every change to the map is one call, so it is whole whoever panicked.
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    /// Every declared metric; none has a series.
    pub(super) fn new() -> Self {
        let family =
            |metric: &&'static Metric| (metric.name, Family { metric, series: Mutex::default() });
        let families = names::ALL.iter().map(family).collect();
        Self { shared: Arc::new(Shared { families, collectors: Mutex::default() }) }
    }

    /// Has `collect` called before each rendering, to set what is not counted as it happens.
    pub(super) fn before_render(&self, collect: impl Fn() + Send + Sync + 'static) {
        let collectors = &self.shared.collectors;
        collectors.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(collect));
    }

    /// The text that Prometheus reads; metrics and series in the order of their names.
    pub(super) fn render(&self) -> String {
        let collectors = &self.shared.collectors;
        let collectors = collectors.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Not under a lock: a collector may make new series.
        for collect in collectors {
            collect();
        }
        let mut text = String::new();
        for family in self.shared.families.values() {
            show_metric(&mut text, family.metric, &family.lock());
        }
        text
    }

    /// The series of `metric` with these label values, in the order of its labels.
    pub(super) fn counter(&self, metric: &'static Metric, labels: &[&str]) -> Counter {
        assert_eq!(metric.kind, Kind::Counter, "{}", metric.name);
        match self.number(metric, labels, || Number::Whole(Arc::default())) {
            Number::Whole(number) => Counter::from_arc(number),
            other => unreachable!("{} is {other:?}", metric.name),
        }
    }

    /// The same for a gauge.
    pub(super) fn gauge(&self, metric: &'static Metric, labels: &[&str]) -> Gauge {
        assert_eq!(metric.kind, Kind::Gauge, "{}", metric.name);
        self.real(metric, labels)
    }

    /// The same for a counter that somebody else counts, in fractions: it is set, and never goes back.
    pub(super) fn measured(&self, metric: &'static Metric) -> Gauge {
        assert_eq!(metric.kind, Kind::Counter, "{}", metric.name);
        self.real(metric, &[])
    }

    /// The same for a histogram.
    pub(super) fn histogram(&self, metric: &'static Metric, labels: &[&str]) -> Histogram {
        let Kind::Histogram(bounds) = metric.kind else {
            unreachable!("{} is no histogram", metric.name)
        };
        match self.number(metric, labels, || Number::Samples(Histogram::new(bounds))) {
            Number::Samples(histogram) => histogram,
            other => unreachable!("{} is {other:?}", metric.name),
        }
    }

    /// Takes a series away. Who still holds it counts for nobody.
    pub(super) fn remove(&self, metric: &'static Metric, labels: &[&str]) {
        self.family(metric).lock().remove(&label_text(metric, labels));
    }

    fn real(&self, metric: &'static Metric, labels: &[&str]) -> Gauge {
        match self.number(metric, labels, || Number::Real(Arc::default())) {
            Number::Real(bits) => Gauge::from_arc(bits),
            other => unreachable!("{} is {other:?}", metric.name),
        }
    }

    fn number(
        &self,
        metric: &'static Metric,
        labels: &[&str],
        new: impl FnOnce() -> Number,
    ) -> Number {
        let labels = label_text(metric, labels);
        self.family(metric).lock().entry(labels).or_insert_with(new).clone()
    }

    fn family(&self, metric: &'static Metric) -> &Family {
        let family = self.shared.families.get(metric.name);
        family.expect("every metric is in the list that declares it")
    }
}

/// A number as gauges hold it.
#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus' own numbers are floating-point: exact up to 2^53, which is 9 PB or 285 years of \
              offsets at a million a second"
)]
pub const fn amount(number: u64) -> f64 {
    number as f64
}
