//! The series of one broker: found or made by metric and label values, and taken away with their owner.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::names::{Kind, Metric};
use super::series::{Counter, Gauge, Histogram};

/// All series of one broker. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Registry {
    families: Arc<Mutex<Families>>,
    collectors: Arc<Mutex<Vec<Collector>>>,
}

type Families = BTreeMap<&'static str, Family>;
type Collector = Arc<dyn Fn() + Send + Sync>;

/// One metric with its series by label values.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) metric: &'static Metric,
    pub(super) series: BTreeMap<Vec<String>, Series>,
}

/// One series, and how many [`Scope`]s hold it.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) value: Value,
    holders: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let series: usize = self.lock().values().map(|family| family.series.len()).sum();
        write!(f, "Registry {{ series: {series} }}")
    }
}

impl Registry {
    /// Without a series.
    pub fn new() -> Self {
        Self::default()
    }

    /// Series that end when the scope is dropped: those of a topic, for example.
    pub fn scope(&self) -> Scope {
        Scope { registry: self.clone(), held: Vec::new() }
    }

    /// Has `collect` called before each rendering, to set what is not counted as it happens.
    pub fn before_render(&self, collect: impl Fn() + Send + Sync + 'static) {
        let mut collectors = self.collectors.lock().unwrap_or_else(PoisonError::into_inner);
        collectors.push(Arc::new(collect));
    }

    /// The text that Prometheus reads, in the order of the names.
    pub fn render(&self) -> String {
        let collectors = self.collectors.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Not under a lock: a collector may resolve new series.
        for collect in collectors {
            collect();
        }
        super::render::text(self.lock().values())
    }

    /// The series of `metric` with these label values, in the order of its labels; it stays for good.
    pub fn counter(&self, metric: &'static Metric, labels: &[&str]) -> Counter {
        match self.resolve(metric, labels) {
            Value::Counter(counter) => counter,
            other => unreachable!("{} is no counter: {other:?}", metric.name),
        }
    }

    /// The same for a gauge.
    pub fn gauge(&self, metric: &'static Metric, labels: &[&str]) -> Gauge {
        match self.resolve(metric, labels) {
            Value::Gauge(gauge) => gauge,
            other => unreachable!("{} is no gauge: {other:?}", metric.name),
        }
    }

    /// The same for a histogram.
    pub fn histogram(&self, metric: &'static Metric, labels: &[&str]) -> Histogram {
        match self.resolve(metric, labels) {
            Value::Histogram(histogram) => histogram,
            other => unreachable!("{} is no histogram: {other:?}", metric.name),
        }
    }

    fn resolve(&self, metric: &'static Metric, labels: &[&str]) -> Value {
        assert_eq!(metric.labels.len(), labels.len(), "{} has other labels", metric.name);
        let mut families = self.lock();
        let family = families
            .entry(metric.name)
            .or_insert_with(|| Family { metric, series: BTreeMap::new() });
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        let series = family.series.entry(labels).or_insert_with(|| Series {
            value: match metric.kind {
                Kind::Counter => Value::Counter(Counter::default()),
                Kind::Gauge => Value::Gauge(Gauge::default()),
                Kind::Histogram(bounds) => Value::Histogram(Histogram::new(bounds)),
            },
            holders: 0,
        });
        series.holders += 1;
        series.value.clone()
    }

    fn release(&self, held: &[(&'static str, Vec<String>)]) {
        let mut families = self.lock();
        for (name, labels) in held {
            let Some(family) = families.get_mut(name) else { continue };
            let Some(series) = family.series.get_mut(labels) else { continue };
            series.holders = series.holders.saturating_sub(1);
            if series.holders == 0 {
                family.series.remove(labels);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Families> {
        // The map is whole whoever panicked: every change to it is one call.
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves series that end with it, unless another scope holds them too.
#[derive(Debug)]
pub struct Scope {
    registry: Registry,
    held: Vec<(&'static str, Vec<String>)>,
}

impl Scope {
    /// As [`Registry::counter`].
    pub fn counter(&mut self, metric: &'static Metric, labels: &[&str]) -> Counter {
        self.hold(metric, labels);
        self.registry.counter(metric, labels)
    }

    /// As [`Registry::gauge`].
    pub fn gauge(&mut self, metric: &'static Metric, labels: &[&str]) -> Gauge {
        self.hold(metric, labels);
        self.registry.gauge(metric, labels)
    }

    fn hold(&mut self, metric: &'static Metric, labels: &[&str]) {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.held.push((metric.name, labels));
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.registry.release(&self.held);
    }
}
