//! Committed offsets: taken from whoever owns the partition, told to whoever asks, forgotten when nobody can want them.

use std::sync::Arc;
use std::time::Duration;

use thalweg_protocol::{MemberEpoch, Offset, TimestampMs, TopicId, TopicPartition};
use thalweg_storage::defects::{Defect, planted};

use super::error::GroupError;
use super::options::Moment;
use super::record::{Name, Record};
use super::request::{
    Commit, CommitItem, CommittedOffset, DeleteOffsets, Each, FetchOffsets, GroupKind,
};
use super::room::check_group;
use super::state::{Group, Groups};

/// Partitions that one request may name. One that is named twice is answered as if it were asked twice, one after the
/// other.
const ITEMS_MAX: usize = 100_000;

/// How long a topic must be gone before its offsets go: longer than any broker's metadata lags behind.
const ABSENT_MAX: Duration = Duration::from_mins(1);

impl Groups {
    /// Takes offsets. Each partition succeeds or fails on its own.
    pub(super) fn commit(
        &mut self,
        commit: &Commit,
        moment: &Moment<'_>,
    ) -> Result<Each<()>, GroupError> {
        check_group(&commit.group)?;
        check_count(&commit.group, commit.items.len())?;
        let known = self.groups.get(commit.group.as_str());
        match known {
            Some(group) => {
                check_writer(group, &commit.group, &commit.member, commit.epoch)?;
            }
            None if commit.member.is_empty() => self.check_group_room(&commit.group, moment)?,
            None => return Err(unknown_member(&commit.group, &commit.member)),
        }
        let mut each = Vec::with_capacity(commit.items.len());
        for item in &commit.items {
            let checked = self.check_item(known, commit, item, moment);
            each.push((item.partition, checked));
        }
        let name = known.is_none().then(|| Name::from(commit.group.as_str()));
        let name =
            name.or_else(|| Some(Arc::clone(self.groups.get_key_value(commit.group.as_str())?.0)));
        let Some(name) = name else { return Ok(each) };
        let mut count = 0;
        for (item, (_, checked)) in commit.items.iter().zip(&each) {
            if checked.is_err() {
                continue;
            }
            if !self.groups.contains_key(&name) {
                let fresh = Self::fresh(Some(moment.wall));
                self.write(Record::Group(Arc::clone(&name), Some(fresh)));
            }
            let offset = CommittedOffset {
                offset: item.offset,
                leader_epoch: item.leader_epoch,
                metadata: item.metadata.clone(),
                commit_time: moment.wall,
            };
            self.write(Record::Offset(Arc::clone(&name), item.partition, Some(offset)));
            count += 1;
        }
        if let Some(group) = self.groups.get_mut(&name) {
            group.figures.committed(count, moment.now);
        }
        Ok(each)
    }

    fn check_item(
        &self,
        group: Option<&Group>,
        commit: &Commit,
        item: &CommitItem,
        moment: &Moment<'_>,
    ) -> Result<(), GroupError> {
        let at = item.partition;
        let facts = moment.topics.with_id(at.topic).ok_or(GroupError::UnknownTopic { at })?;
        let number = usize::try_from(at.partition.get()).unwrap_or(usize::MAX);
        if number >= facts.partitions {
            return Err(GroupError::UnknownPartition { name: moment.name_of_partition(at) });
        }
        if item.offset < Offset::ZERO {
            return Err(GroupError::InvalidRequest {
                group: commit.group.clone(),
                what: format!(
                    "{}: offset {} is below 0",
                    moment.name_of_partition(at),
                    item.offset
                ),
            });
        }
        let (bytes, max) = (item.metadata.len(), self.options.metadata_bytes_max);
        if bytes > max {
            return Err(GroupError::MetadataTooLarge {
                name: moment.name_of_partition(at),
                bytes,
                max,
            });
        }
        if let Some(log_end) = moment.topics.log_end(at)
            && item.offset > log_end
        {
            return Err(GroupError::OffsetBeyondEnd {
                name: moment.name_of_partition(at),
                offset: item.offset,
                log_end,
            });
        }
        let owns = |group: &Group| {
            group.owners.get(&at).is_some_and(|owner| **owner == *commit.member)
                || planted(Defect::CommitNotOwned)
        };
        if let Some(group) = group
            && !commit.member.is_empty()
            && !owns(group)
        {
            return Err(GroupError::NotOwned {
                name: moment.name_of_partition(at),
                member: commit.member.clone(),
                epoch: commit.epoch,
                group_epoch: group.epoch(),
            });
        }
        Ok(())
    }

    /// Says how far a group has read. A group that is not there has read nothing.
    pub(super) fn fetch_offsets(
        &self,
        fetch: &FetchOffsets,
    ) -> Result<Each<CommittedOffset>, GroupError> {
        check_group(&fetch.group)?;
        check_count(&fetch.group, fetch.partitions.as_ref().map_or(0, Vec::len))?;
        let group = self.groups.get(fetch.group.as_str());
        match group {
            Some(group) => check_member(group, &fetch.group, &fetch.member, fetch.epoch)?,
            None if fetch.member.is_empty() => {}
            None => return Err(unknown_member(&fetch.group, &fetch.member)),
        }
        let committed = |at: TopicPartition| {
            let known = group.and_then(|group| group.offsets.get(&at));
            (at, Ok(known.cloned().unwrap_or(CommittedOffset::NONE)))
        };
        if let Some(partitions) = &fetch.partitions {
            return Ok(partitions.iter().copied().map(committed).collect());
        }
        let known = group.into_iter().flat_map(|group| group.offsets.keys().copied());
        let all: super::partitions::Partitions = known.collect();
        Ok(all.iter().map(committed).collect())
    }

    /// Forgets a group that has no members.
    pub(super) fn delete(&mut self, name: &str) -> Result<(), GroupError> {
        let unknown = || GroupError::UnknownGroup { group: name.to_owned() };
        check_group(name)?;
        let (name, group) = self.groups.get_key_value(name).ok_or_else(unknown)?;
        if !group.members.is_empty() {
            let (group, members) = (name.to_string(), group.named_members());
            return Err(GroupError::NotEmpty { group, members });
        }
        let name = Arc::clone(name);
        let offsets: super::partitions::Partitions = group.offsets.keys().copied().collect();
        for at in offsets.iter() {
            self.write(Record::Offset(Arc::clone(&name), at, None));
        }
        self.write(Record::Group(name, None));
        Ok(())
    }

    /// Forgets offsets of topics that no live member reads.
    pub(super) fn delete_offsets(
        &mut self,
        delete: &DeleteOffsets,
        moment: &Moment<'_>,
    ) -> Result<Each<()>, GroupError> {
        check_group(&delete.group)?;
        check_count(&delete.group, delete.partitions.len())?;
        let found = self.groups.get_key_value(delete.group.as_str());
        let (name, group) =
            found.ok_or_else(|| GroupError::UnknownGroup { group: delete.group.clone() })?;
        let name = Arc::clone(name);
        let read: Vec<bool> =
            delete.partitions.iter().map(|at| group.topics.contains_key(&at.topic)).collect();
        let mut each = Vec::with_capacity(delete.partitions.len());
        for (at, is_read) in delete.partitions.iter().copied().zip(read) {
            if is_read {
                let (group, topic) = (delete.group.clone(), moment.name_of_topic(at.topic));
                each.push((at, Err(GroupError::Subscribed { group, topic })));
                continue;
            }
            self.forget_offset(&name, at);
            each.push((at, Ok(())));
        }
        Ok(each)
    }

    fn forget_offset(&mut self, name: &Name, at: TopicPartition) {
        let known = self.groups.get(name).is_some_and(|group| group.offsets.contains_key(&at));
        if known {
            self.write(Record::Offset(Arc::clone(name), at, None));
            // A group of which nothing is left goes with the round.
            self.dirty.insert(Arc::clone(name));
        }
    }

    /// Forgets the offsets of groups that have been without members for longer than they are kept.
    pub(super) fn expire_offsets(&mut self, wall: TimestampMs) {
        let mut expired = Vec::new();
        for (name, group) in &self.groups {
            let kept = self.options.retention_of(name);
            let kept_ms = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
            let Some(empty_since) = group.empty_since(wall) else { continue };
            if wall.since(empty_since) <= kept_ms {
                continue;
            }
            let old = group.offsets.iter().filter(|(_, o)| wall.since(o.commit_time) > kept_ms);
            expired.extend(old.map(|(at, _)| (Arc::clone(name), *at)));
        }
        self.forget_all(expired);
    }

    /// Forgets the offsets of topics that are gone.
    pub(super) fn expire_topics(&mut self, moment: &Moment<'_>) {
        let there = |topic: &TopicId| moment.topics.with_id(*topic).is_some();
        self.absent.retain(|topic, _| self.offset_topics.contains_key(topic) && !there(topic));
        for topic in self.offset_topics.keys().filter(|topic| !there(topic)) {
            self.absent.entry(*topic).or_insert(moment.now);
        }
        let long = |since: &_| moment.now.since(*since) >= ABSENT_MAX;
        if !self.absent.values().any(long) {
            return;
        }
        let is_gone = |at: &TopicPartition| self.absent.get(&at.topic).is_some_and(long);
        let offsets = self.groups.iter().flat_map(|(name, group)| {
            let gone = group.offsets.keys().copied().filter(is_gone);
            gone.map(|at| (Arc::clone(name), at))
        });
        let gone = offsets.collect();
        self.forget_all(gone);
    }

    fn forget_all(&mut self, mut offsets: Vec<(Name, TopicPartition)>) {
        // The same order in every run of the same history.
        offsets.sort();
        for (name, at) in offsets {
            self.forget_offset(&name, at);
        }
    }
}

impl Group {
    /// Since when the group has no members; none while it has.
    fn empty_since(&self, wall: TimestampMs) -> Option<TimestampMs> {
        if planted(Defect::ExpireLiveGroup) {
            return Some(TimestampMs::new(0));
        }
        if !self.members.is_empty() {
            return None;
        }
        self.stored.as_ref().map(|stored| stored.empty_since.unwrap_or(wall))
    }
}

/// Whether one request may name so many partitions.
pub(super) fn check_count(group: &str, count: usize) -> Result<(), GroupError> {
    if count <= ITEMS_MAX {
        return Ok(());
    }
    let what = format!("{count} partitions in one request, at most {ITEMS_MAX} can be");
    Err(GroupError::InvalidRequest { group: group.to_owned(), what })
}

/// Whether who commits may: a member in its current epoch, or anybody while there is no member.
fn check_writer(
    group: &Group,
    name: &str,
    member: &str,
    epoch: MemberEpoch,
) -> Result<(), GroupError> {
    if group.kind() == GroupKind::Classic {
        return Err(GroupError::Kind { group: name.to_owned() });
    }
    if !member.is_empty() {
        return check_member(group, name, member, epoch);
    }
    if group.members.is_empty() {
        return Ok(());
    }
    Err(GroupError::NotEmpty { group: name.to_owned(), members: group.named_members() })
}

/// Whether a member is one, in its current epoch. Who does not say that he is a member is not checked.
fn check_member(
    group: &Group,
    name: &str,
    member: &str,
    found: MemberEpoch,
) -> Result<(), GroupError> {
    if member.is_empty() || planted(Defect::IgnoreMemberEpoch) {
        return Ok(());
    }
    let known = group.members.get(member).ok_or_else(|| unknown_member(name, member))?;
    let current = known.current.epoch;
    let (group, member) = (name.to_owned(), member.to_owned());
    if found == current && !known.is_away() {
        Ok(())
    } else if found < current && found > MemberEpoch::JOIN {
        Err(GroupError::StaleMemberEpoch { group, member, found, current })
    } else {
        Err(GroupError::FencedMemberEpoch { group, member, found, current })
    }
}

fn unknown_member(group: &str, member: &str) -> GroupError {
    GroupError::UnknownMember { group: group.to_owned(), member: member.to_owned() }
}
