//! Samples counted by size, in place: a sample costs two additions, no lock and no memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts samples by size. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Histogram {
    shared: Arc<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    /// Rising; a sample as large as a bound lies below it.
    bounds: &'static [u64],
    /// One for each bound, and one for what is above all.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What was counted until a moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Counted {
    /// Each bound with the samples up to it.
    pub(super) up_to: Vec<(u64, u64)>,
    /// All samples.
    pub(super) count: u64,
    /// Their sum; samples that arrive meanwhile may be in it already.
    pub(super) sum: u64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { shared: Arc::new(Buckets { bounds, counts, sum: AtomicU64::new(0) }) }
    }

    /// Counts one sample.
    pub fn record(&self, sample: u64) {
        let Buckets { bounds, counts, sum } = &*self.shared;
        let place = bounds.partition_point(|bound| *bound < sample);
        if let Some(count) = counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        sum.fetch_add(sample, Ordering::Relaxed);
    }

    /// Counts one sample of a time, in nanoseconds: their sum is exact for 584 years.
    pub fn record_time(&self, took: Duration) {
        self.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn counted(&self) -> Counted {
        let Buckets { bounds, counts, sum } = &*self.shared;
        let mut count = 0;
        let mut up_to = Vec::with_capacity(counts.len());
        for (place, bucket) in counts.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            up_to.extend(bounds.get(place).map(|bound| (*bound, count)));
        }
        Counted { up_to, count, sum: sum.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_as_large_as_a_bound_lies_below_it() {
        let histogram = Histogram::new(&[10, 20]);
        for sample in [0, 10, 11, 20, 21, 1_000] {
            histogram.record(sample);
        }
        let expected = Counted { up_to: vec![(10, 2), (20, 4)], count: 6, sum: 1_062 };
        assert_eq!(histogram.counted(), expected);
    }

    #[test]
    fn threads_that_count_at_once_lose_no_sample() {
        let histogram = Histogram::new(&[1, 2]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|sample| histogram.record(sample % 4)));
            }
        });
        let expected =
            Counted { up_to: vec![(1, 20_000), (2, 30_000)], count: 40_000, sum: 60_000 };
        assert_eq!(histogram.counted(), expected);
    }
}
