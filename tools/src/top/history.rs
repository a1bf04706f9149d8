//! Counters of the last seconds, for rates: how much further is a log, a group, than a moment ago.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use thalweg_client::{DescribedGroup, DescribedTopic, PartitionIndex, TopicId};

use super::rate::Rate;
use super::sample::Sample;

/// Rates are taken over about this time: long enough to be calm, short enough to follow.
const WINDOW: Duration = Duration::from_secs(5);

/// However often somebody asks, no more moments are kept.
const MOMENTS_MAX: usize = 16;

/// A partition; a topic that was made again is another one.
type Place = (TopicId, PartitionIndex);

#[derive(Debug, Default)]
struct Moment {
    at: Duration,
    /// High watermark and bytes.
    logs: BTreeMap<Place, (i64, i64)>,
    /// Records behind, for each group and partition where it is known.
    lags: BTreeMap<String, BTreeMap<Place, i64>>,
}

/// The moments of the window, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    moments: VecDeque<Moment>,
}

impl History {
    /// Adds what a sample says, forgets what is older than the window.
    pub(super) fn add(&mut self, sample: &Sample) {
        let mut moment = Moment { at: sample.at, ..Moment::default() };
        for topic in &sample.topics {
            for it in topic.partitions.iter().filter(|it| it.error.is_none()) {
                let counters = (it.high_watermark.get(), it.log_bytes);
                moment.logs.insert((topic.id, it.partition), counters);
            }
        }
        for group in sample.groups.iter().flatten() {
            let offsets = group.offsets.iter().flat_map(|topic| {
                let known = topic.partitions.iter().filter(|it| it.lag_records >= 0);
                known.map(|it| ((topic.topic, it.partition), it.lag_records))
            });
            moment.lags.insert(group.group.clone(), offsets.collect());
        }
        self.moments.push_back(moment);
        // The oldest stays while the next one is too young to stand for the window.
        let is_old = |next: &Moment| sample.at.saturating_sub(next.at) >= WINDOW;
        while self.moments.len() > MOMENTS_MAX || self.moments.get(1).is_some_and(is_old) {
            self.moments.pop_front();
        }
    }

    /// Forgets all: after a silence a rate over it would tell nothing about now.
    pub(super) fn clear(&mut self) {
        self.moments.clear();
    }

    /// Records and bytes a second into a partition; `None` while it has not been seen twice.
    pub(super) fn log(&self, topic: &DescribedTopic, partition: PartitionIndex) -> Option<Growth> {
        let place = (topic.id, partition);
        let (time, before, now) = self.ends(|moment| moment.logs.get(&place).copied())?;
        Some(Growth {
            records: Rate::of(now.0 - before.0, time),
            // What retention deletes meanwhile makes it less than what came, never negative.
            bytes: Rate::of((now.1 - before.1).max(0), time),
        })
    }

    /// How fast a group's lag in a partition grows.
    pub(super) fn lag(
        &self,
        group: &DescribedGroup,
        topic: TopicId,
        partition: PartitionIndex,
    ) -> Option<Rate> {
        let lag =
            |moment: &Moment| moment.lags.get(&group.group)?.get(&(topic, partition)).copied();
        let (time, before, now) = self.ends(lag)?;
        Some(Rate::of(now - before, time))
    }

    /// The first and the newest value of a counter within the window, and the time between them.
    fn ends<T>(&self, value: impl Fn(&Moment) -> Option<T>) -> Option<(Duration, T, T)> {
        let newest = self.moments.back()?;
        let now = value(newest)?;
        let (at, before) = self.moments.iter().find_map(|it| Some((it.at, value(it)?)))?;
        (at < newest.at).then(|| (newest.at.saturating_sub(at), before, now))
    }
}

/// What comes into a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Growth {
    pub(super) records: Rate,
    pub(super) bytes: Rate,
}
