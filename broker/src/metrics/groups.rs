//! What is shown of single groups and of the partitions that they read, each in bounded number.
//!
//! A series stays until the broker ends, so the bounds hold for all groups there ever were; what ended shows zeros.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge};
use thalweg_protocol::{PartitionIndex, TopicName};

use super::names;
use super::registry::{Registry, amount};

/// One group's.
#[derive(Clone, Debug)]
pub struct GroupMetrics {
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

    fn show_nothing(&mut self) {
        self.members.set(0);
        self.states.iter().for_each(|(_, gauge)| gauge.set(0));
        self.stall.set(0);
        self.shown = (0, 0);
    }
}

/// How much was added; a number that fell has begun anew.
const fn grown(before: u64, now: u64) -> u64 {
    if now >= before { now - before } else { now }
}

/// One partition that a group reads.
type PartitionKey = (String, TopicName, PartitionIndex);

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

#[derive(Debug, Default)]
struct Known {
    groups: HashMap<String, (GroupMetrics, u64)>,
    partitions: HashMap<PartitionKey, (Gauge, Gauge, u64)>,
    turn: u64,
    left_out: u64,
}

/// Shows all groups once; what is not shown until it is dropped shows zeros.
#[derive(Debug)]
pub struct Showing<'a> {
    series: &'a GroupSeries,
    count: u64,
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

    /// Begins to show all groups.
    pub fn begin(&self) -> Showing<'_> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.turn += 1;
        known.left_out = 0;
        Showing { series: self, count: 0 }
    }
}

impl Showing<'_> {
    /// One group.
    pub fn group(&mut self, name: &str, shown: &GroupShown) {
        self.count += 1;
        let mut known = self.series.known.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = known.turn;
        if !known.groups.contains_key(name) {
            if known.groups.len() >= self.series.groups_max {
                known.left_out += 1;
                return;
            }
            let metrics = GroupMetrics::new(&self.series.registry, name);
            known.groups.insert(name.to_owned(), (metrics, turn));
        }
        if let Some((metrics, seen)) = known.groups.get_mut(name) {
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
        records: u64,
        age: Duration,
    ) {
        let mut known = self.series.known.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = known.turn;
        let key = (group.to_owned(), topic.clone(), partition);
        if !known.partitions.contains_key(&key) {
            if known.partitions.len() >= self.series.partitions_max {
                known.left_out += 1;
                return;
            }
            let number = partition.to_string();
            let gauge =
                |metric| self.series.registry.gauge(metric, &[group, topic.as_str(), &number]);
            let gauges = (gauge(names::GROUP_LAG), gauge(names::GROUP_LAG_SECONDS), turn);
            known.partitions.insert(key.clone(), gauges);
        }
        if let Some((lag, seconds, seen)) = known.partitions.get_mut(&key) {
            lag.set(amount(records));
            seconds.set(age);
            *seen = turn;
        }
    }
}

impl Drop for Showing<'_> {
    fn drop(&mut self) {
        let mut known = self.series.known.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = known.turn;
        for (metrics, _) in known.groups.values_mut().filter(|(_, seen)| *seen != turn) {
            metrics.show_nothing();
        }
        for (lag, seconds, _) in known.partitions.values().filter(|(.., seen)| *seen != turn) {
            lag.set(0);
            seconds.set(0);
        }
        self.series.groups.set(amount(self.count));
        self.series.left_out.set(amount(known.left_out));
    }
}
