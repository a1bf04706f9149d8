//! What is shown of single groups and of the partitions that they read, each in bounded number.
//!
//! The series of a group and of a partition end when they are shown no more, and give their places back; one that comes
//! again begins anew. What is not known has no series: a zero would say that all is well.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge};
use thalweg_protocol::{PartitionIndex, TopicName};

use super::names::{self, Metric};
use super::registry::{Registry, amount};

/// The metrics of a group that have no other label.
const OF_GROUP: [&Metric; 4] =
    [names::GROUP_MEMBERS, names::GROUP_REBALANCES, names::GROUP_STALL, names::GROUP_COMMITS];

/// Turns for which what is not shown stays, while not all groups could be asked: a shard that is read anew must not make
/// holes in every graph, and one that cannot be read must not show for ever what was once.
const TURNS_KEPT: u64 = 12;

/// One group's.
#[derive(Debug)]
struct GroupMetrics {
    members: Gauge,
    states: Vec<(&'static str, Gauge)>,
    rebalances: Counter,
    stall: Gauge,
    commits: Counter,
    /// What was shown last of what only grows.
    shown: (u64, u64),
}

/// One group as it stands now.
#[derive(Clone, Copy, Debug)]
pub struct GroupShown {
    /// How many members it has.
    pub members: usize,
    /// What it is at: one of [`GROUP_STATES`].
    pub state: &'static str,
    /// How often its partitions were shared out anew.
    pub rebalances: u64,
    /// How long partitions were without an owner.
    pub stall: Duration,
    /// Offsets committed.
    pub commits: u64,
}

/// What a group can be at.
pub const GROUP_STATES: [&str; 4] = ["empty", "assigning", "reconciling", "stable"];

impl GroupMetrics {
    fn new(registry: &Registry, group: &str) -> Self {
        let state = |state| (state, registry.gauge(names::GROUP_STATE, &[group, state]));
        Self {
            members: registry.gauge(names::GROUP_MEMBERS, &[group]),
            states: GROUP_STATES.into_iter().map(state).collect(),
            rebalances: registry.counter(names::GROUP_REBALANCES, &[group]),
            stall: registry.gauge(names::GROUP_STALL, &[group]),
            commits: registry.counter(names::GROUP_COMMITS, &[group]),
            shown: (0, 0),
        }
    }

    fn end(registry: &Registry, group: &str) {
        for metric in OF_GROUP {
            registry.remove(metric, &[group]);
        }
        for state in GROUP_STATES {
            registry.remove(names::GROUP_STATE, &[group, state]);
        }
    }

    fn show(&mut self, group: &GroupShown) {
        self.members.set(amount(group.members as u64));
        for (state, gauge) in &self.states {
            gauge.set(u32::from(*state == group.state));
        }
        self.stall.set(group.stall);
        self.rebalances.increment(grown(self.shown.0, group.rebalances));
        self.commits.increment(grown(self.shown.1, group.commits));
        self.shown = (group.rebalances, group.commits);
    }
}

/// How much was added; a number that fell has begun anew.
const fn grown(before: u64, now: u64) -> u64 {
    if now >= before { now - before } else { now }
}

/// One partition that a group reads.
type PartitionKey = (String, TopicName, PartitionIndex);

/// How far a group is behind in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LagShown {
    /// Records that are still to be read.
    pub records: u64,
    /// The age of the next one; none when it is not known.
    pub age: Option<Duration>,
}

/// One partition's.
#[derive(Debug)]
struct LagMetrics {
    records: Gauge,
    /// None while the age is not known.
    seconds: Option<Gauge>,
}

impl LagMetrics {
    fn show(&mut self, registry: &Registry, labels: &[&str; 3], lag: LagShown) {
        self.records.set(amount(lag.records));
        if let Some(age) = lag.age {
            let new = || registry.gauge(names::GROUP_LAG_SECONDS, labels);
            self.seconds.get_or_insert_with(new).set(age);
        } else if self.seconds.take().is_some() {
            registry.remove(names::GROUP_LAG_SECONDS, labels);
        }
    }
}

/// The groups and partitions that have series of their own.
#[derive(Debug)]
pub struct GroupSeries {
    registry: Registry,
    groups_max: usize,
    partitions_max: usize,
    groups: Gauge,
    left_out: Gauge,
    known: Mutex<Known>,
}

/// Each with the turn in which it was shown last.
#[derive(Debug, Default)]
struct Known {
    groups: HashMap<String, (GroupMetrics, u64)>,
    partitions: HashMap<PartitionKey, (LagMetrics, u64)>,
    turn: u64,
}

/// Shows all groups once.
#[derive(Debug)]
pub struct Showing<'a> {
    series: &'a GroupSeries,
    known: MutexGuard<'a, Known>,
    count: u64,
    left_out: u64,
}

impl GroupSeries {
    pub(super) fn new(registry: Registry, groups_max: u32, partitions_max: u32) -> Self {
        let bound = |max: u32| usize::try_from(max).unwrap_or(usize::MAX);
        Self {
            groups: registry.gauge(names::GROUPS, &[]),
            left_out: registry.gauge(names::GROUP_LEFT_OUT, &[]),
            registry,
            groups_max: bound(groups_max),
            partitions_max: bound(partitions_max),
            known: Mutex::default(),
        }
    }

    /// Begins to show all groups. Nobody else shows any meanwhile; what was shown can be read.
    pub fn begin(&self) -> Showing<'_> {
        // What a panic can leave behind is a series that its turn does not end: the next one does.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.turn += 1;
        Showing { series: self, known, count: 0, left_out: 0 }
    }
}

impl Showing<'_> {
    /// One group.
    pub fn group(&mut self, name: &str, shown: &GroupShown) {
        self.count += 1;
        let turn = self.known.turn;
        if !self.known.groups.contains_key(name) {
            if self.known.groups.len() >= self.series.groups_max {
                self.left_out += 1;
                return;
            }
            let metrics = GroupMetrics::new(&self.series.registry, name);
            self.known.groups.insert(name.to_owned(), (metrics, turn));
        }
        if let Some((metrics, seen)) = self.known.groups.get_mut(name) {
            metrics.show(shown);
            *seen = turn;
        }
    }

    /// How far a group is behind in one partition.
    pub fn lag(
        &mut self,
        group: &str,
        topic: &TopicName,
        partition: PartitionIndex,
        lag: LagShown,
    ) {
        let turn = self.known.turn;
        let registry = &self.series.registry;
        let labels = [group, topic.as_str(), &partition.to_string()];
        let key = (group.to_owned(), topic.clone(), partition);
        if !self.known.partitions.contains_key(&key) {
            if self.known.partitions.len() >= self.series.partitions_max {
                self.left_out += 1;
                return;
            }
            let records = registry.gauge(names::GROUP_LAG, &labels);
            let metrics = LagMetrics { records, seconds: None };
            self.known.partitions.insert(key.clone(), (metrics, turn));
        }
        if let Some((metrics, seen)) = self.known.partitions.get_mut(&key) {
            metrics.show(registry, &labels, lag);
            *seen = turn;
        }
    }

    /// All that could be shown was. The series of what was not end; unless `is_whole` says that all groups were asked,
    /// they are waited for some turns.
    pub fn end(mut self, is_whole: bool) {
        let registry = &self.series.registry;
        let Known { groups, partitions, turn } = &mut *self.known;
        let kept = if is_whole { 0 } else { TURNS_KEPT };
        let stays = |seen: u64| *turn - seen <= kept;
        groups.retain(|name, (_, seen)| {
            let stays = stays(*seen);
            if !stays {
                GroupMetrics::end(registry, name);
            }
            stays
        });
        partitions.retain(|(group, topic, partition), (_, seen)| {
            let stays = stays(*seen);
            if !stays {
                let labels = [group.as_str(), topic.as_str(), &partition.to_string()];
                registry.remove(names::GROUP_LAG, &labels);
                registry.remove(names::GROUP_LAG_SECONDS, &labels);
            }
            stays
        });
        self.series.groups.set(amount(self.count));
        self.series.left_out.set(amount(self.left_out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P0: PartitionIndex = PartitionIndex::new(0);

    fn series(groups_max: u32, partitions_max: u32) -> (Registry, GroupSeries) {
        let registry = Registry::new();
        let series = GroupSeries::new(registry.clone(), groups_max, partitions_max);
        (registry, series)
    }

    const fn stable(members: usize) -> GroupShown {
        let (rebalances, stall, commits) = (2, Duration::from_secs(1), 30);
        GroupShown { members, state: "stable", rebalances, stall, commits }
    }

    fn behind(records: u64, age_s: Option<u64>) -> LagShown {
        LagShown { records, age: age_s.map(Duration::from_secs) }
    }

    /// What a scrape finds of a group.
    fn shown(registry: &Registry, group: &str) -> Vec<String> {
        let label = format!("group=\"{group}\"");
        let text = registry.render();
        text.lines().filter(|line| line.contains(&label)).map(str::to_owned).collect()
    }

    fn number(registry: &Registry, start: &str) -> Option<f64> {
        let text = registry.render();
        let line = text.lines().find(|line| line.starts_with(start))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    /// Shows these groups, each behind by so much in one partition of `t`.
    fn show(series: &GroupSeries, groups: &[(&str, LagShown)], is_whole: bool) {
        let topic = TopicName::new("t").unwrap();
        let mut showing = series.begin();
        for (group, lag) in groups {
            showing.group(group, &stable(1));
            showing.lag(group, &topic, P0, *lag);
        }
        showing.end(is_whole);
    }

    #[test]
    fn a_group_shows_its_state_and_how_far_it_is_behind() {
        let (registry, series) = series(10, 10);
        show(&series, &[("g", behind(7, Some(3)))], true);
        let of = |start: &str| number(&registry, start);
        assert_eq!(of("thalweg_group_members{group=\"g\"}"), Some(1.0));
        assert_eq!(of("thalweg_group_state{group=\"g\",state=\"stable\"}"), Some(1.0));
        assert_eq!(of("thalweg_group_state{group=\"g\",state=\"empty\"}"), Some(0.0));
        assert_eq!(of("thalweg_group_lag_records{group=\"g\""), Some(7.0));
        assert_eq!(of("thalweg_group_lag_seconds{group=\"g\""), Some(3.0));
        assert_eq!(of("thalweg_groups"), Some(1.0));
    }

    /// An age that nobody knew used to be shown as 0: the best there is.
    #[test]
    fn an_age_that_is_not_known_has_no_series() {
        let (registry, series) = series(10, 10);
        let seconds = || number(&registry, "thalweg_group_lag_seconds{");
        show(&series, &[("g", behind(7, None))], true);
        assert_eq!(seconds(), None);
        assert_eq!(number(&registry, "thalweg_group_lag_records{"), Some(7.0));
        show(&series, &[("g", behind(6, Some(9)))], true);
        assert_eq!(seconds(), Some(9.0));
        show(&series, &[("g", behind(6, None))], true);
        assert_eq!(seconds(), None);
    }

    /// Lag of a deleted topic used to stand at 0 until the broker restarted.
    #[test]
    fn the_lag_of_a_partition_that_is_shown_no_more_ends() {
        let (registry, series) = series(10, 10);
        show(&series, &[("g", behind(7, Some(3)))], true);
        let mut showing = series.begin();
        showing.group("g", &stable(1));
        showing.end(true);
        let lag = |line: &String| line.contains("lag");
        assert!(!shown(&registry, "g").iter().any(lag), "{:?}", shown(&registry, "g"));
        assert!(!shown(&registry, "g").is_empty());
    }

    /// A flood of names used to hold all places until the broker restarted.
    #[test]
    fn groups_that_are_gone_give_their_places_back() {
        let (registry, series) = series(2, 2);
        for round in 0..10 {
            let names = [format!("flood-{round}-0"), format!("flood-{round}-1"), "late".to_owned()];
            let groups: Vec<_> =
                names.iter().map(|name| (name.as_str(), behind(1, Some(1)))).collect();
            show(&series, &groups, true);
            assert_eq!(number(&registry, "thalweg_group_series_left_out"), Some(2.0));
            show(&series, &[], true);
        }
        show(&series, &[("late", behind(5, Some(1)))], true);
        assert_eq!(number(&registry, "thalweg_group_lag_records{group=\"late\""), Some(5.0));
        assert_eq!(number(&registry, "thalweg_group_series_left_out"), Some(0.0));
        let text = registry.render();
        assert!(!text.contains("flood"), "{text}");
    }

    #[test]
    fn a_shard_that_is_read_anew_makes_no_hole_and_one_that_cannot_be_read_does_not_stay_for_ever()
    {
        let (registry, series) = series(10, 10);
        show(&series, &[("g", behind(7, Some(3)))], true);
        for _ in 0..TURNS_KEPT {
            show(&series, &[("other", behind(0, Some(0)))], false);
            assert!(!shown(&registry, "g").is_empty());
        }
        show(&series, &[("other", behind(0, Some(0)))], false);
        assert!(shown(&registry, "g").is_empty(), "{:?}", shown(&registry, "g"));
        assert!(!shown(&registry, "other").is_empty());
    }

    #[test]
    fn what_only_grows_is_counted_on_from_what_was_shown_last() {
        let (registry, series) = series(10, 10);
        let commits = || number(&registry, "thalweg_group_committed_offsets_total{");
        let shows = |commits| {
            let mut showing = series.begin();
            showing.group("g", &GroupShown { commits, ..stable(1) });
            showing.end(true);
        };
        shows(30);
        shows(45);
        assert_eq!(commits(), Some(45.0));
        // Its coordinator was loaded anew and counts from 0.
        shows(5);
        assert_eq!(commits(), Some(50.0));
    }
}
