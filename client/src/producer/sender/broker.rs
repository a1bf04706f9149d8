//! One broker as the sender sees it: what is in flight to it, and who has something for it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::Instant;
use crate::retry::Backoff;

/// Between two requests: timers are not exact enough for less, and after an outage answers that came late say nothing.
const DISTANCE: std::ops::RangeInclusive<Duration> =
    Duration::from_micros(500)..=Duration::from_millis(5);

/// One broker as the sender sees it.
pub(super) struct Broker {
    pub(super) requests_in_flight: usize,
    pub(super) bytes_in_flight: usize,
    /// How long a request takes, as a running mean.
    pub(super) latency: Duration,
    pub(super) last_request: Option<Instant>,
    pub(super) connecting: bool,
    pub(super) backoff: Backoff,
    pub(super) retry_at: Option<Instant>,
    /// Partitions that may have something for it.
    pub(super) ready: BTreeSet<usize>,
    /// Behind which of them the next look begins, where not all of them can be served at once.
    pub(super) served: usize,
    /// Partitions whose open batch may grow, and until when.
    pub(super) lingering: BTreeSet<(Instant, usize)>,
}

impl Broker {
    pub(super) const fn new(backoff: Backoff) -> Self {
        Self {
            requests_in_flight: 0,
            bytes_in_flight: 0,
            latency: Duration::ZERO,
            last_request: None,
            connecting: false,
            backoff,
            retry_at: None,
            ready: BTreeSet::new(),
            served: 0,
            lingering: BTreeSet::new(),
        }
    }

    /// A request was answered after `latency`; the mean follows slowly.
    pub(super) fn answered(&mut self, latency: Duration) {
        self.latency = (self.latency * 7 + latency) / 8;
    }

    /// Those whose batches have lingered until `now` are looked at again; without a time all are.
    pub(super) fn rouse(&mut self, now: Option<Instant>) {
        let later = match now {
            Some(now) => self.lingering.split_off(&(now, usize::MAX)),
            None => BTreeSet::new(),
        };
        let over = std::mem::replace(&mut self.lingering, later);
        self.ready.extend(over.into_iter().map(|(_, index)| index));
    }

    /// When the next request may go.
    ///
    /// While few are in flight that is at once. Else they keep a distance at which as many as may be in flight spread over
    /// the time that one takes: where each takes long, as with a thousand logs to sync, they would all be gone with a batch
    /// each after a moment, and what comes next would wait for their answers, and then for its own.
    pub(super) fn paced(&self, requests_max: usize) -> Option<Instant> {
        let distance = self.latency / u32::try_from(requests_max).unwrap_or(u32::MAX);
        if self.requests_in_flight < (requests_max / 4).max(1) || distance < *DISTANCE.start() {
            return None;
        }
        Some(self.last_request? + distance.min(*DISTANCE.end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    const MS: Duration = Duration::from_millis(1);

    fn broker() -> Broker {
        Broker::new(Backoff::new(MS, MS))
    }

    /// A thousand partitions, a record each at a time, each answer after 40 ms: without a distance all 32 requests
    /// were gone with one batch each within two milliseconds.
    #[test]
    fn requests_that_take_long_spread_over_the_time_that_one_takes() {
        let (mut broker, begun) = (broker(), now());
        (0..100).for_each(|_| broker.answered(40 * MS));
        broker.last_request = Some(begun);
        broker.requests_in_flight = 7;
        assert_eq!(broker.paced(32), None, "there are few");
        broker.requests_in_flight = 8;
        let distance = broker.paced(32).unwrap() - begun;
        assert!(distance > MS && distance <= 40 * MS / 32, "{distance:?}");
        (0..100).for_each(|_| broker.answered(30_000 * MS));
        assert_eq!(broker.paced(32), Some(begun + 5 * MS), "they came after an outage");
        (0..100).for_each(|_| broker.answered(2 * MS));
        assert_eq!(broker.paced(32), None, "they are fast");
    }

    /// A quarter of three is none: the next request waited for a distance although the broker had nothing to do.
    #[test]
    fn a_broker_that_takes_few_requests_gets_one_at_once_when_none_is_in_flight() {
        let (mut broker, begun) = (broker(), now());
        (0..100).for_each(|_| broker.answered(40 * MS));
        broker.last_request = Some(begun);
        assert_eq!(broker.paced(3), None);
    }

    #[test]
    fn who_has_lingered_long_enough_is_looked_at_and_in_the_end_all_are() {
        let (mut broker, now) = (broker(), now());
        broker.lingering.extend([(now + MS, 1), (now + 2 * MS, 2), (now + 3 * MS, 3)]);
        broker.rouse(Some(now));
        assert!(broker.ready.is_empty());
        broker.rouse(Some(now + 2 * MS));
        assert_eq!(broker.ready, BTreeSet::from([1, 2]));
        broker.rouse(None);
        assert_eq!((broker.ready.len(), broker.lingering.len()), (3, 0));
    }
}
