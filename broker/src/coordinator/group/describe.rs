//! What one can know about groups.

use std::sync::Arc;
use std::time::Duration;

use thalweg_protocol::Offset;

use super::error::GroupError;
use super::member::Member;
use super::options::{Moment, Topics};
use super::partitions::Partitions;
use super::rebalance::by_topic;
use super::record::Name;
use super::request::{
    CommittedOffset, DescribedGroup, DescribedMember, DescribedOffset, GroupState, ListedGroup,
    Subscription,
};
use super::state::{Group, Groups};

/// One group in numbers, for the metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFigures {
    /// The group.
    pub group: Name,
    /// What it is at.
    pub state: GroupState,
    /// How many members it has.
    pub members: usize,
    /// How often its partitions were shared out anew.
    pub rebalances: u64,
    /// How long partitions were without an owner.
    pub stall: Duration,
    /// Offsets committed.
    pub commits: u64,
    /// Where it stands.
    pub offsets: Vec<(thalweg_protocol::TopicPartition, Offset)>,
}

impl Groups {
    /// The groups in one of these states, by name; empty means all.
    pub(super) fn list(&self, states: &[GroupState]) -> Vec<ListedGroup> {
        let wanted = |state: GroupState| states.is_empty() || states.contains(&state);
        let listed = self.groups.iter().map(|(name, group)| ListedGroup {
            group: name.to_string(),
            kind: group.kind(),
            state: group.state(),
            members: group.members.len(),
        });
        let mut listed: Vec<_> = listed.filter(|group| wanted(group.state)).collect();
        listed.sort_by(|a, b| a.group.cmp(&b.group));
        listed
    }

    /// All about one group; how far it is behind is left open.
    pub(super) fn describe(
        &mut self,
        name: &str,
        moment: &Moment<'_>,
    ) -> Result<DescribedGroup, GroupError> {
        super::room::check_group(name)?;
        let unknown = || GroupError::UnknownGroup { group: name.to_owned() };
        let group = self.groups.get_mut(name).ok_or_else(unknown)?;
        let commits_per_minute = group.figures.commits_per_minute(moment.now);
        let stall_ms = group.figures.stall(moment.now).as_millis();
        let described = |(id, member): (&Name, &Member)| describe_member(id, member, moment);
        let assignor = group.stored.as_ref().and_then(|s| super::assignor::assignor(&s.assignor));
        Ok(DescribedGroup {
            group: name.to_owned(),
            kind: group.kind(),
            state: group.state(),
            epoch: group.epoch(),
            assignor: assignor.map_or("", |assignor| assignor.name()),
            members: group.members.iter().map(described).collect(),
            offsets: group.describe_offsets(moment.topics),
            rebalances: group.figures.rebalances,
            stall_ms: u64::try_from(stall_ms).unwrap_or(u64::MAX),
            commits_per_minute,
        })
    }

    /// Every group in numbers.
    pub fn figures(&self, moment: &Moment<'_>) -> Vec<GroupFigures> {
        let figures = |(name, group): (&Name, &Group)| GroupFigures {
            group: Arc::clone(name),
            state: group.state(),
            members: group.members.len(),
            rebalances: group.figures.rebalances,
            stall: group.figures.stall(moment.now),
            commits: group.figures.commits,
            offsets: group.offsets.iter().map(|(at, offset)| (*at, offset.offset)).collect(),
        };
        self.groups.iter().map(figures).collect()
    }
}

impl Group {
    /// The partitions with an offset or an owner, or that some member shall own.
    fn describe_offsets(&self, topics: &dyn Topics) -> Vec<DescribedOffset> {
        let known = self.offsets.keys().chain(self.owners.keys()).copied();
        let awaited = self.members.values().flat_map(|member| member.target.iter());
        let all: Partitions = known.chain(awaited).collect();
        let described = |at| DescribedOffset {
            partition: at,
            topic: topics.name_of(at.topic).unwrap_or_default().to_owned(),
            committed: self.offsets.get(&at).cloned().unwrap_or(CommittedOffset::NONE),
            log_start: Offset::NONE,
            high_watermark: Offset::NONE,
            lag_records: -1,
            lag_ms: -1,
            owner: self.owners.get(&at).map(ToString::to_string).unwrap_or_default(),
        };
        all.iter().map(described).collect()
    }
}

fn describe_member(id: &Name, member: &Member, moment: &Moment<'_>) -> DescribedMember {
    let stored = member.stored.as_ref();
    let age = moment.now.since(member.heard).as_millis();
    DescribedMember {
        member: id.to_string(),
        instance: member.instance().map(str::to_owned),
        client: stored.map(|stored| stored.client.clone()).unwrap_or_default(),
        epoch: member.current.epoch,
        session_timeout_ms: stored.map_or(0, |stored| stored.session_timeout_ms),
        heartbeat_age_ms: u64::try_from(age).unwrap_or(u64::MAX),
        subscription: stored.map_or_else(Subscription::default, |s| s.subscription.clone()),
        owned: by_topic(&member.owned(), moment.topics),
        target: by_topic(&member.target, moment.topics),
    }
}
