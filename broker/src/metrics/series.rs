//! The three things that count: each one atomic number, or a few, shared by its clones.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

// Nothing is ordered by these numbers, so every access is relaxed.
const ORDER: Ordering = Ordering::Relaxed;

/// A number that only grows. The default one counts for nobody.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.0.fetch_add(1, ORDER);
    }

    /// `count` more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, ORDER);
    }

    /// Takes over a count that somebody else keeps; it never goes back.
    pub fn raise_to(&self, count: u64) {
        self.0.fetch_max(count, ORDER);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(ORDER)
    }
}

/// A number that goes up and down. The default one counts for nobody.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, number: i64) {
        self.0.store(number, ORDER);
    }

    /// Sets it to a number that cannot be negative; the largest one stays.
    pub fn set_size(&self, number: u64) {
        self.set(i64::try_from(number).unwrap_or(i64::MAX));
    }

    /// Sets a metric in seconds.
    pub fn set_duration(&self, duration: Duration) {
        self.set(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX));
    }

    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// One less.
    pub fn decrement(&self) {
        self.add(-1);
    }

    /// `change` more, or less when negative.
    pub fn add(&self, change: i64) {
        self.0.fetch_add(change, ORDER);
    }

    /// The number.
    pub fn get(&self) -> i64 {
        self.0.load(ORDER)
    }
}

/// Samples counted by size into fixed buckets.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    bounds: &'static [u64],
    /// One per bound, and one for what is larger than all of them.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

impl Histogram {
    /// Buckets up to and including each of `bounds`.
    pub(super) fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Buckets { bounds, counts, sum: AtomicU64::new(0) }))
    }

    /// Counts a time, in a metric in seconds.
    pub fn record(&self, duration: Duration) {
        self.record_count(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Counts a number of things or bytes.
    pub fn record_count(&self, sample: u64) {
        let bucket = self.0.bounds.partition_point(|bound| *bound < sample);
        if let Some(count) = self.0.counts.get(bucket) {
            count.fetch_add(1, ORDER);
        }
        self.0.sum.fetch_add(sample, ORDER);
    }

    /// How many samples there were.
    pub fn count(&self) -> u64 {
        self.0.counts.iter().map(|count| count.load(ORDER)).sum()
    }

    /// The sum of the samples, in the unit's own numbers.
    pub(super) fn sum(&self) -> u64 {
        self.0.sum.load(ORDER)
    }

    /// Each bound with the number of samples up to it; the last one, `None`, is all of them.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        let bounds = self.0.bounds.iter().copied().map(Some).chain([None]);
        bounds.zip(&self.0.counts).scan(0, |below, (bound, count)| {
            *below += count.load(ORDER);
            Some((bound, *below))
        })
    }
}
