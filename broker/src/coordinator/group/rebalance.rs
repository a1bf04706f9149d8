//! From a change to a new owner: the target is made, each member is told what to let go of, and gets what is free.
//!
//! ```text
//! told to let go:  epoch rises, `revoking` holds what it must let go of; nothing is given
//! has let go:      it said so in that epoch, or left, or was taken out
//! is given:        what it shall own and nobody owns
//! ```
//! A member's epoch rises with each order to let go, and what it says that it owns counts only in its current epoch: a
//! message from before the order cannot pass for the answer to it. A member whose partitions stay hears nothing.

use std::sync::Arc;

use thalweg_protocol::{GroupEpoch, MemberEpoch};
use thalweg_storage::defects::{Defect, planted};

use super::assignor::{Assignor, Candidate, assignor, default_assignor};
use super::error::GroupError;
use super::member::Member;
use super::membership::Said;
use super::options::{Moment, Topics};
use super::partitions::Partitions;
use super::record::{Name, Record};
use super::request::{AssignedTopic, Heartbeat, HeartbeatAnswer};
use super::state::{Group, Groups};
use super::stored::{Current, StoredGroup};
use super::subscription::Matched;

impl Groups {
    /// Makes the targets of all groups that have changed, once for all changes of a round. Groups that nothing is left
    /// of go.
    pub(super) fn settle(&mut self, moment: &Moment<'_>) {
        let mut matched = Matched::new();
        for name in std::mem::take(&mut self.dirty) {
            let Some(group) = self.groups.get(&name) else { continue };
            if group.members.is_empty() {
                self.settle_empty(&name, moment);
            } else {
                self.resolve(&name, moment.topics, &mut matched);
                self.make_target(&name);
            }
            if let Some(group) = self.groups.get_mut(&name) {
                group.changed = false;
            }
            self.count_unowned(&name, moment);
        }
    }

    fn settle_empty(&mut self, name: &Name, moment: &Moment<'_>) {
        let Some(group) = self.groups.get_mut(name) else { return };
        group.topics.clear();
        if group.offsets.is_empty() {
            return self.write(Record::Group(Arc::clone(name), None));
        }
        let Some(stored) = group.stored.clone() else { return };
        if stored.empty_since.is_none() {
            let epoch = after(stored.epoch);
            let stored = StoredGroup { epoch, empty_since: Some(moment.wall), ..stored };
            self.write(Record::Group(Arc::clone(name), Some(stored)));
        }
    }

    fn make_target(&mut self, name: &Name) {
        let Some(group) = self.groups.get_mut(name) else { return };
        let Some(stored) = group.stored.clone() else { return };
        let assignor = group.preferred_assignor();
        let targets = group.assign(assignor);
        let moved = !targets.is_empty();
        if moved || group.changed || stored.empty_since.is_some() {
            group.figures.rebalances += u64::from(moved);
            let (epoch, assignor) = (after(stored.epoch), assignor.name().to_owned());
            let stored = StoredGroup { epoch, assignor, empty_since: None, ..stored };
            self.write(Record::Group(Arc::clone(name), Some(stored)));
        }
        for (id, target) in targets {
            self.write(Record::Target(Arc::clone(name), Arc::clone(&id), Some(target)));
            self.release_of_absent(name, &id);
        }
    }

    /// Who is away reads nothing: what it shall not own any more is free at once.
    fn release_of_absent(&mut self, group: &Name, id: &Name) {
        let Some(member) = self.member(group, id).filter(|member| member.is_away()) else { return };
        let assigned = member.current.assigned.shared_with(&member.target);
        if assigned != member.current.assigned {
            let current = Current { assigned, ..member.current.clone() };
            self.write(Record::Current(Arc::clone(group), Arc::clone(id), Some(current)));
        }
    }

    /// Goes one step with a member towards its target, and tells it.
    pub(super) fn advance(
        &mut self,
        beat: &Heartbeat,
        said: Said,
        moment: &Moment<'_>,
    ) -> Result<HeartbeatAnswer, GroupError> {
        let unknown =
            || GroupError::UnknownMember { group: beat.group.clone(), member: beat.member.clone() };
        let group = self.groups.get_mut(beat.group.as_str()).ok_or_else(unknown)?;
        let epoch = group.epoch();
        let (id, member) = group.members.get_key_value(beat.member.as_str()).ok_or_else(unknown)?;
        let id = Arc::clone(id);
        let counts = said == Said::Current || planted(Defect::BelieveOldReports);
        let reported = beat.owned.as_ref().filter(|_| counts);
        let reported: Option<Partitions> = reported.map(|owned| owned.iter().copied().collect());
        let has_let_go = |owned: &Partitions| !owned.touches(&member.current.revoking);
        let released = reported.as_ref().is_some_and(has_let_go);
        // A known member that joins may be an old message: it is told where it stands, and goes on with its next one.
        let fresh = member.current.epoch == MemberEpoch::JOIN;
        let goes_on = counts || fresh;
        let next = if goes_on { group.next(&id, member, epoch, released) } else { None };
        if let Some(member) = group.members.get_mut(&id) {
            if let Some(reported) = reported {
                // A stranger that says more than it has is not remembered: it would cost memory.
                let has = member.current.assigned.len() + member.current.revoking.len();
                member.reported = Some(reported).filter(|reported| reported.len() <= has);
            }
            if let Some(next) = &next {
                let told = !next.revoking.is_empty() && next.revoking != member.current.revoking;
                if told {
                    member.drain = Some(moment.now.plus(member.drain_timeout()));
                } else if next.revoking.is_empty() {
                    member.drain = None;
                }
            }
        }
        if let Some(next) = next {
            let name: Name = beat.group.as_str().into();
            self.write(Record::Current(Arc::clone(&name), id, Some(next)));
            self.count_unowned(&name, moment);
        }
        self.told(beat, moment.topics).ok_or_else(unknown)
    }

    /// Where a member stands. All of its target is said until it says that it owns that.
    fn told(&self, beat: &Heartbeat, topics: &dyn Topics) -> Option<HeartbeatAnswer> {
        let member = self.groups.get(beat.group.as_str())?.members.get(beat.member.as_str())?;
        let assigned = &member.current.assigned;
        let knows = member.reported.as_ref() == Some(assigned);
        Some(HeartbeatAnswer {
            epoch: member.current.epoch,
            heartbeat_interval_ms: self.options.heartbeat_interval_ms,
            target: (!knows).then(|| by_topic(assigned, topics)),
        })
    }

    /// The metadata has changed: groups whose topics came, went or grew get another target.
    pub(super) fn look_at_topics(&mut self, moment: &Moment<'_>) {
        if planted(Defect::IgnoreTopicGrowth) {
            return;
        }
        let live = self.groups.iter().filter(|(_, group)| !group.members.is_empty());
        let names: Vec<Name> = live.map(|(name, _)| Arc::clone(name)).collect();
        let mut matched = Matched::new();
        for name in names {
            if self.resolve(&name, moment.topics, &mut matched) {
                self.change(&name);
            }
        }
    }

    fn count_unowned(&mut self, name: &Name, moment: &Moment<'_>) {
        if let Some(group) = self.groups.get_mut(name) {
            let unowned = group.unowned();
            group.figures.unowned(unowned, moment.now);
        }
    }
}

impl Group {
    /// What a member owns next; none when that stays as it is.
    fn next(
        &self,
        id: &Name,
        member: &Member,
        epoch: GroupEpoch,
        released: bool,
    ) -> Option<Current> {
        let before = &member.current;
        let mut next = before.clone();
        if released {
            next.revoking = Partitions::NONE;
        }
        if next.revoking.is_empty() {
            let mut kept = next.assigned.shared_with(&member.target);
            if planted(Defect::RevokeWhatStays) && kept != member.target {
                kept = Partitions::NONE;
            }
            let revoking = next.assigned.minus(&kept);
            if revoking.is_empty() {
                let is_free = |at: &_| {
                    self.owners.get(at).is_none_or(|owner| owner == id)
                        || planted(Defect::AssignBeforeRelease)
                };
                let given = member.target.iter().filter(is_free).collect();
                next.assigned = next.assigned.with(&given);
            } else {
                next.assigned = kept;
                next.revoking = revoking;
            }
        }
        if next != *before || before.epoch == MemberEpoch::JOIN {
            let epoch = MemberEpoch::new(epoch.get());
            let told = !next.revoking.is_empty() && next.revoking != before.revoking;
            assert!(
                !told || epoch > before.epoch || planted(Defect::RevokeWhatStays),
                "an order to let go raises the epoch"
            );
            if epoch > before.epoch {
                next.previous = before.epoch;
                next.epoch = epoch;
            }
        }
        (next != *before).then_some(next)
    }

    /// The members' choice, then the broker's: the one that most ask for, of several the first by name.
    fn preferred_assignor(&self) -> &'static dyn Assignor {
        let asked = self.members.values().filter_map(|m| m.stored.as_ref()?.assignor.as_deref());
        let mut votes = std::collections::BTreeMap::new();
        for name in asked {
            *votes.entry(name).or_insert(0_usize) += 1;
        }
        let most = votes.into_iter().rev().max_by_key(|(_, votes)| *votes);
        most.and_then(|(name, _)| assignor(name)).unwrap_or_else(default_assignor)
    }

    /// The targets that are not as before.
    fn assign(&self, assignor: &dyn Assignor) -> Vec<(Name, Partitions)> {
        let candidate = |(id, member)| candidate(id, member);
        let candidates: Vec<Candidate<'_>> = self.members.iter().map(candidate).collect();
        let shares = assignor.assign(&candidates, &self.topics);
        let members = candidates.iter().zip(shares);
        let moved = members.filter(|(candidate, share)| candidate.before != share);
        moved.map(|(candidate, share)| (Arc::clone(candidate.member), share)).collect()
    }
}

fn candidate<'a>(id: &'a Name, member: &'a Member) -> Candidate<'a> {
    Candidate {
        member: id,
        instance: member.instance(),
        topics: &member.topics,
        before: &member.target,
    }
}

/// As it is said to members and people.
pub(super) fn by_topic(partitions: &Partitions, topics: &dyn Topics) -> Vec<AssignedTopic> {
    let named = |(topic, partitions)| AssignedTopic {
        topic,
        name: topics.name_of(topic).unwrap_or_default().to_owned(),
        partitions,
    };
    partitions.by_topic().map(named).collect()
}

const fn after(epoch: GroupEpoch) -> GroupEpoch {
    GroupEpoch::new(epoch.get().saturating_add(1))
}
