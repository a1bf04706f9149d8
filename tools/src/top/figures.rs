//! The figures of a moment, from the newest sample and the history before it. They are also the JSON of `--once`.
#![expect(clippy::struct_field_names, reason = "the names are those of the other commands' JSON")]

use std::collections::BTreeMap;

use serde::Serialize;
use thalweg_client::{
    DescribedBroker, DescribedGroup, DescribedMember, DescribedOffset, DescribedPartition,
    DescribedTopic, TopicId,
};

use super::history::History;
use super::rate::Rate;
use super::sample::Sample;

/// All that is shown.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    pub(super) cluster: String,
    pub(super) partitions_leaderless: u32,
    pub(super) partitions_under_replicated: u32,
    pub(super) brokers: Vec<Broker>,
    pub(super) topics: Vec<Topic>,
    pub(super) groups: Vec<Group>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Broker {
    pub(super) id: i32,
    pub(super) address: String,
    pub(super) release: String,
    /// It was there before, and is not in the newest answer.
    pub(super) is_gone: bool,
    pub(super) leaders: u32,
    pub(super) replicas: u32,
    /// Into the partitions that it leads.
    pub(super) records_per_second: Option<Rate>,
    pub(super) free_bytes: u64,
    pub(super) total_bytes: u64,
    /// The first folder that is not online, with the reason.
    pub(super) trouble: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Topic {
    pub(super) topic: String,
    pub(super) internal: bool,
    pub(super) records: i64,
    pub(super) bytes: i64,
    pub(super) records_per_second: Option<Rate>,
    pub(super) bytes_per_second: Option<Rate>,
    pub(super) partitions: Vec<Partition>,
}

#[derive(Debug, Serialize)]
pub(super) struct Partition {
    pub(super) partition: i32,
    pub(super) leader: i32,
    pub(super) leader_epoch: i32,
    pub(super) in_sync: usize,
    pub(super) replicas: usize,
    pub(super) log_start: i64,
    pub(super) high_watermark: i64,
    pub(super) bytes: i64,
    pub(super) records_per_second: Option<Rate>,
    pub(super) bytes_per_second: Option<Rate>,
    pub(super) trouble: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Group {
    pub(super) group: String,
    pub(super) state: &'static str,
    pub(super) lag_records: Option<i64>,
    /// Of the partition that is most behind.
    pub(super) lag_ms: Option<i64>,
    /// How fast the lag grows, in records a second.
    pub(super) lag_trend: Option<Rate>,
    pub(super) commits_per_minute: u64,
    pub(super) rebalances: u64,
    pub(super) members: Vec<Member>,
    pub(super) partitions: Vec<Followed>,
}

#[derive(Debug, Serialize)]
pub(super) struct Member {
    pub(super) member: String,
    pub(super) client: String,
    pub(super) host: String,
    pub(super) epoch: i32,
    pub(super) heartbeat_age_ms: u64,
    pub(super) partitions_owned: usize,
    /// What it shall own once others have let go.
    pub(super) partitions_target: usize,
}

/// A partition as a group follows it.
#[derive(Debug, Serialize)]
pub(super) struct Followed {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) committed: Option<i64>,
    pub(super) high_watermark: Option<i64>,
    pub(super) lag_records: Option<i64>,
    pub(super) lag_ms: Option<i64>,
    pub(super) lag_trend: Option<Rate>,
    /// The member, by the name that people know it by.
    pub(super) owner: Option<String>,
}

impl Figures {
    /// What is to be shown; `seen` are all brokers that ever answered, by id.
    pub(super) fn of(
        sample: &Sample,
        groups: &[DescribedGroup],
        seen: &BTreeMap<i32, DescribedBroker>,
        history: &History,
    ) -> Self {
        let topics: Vec<Topic> = sample.topics.iter().map(|it| topic(it, history)).collect();
        let there = |id| sample.cluster.brokers.iter().any(|it| it.id.get() == id);
        Self {
            cluster: sample.cluster.cluster.to_string(),
            partitions_leaderless: sample.cluster.partitions_leaderless,
            partitions_under_replicated: sample.cluster.partitions_under_replicated,
            brokers: seen.values().map(|it| broker(it, there(it.id.get()), &topics)).collect(),
            topics,
            groups: groups.iter().map(|it| group(it, history)).collect(),
        }
    }

    /// Records a second into all topics together.
    pub(super) fn records_per_second(&self) -> Option<Rate> {
        sum(self.topics.iter().map(|it| it.records_per_second))
    }

    /// Bytes a second into all topics together.
    pub(super) fn bytes_per_second(&self) -> Option<Rate> {
        sum(self.topics.iter().map(|it| it.bytes_per_second))
    }
}

/// The sum of what is known; `None` when nothing is.
fn sum(rates: impl Iterator<Item = Option<Rate>>) -> Option<Rate> {
    rates.flatten().fold(None, |sum, one| Some(sum.unwrap_or_default() + one))
}

fn broker(it: &DescribedBroker, is_there: bool, topics: &[Topic]) -> Broker {
    let led = topics.iter().flat_map(|topic| &topic.partitions);
    let led = led.filter(|partition| partition.leader == it.id.get());
    let broken = it.directories.iter().find(|directory| directory.state != "online");
    Broker {
        id: it.id.get(),
        address: format!("{}:{}", it.host, it.port),
        release: it.version.clone(),
        is_gone: !is_there,
        leaders: it.leaders,
        replicas: it.replicas,
        records_per_second: sum(led.map(|partition| partition.records_per_second)),
        free_bytes: it.directories.iter().map(|directory| directory.free_bytes).sum(),
        total_bytes: it.directories.iter().map(|directory| directory.total_bytes).sum(),
        trouble: broken.map(|it| format!("{} is {}: {}", it.path, it.state, it.reason)),
    }
}

fn topic(it: &DescribedTopic, history: &History) -> Topic {
    let partitions: Vec<Partition> =
        it.partitions.iter().map(|one| partition(it, one, history)).collect();
    Topic {
        topic: it.name.clone(),
        internal: it.internal,
        records: partitions.iter().map(|it| (it.high_watermark - it.log_start).max(0)).sum(),
        bytes: partitions.iter().map(|it| it.bytes.max(0)).sum(),
        records_per_second: sum(partitions.iter().map(|it| it.records_per_second)),
        bytes_per_second: sum(partitions.iter().map(|it| it.bytes_per_second)),
        partitions,
    }
}

fn partition(topic: &DescribedTopic, it: &DescribedPartition, history: &History) -> Partition {
    let growth = history.log(topic, it.partition);
    Partition {
        partition: it.partition.get(),
        leader: it.leader.get(),
        leader_epoch: it.leader_epoch.get(),
        in_sync: it.isr.len(),
        replicas: it.replicas.len(),
        log_start: it.log_start.get(),
        high_watermark: it.high_watermark.get(),
        bytes: it.log_bytes,
        records_per_second: growth.map(|it| it.records),
        bytes_per_second: growth.map(|it| it.bytes),
        trouble: it.error.as_ref().map(|error| error.message.clone()),
    }
}

fn group(it: &DescribedGroup, history: &History) -> Group {
    let partitions: Vec<Followed> = it
        .offsets
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(move |one| (topic, one)))
        .map(|(topic, one)| followed(it, (topic.topic, &topic.name), one, history))
        .collect();
    let known = |lags: Vec<i64>| (!lags.is_empty()).then_some(lags);
    let records = known(partitions.iter().filter_map(|it| it.lag_records).collect());
    Group {
        group: it.group.clone(),
        state: it.state.name(),
        lag_records: records.map(|lags| lags.iter().sum()),
        lag_ms: partitions.iter().filter_map(|it| it.lag_ms).max(),
        lag_trend: sum(partitions.iter().map(|it| it.lag_trend)),
        commits_per_minute: it.commits_per_minute,
        rebalances: it.rebalances,
        members: it.members.iter().map(member).collect(),
        partitions,
    }
}

fn member(it: &DescribedMember) -> Member {
    let count = |topics: &[thalweg_client::AssignedTopic]| {
        topics.iter().map(|topic| topic.partitions.len()).sum()
    };
    Member {
        member: name(it),
        client: it.client_name.clone(),
        host: it.host.clone(),
        epoch: it.epoch.get(),
        heartbeat_age_ms: it.heartbeat_age_ms,
        partitions_owned: count(&it.owned),
        partitions_target: count(&it.target),
    }
}

/// A static member by its name, another by its id.
fn name(member: &DescribedMember) -> String {
    member.instance.clone().unwrap_or_else(|| member.member.clone())
}

fn followed(
    group: &DescribedGroup,
    (topic, topic_name): (TopicId, &str),
    it: &DescribedOffset,
    history: &History,
) -> Followed {
    let known = |number: i64| (number >= 0).then_some(number);
    let owner = group.members.iter().find(|member| member.member == it.owner).map(name);
    Followed {
        topic: topic_name.to_owned(),
        partition: it.partition.get(),
        committed: known(it.committed.get()),
        high_watermark: known(it.high_watermark.get()),
        lag_records: known(it.lag_records),
        lag_ms: known(it.lag_ms),
        lag_trend: history.lag(group, topic, it.partition),
        owner: owner.or_else(|| known_name(&it.owner)),
    }
}

fn known_name(owner: &str) -> Option<String> {
    (!owner.is_empty()).then(|| owner.to_owned())
}
