//! A shard's groups: what their records say. [`Groups::replay`] is the only way in which that changes.
//!
//! ```text
//! no group  -> Empty:        a commit without a membership
//! no group  -> Assigning:    a member joins
//! Empty     -> Assigning:    a member joins
//! Assigning -> Reconciling:  the target is made, at the end of the round
//! Reconciling -> Stable:     every member owns what it shall own
//! Stable    -> Assigning:    a member comes, goes, or wants something else; topics come, go or grow
//! any       -> Empty:        the last member goes; its offsets stay for their retention
//! Empty     -> no group:     the last offset goes, or there was none
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use thalweg_protocol::{GroupEpoch, MemberEpoch, TimestampMs, TopicId, TopicPartition};
use thalweg_storage::defects::{Defect, planted};

use super::figures::Figures;
use super::member::Member;
use super::options::{GroupOptions, Moment};
use super::pattern::Patterns;
use super::record::{Name, Record};
use super::request::{CommittedOffset, GroupKind, GroupState};
use super::stored::StoredGroup;
use super::subscription::Matched;
use crate::base::Monotonic;

/// The groups of one shard.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "there is no better name for the groups of `Groups`")]
pub struct Groups {
    pub(super) options: Arc<GroupOptions>,
    pub(super) groups: HashMap<Name, Group>,
    /// How many members they have together.
    pub(super) members: usize,
    /// Groups whose target is to be made anew by the end of the round.
    pub(super) dirty: BTreeSet<Name>,
    /// The records of the round so far.
    pub(super) written: Vec<Record>,
    pub(super) patterns: Patterns,
    /// How many offsets there are of each topic.
    pub(super) offset_topics: HashMap<TopicId, usize>,
    /// Since when topics with offsets are gone.
    pub(super) absent: HashMap<TopicId, Monotonic>,
}

/// One group.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// None only while its records are being read.
    pub(super) stored: Option<StoredGroup>,
    pub(super) members: BTreeMap<Name, Member>,
    pub(super) offsets: HashMap<TopicPartition, CommittedOffset>,
    /// Who owns each partition, what it was told to let go of included.
    pub(super) owners: HashMap<TopicPartition, Name>,
    /// Which member each instance is.
    pub(super) instances: HashMap<String, Name>,
    /// The topics that its members want and that are there, with their partitions.
    pub(super) topics: BTreeMap<TopicId, usize>,
    /// Whether its members or what they want have changed since its target was made.
    pub(super) changed: bool,
    pub(super) figures: Figures,
}

impl Group {
    pub(super) fn epoch(&self) -> GroupEpoch {
        self.stored.as_ref().map_or(GroupEpoch::new(0), |stored| stored.epoch)
    }

    pub(super) fn kind(&self) -> GroupKind {
        self.stored.as_ref().map_or(GroupKind::Consumer, |stored| stored.kind)
    }

    pub(super) fn state(&self) -> GroupState {
        if self.members.is_empty() {
            GroupState::Empty
        } else if self.changed {
            GroupState::Assigning
        } else if self.members.values().all(Member::is_settled) {
            GroupState::Stable
        } else {
            GroupState::Reconciling
        }
    }

    /// How many partitions are wanted and have no owner.
    pub(super) fn unowned(&self) -> usize {
        let wanted: usize = self.topics.values().sum();
        let there = |at: &&TopicPartition| self.topics.contains_key(&at.topic);
        wanted.saturating_sub(self.owners.keys().filter(there).count())
    }

    fn take_owned(&mut self, member: &Name) {
        let Some(known) = self.members.get(member) else { return };
        for at in known.owned().iter() {
            if self.owners.get(&at) == Some(member) {
                self.owners.remove(&at);
            }
        }
    }
}

impl Groups {
    /// No group yet.
    pub fn new(options: Arc<GroupOptions>) -> Self {
        Self {
            options,
            groups: HashMap::new(),
            members: 0,
            dirty: BTreeSet::new(),
            written: Vec::new(),
            patterns: Patterns::default(),
            offset_topics: HashMap::new(),
            absent: HashMap::new(),
        }
    }

    /// How many groups there are.
    pub fn count(&self) -> usize {
        self.groups.len()
    }

    /// How many members all groups have together.
    pub const fn members(&self) -> usize {
        self.members
    }

    /// Whether a group takes this member in this epoch for one of its own.
    pub fn accepts(&self, group: &str, member: &str, epoch: MemberEpoch) -> bool {
        let member = self.groups.get(group).and_then(|group| group.members.get(member));
        member.is_some_and(|m| m.current.epoch == epoch || m.current.previous == epoch)
    }

    /// Applies a record that is read while the shard is loaded.
    pub fn load(&mut self, record: Record) {
        if record.is_tombstone() && planted(Defect::ReplaySkipsTombstones) {
            return;
        }
        self.replay(record);
    }

    /// All records have been read: every member gets a fresh session, and targets that were not finished are made
    /// again. Returns what is to be written for that.
    pub fn loaded(&mut self, moment: &Moment<'_>) -> Vec<Record> {
        let names: Vec<Name> = self.groups.keys().cloned().collect();
        let mut matched = Matched::new();
        for name in names {
            self.groups.entry(Arc::clone(&name)).and_modify(|group| {
                for member in group.members.values_mut() {
                    member.touch(moment.now);
                    if !member.current.revoking.is_empty() {
                        member.drain = Some(moment.now.plus(member.drain_timeout()));
                    }
                }
                group.figures.begin(moment.now);
            });
            self.complete(&name, moment.wall);
            self.resolve(&name, moment.topics, &mut matched);
            self.dirty.insert(name);
        }
        self.settle(moment);
        std::mem::take(&mut self.written)
    }

    /// Mends what a crash between two batches of one round may have left: a group or a member of which only a part is
    /// there.
    fn complete(&mut self, name: &Name, wall: TimestampMs) {
        let Some(group) = self.groups.get(name) else { return };
        // A whole round leaves no member in the epoch in which it joins: nobody was answered what this one is.
        let is_half = |m: &Member| m.stored.is_none() || m.current.epoch == MemberEpoch::JOIN;
        let half = |(id, member): (&Name, &Member)| is_half(member).then(|| Arc::clone(id));
        let halves: Vec<Name> = group.members.iter().filter_map(half).collect();
        let unnamed = group.stored.is_none();
        for member in halves {
            self.forget_member(name, &member);
            self.change(name);
        }
        if unnamed {
            self.write(Record::Group(Arc::clone(name), Some(Self::fresh(Some(wall)))));
        }
    }

    pub(super) fn fresh(empty_since: Option<TimestampMs>) -> StoredGroup {
        StoredGroup {
            kind: GroupKind::Consumer,
            epoch: GroupEpoch::new(0),
            assignor: super::assignor::default_assignor().name().to_owned(),
            empty_since,
        }
    }

    /// Applies a record and keeps it to be written.
    pub(super) fn write(&mut self, record: Record) {
        self.replay(record.clone());
        self.written.push(record);
    }

    /// Takes a member away, record by record.
    pub(super) fn forget_member(&mut self, group: &Name, member: &Name) {
        let (group, member) = (|| Arc::clone(group), || Arc::clone(member));
        self.write(Record::Current(group(), member(), None));
        self.write(Record::Target(group(), member(), None));
        self.write(Record::Member(group(), member(), None));
    }

    /// Applies a record: live and at load alike.
    fn replay(&mut self, record: Record) {
        match record {
            Record::Offset(group, at, value) => self.replay_offset(group, at, value),
            Record::Group(name, Some(value)) => self.group(name).stored = Some(value),
            Record::Group(name, None) => {
                // Its other records were taken away before.
                if let Some(group) = self.groups.remove(&name) {
                    self.members -= group.members.len();
                    group.offsets.keys().for_each(|at| self.offset_gone(at.topic));
                }
            }
            Record::Member(name, id, Some(value)) => {
                if let Some(instance) = &value.instance {
                    let instances = &mut self.group(Arc::clone(&name)).instances;
                    instances.insert(instance.clone(), Arc::clone(&id));
                }
                let member = self.member_of(name, id);
                member.stored = Some(value);
                // Not compiled here: most members that a log names are gone by its end.
                member.pattern = None;
            }
            Record::Member(group, id, None) => {
                let Some(group) = self.groups.get_mut(&group) else { return };
                group.take_owned(&id);
                let Some(gone) = group.members.remove(&id) else { return };
                self.members -= 1;
                if let Some(instance) = gone.stored.and_then(|stored| stored.instance)
                    && group.instances.get(&instance) == Some(&id)
                {
                    group.instances.remove(&instance);
                }
            }
            Record::Target(group, id, Some(target)) => self.member_of(group, id).target = target,
            Record::Target(group, id, None) => {
                if let Some(member) = self.member(&group, &id) {
                    member.target = super::partitions::Partitions::NONE;
                }
            }
            Record::Current(name, id, Some(current)) => {
                let group = self.group(Arc::clone(&name));
                group.take_owned(&id);
                let owned = current.assigned.iter().chain(current.revoking.iter());
                group.owners.extend(owned.map(|at| (at, Arc::clone(&id))));
                self.member_of(name, id).current = current;
            }
            Record::Current(group, id, None) => {
                let Some(group) = self.groups.get_mut(&group) else { return };
                group.take_owned(&id);
                if let Some(member) = group.members.get_mut(&id) {
                    member.current = Member::default().current;
                }
            }
        }
    }

    fn replay_offset(&mut self, name: Name, at: TopicPartition, value: Option<CommittedOffset>) {
        if let Some(value) = value {
            if self.group(name).offsets.insert(at, value).is_none() {
                *self.offset_topics.entry(at.topic).or_default() += 1;
            }
        } else if let Some(group) = self.groups.get_mut(&name)
            && group.offsets.remove(&at).is_some()
        {
            self.offset_gone(at.topic);
        }
    }

    fn offset_gone(&mut self, topic: TopicId) {
        if let Some(count) = self.offset_topics.get_mut(&topic) {
            *count -= 1;
            if *count == 0 {
                self.offset_topics.remove(&topic);
            }
        }
    }

    fn group(&mut self, name: Name) -> &mut Group {
        self.groups.entry(name).or_default()
    }

    /// The member that a record is about; new if there is none yet.
    fn member_of(&mut self, group: Name, id: Name) -> &mut Member {
        let members = &mut self.groups.entry(group).or_default().members;
        members.entry(id).or_insert_with(|| {
            self.members += 1;
            Member::default()
        })
    }

    pub(super) fn member(&mut self, group: &Name, member: &Name) -> Option<&mut Member> {
        self.groups.get_mut(group)?.members.get_mut(member)
    }

    /// All that the records say, as the fewest records that say it, in order: equal for two shards whose groups are
    /// equal.
    pub fn stored(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for (name, group) in self.groups.iter().collect::<BTreeMap<_, _>>() {
            let name = || Arc::clone(name);
            records.push(Record::Group(name(), group.stored.clone()));
            for (id, member) in &group.members {
                let id = || Arc::clone(id);
                records.push(Record::Member(name(), id(), member.stored.clone()));
                records.push(Record::Target(name(), id(), Some(member.target.clone())));
                records.push(Record::Current(name(), id(), Some(member.current.clone())));
            }
            for (at, offset) in group.offsets.iter().collect::<BTreeMap<_, _>>() {
                records.push(Record::Offset(name(), *at, Some(offset.clone())));
            }
        }
        records
    }
}
