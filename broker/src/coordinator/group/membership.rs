//! Who is in a group: joining, staying, leaving, and being taken for dead.

use std::sync::Arc;

use thalweg_protocol::MemberEpoch;
use thalweg_storage::defects::{Defect, planted};

use super::assignor::assignor;
use super::error::GroupError;
use super::member::Member;
use super::offsets::check_count;
use super::options::Moment;
use super::record::{Name, Record};
use super::request::{GroupKind, Heartbeat, HeartbeatAnswer};
use super::room::check_group;
use super::state::{Group, Groups};
use super::stored::{Current, StoredMember};
use super::subscription;

/// The longest name of a member or an instance, in bytes.
const MEMBER_BYTES_MAX: usize = 255;

/// Members that a refusal names at most.
const NAMED_MAX: usize = 10;

/// What a heartbeat is, once it was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// The member has left.
    Left(HeartbeatAnswer),
    /// It is a member, and knows of its epoch what is said.
    Member(Said),
}

/// What a heartbeat's epoch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The member joins.
    Join,
    /// It has heard all that it was told: what it says that it owns counts.
    Current,
    /// It has not heard of its newest epoch: what it says is older than that.
    Previous,
}

impl Groups {
    /// Takes a heartbeat in: afterwards the member is in the group or out of it. What it shall own is said by
    /// `advance`, when the round has settled.
    pub(super) fn enter(
        &mut self,
        beat: &Heartbeat,
        moment: &Moment<'_>,
    ) -> Result<Entered, GroupError> {
        check_group(&beat.group)?;
        self.check(beat)?;
        match beat.epoch {
            MemberEpoch::LEAVE => Ok(Entered::Left(self.leave(beat))),
            MemberEpoch::LEAVE_FOR_A_WHILE => {
                self.leave_for_a_while(beat, moment).map(Entered::Left)
            }
            MemberEpoch::JOIN => self.join(beat, moment).map(|()| Entered::Member(Said::Join)),
            epoch if epoch > MemberEpoch::JOIN => self.stay(beat, moment).map(Entered::Member),
            epoch => Err(invalid(beat, format!("a member has no epoch {epoch}"))),
        }
    }

    /// What can be said of a heartbeat without its group.
    fn check(&self, beat: &Heartbeat) -> Result<(), GroupError> {
        let names = std::iter::once(&beat.member).chain(&beat.instance);
        for name in names {
            if !(1..=MEMBER_BYTES_MAX).contains(&name.len()) {
                let bytes = name.len();
                let what = format!(
                    "a member's name has 1 to {MEMBER_BYTES_MAX} bytes, this one has {bytes}"
                );
                return Err(invalid(beat, what));
            }
        }
        check_count(&beat.group, beat.owned.as_ref().map_or(0, Vec::len))?;
        if let Some(subscription) = &beat.subscription {
            subscription::check(&beat.group, subscription)?;
        }
        if let Some(name) = &beat.assignor
            && assignor(name).is_none()
        {
            return Err(invalid(beat, format!("there is no assignor {name:?}")));
        }
        let (min, max) = (self.options.session_timeout_ms_min, self.options.session_timeout_ms_max);
        let session = beat.session_timeout_ms;
        if session != 0 && !(min..=max).contains(&session) {
            let what = format!("a session of {session} ms; allowed are {min} to {max} ms");
            return Err(invalid(beat, what));
        }
        let (drain, max) = (beat.drain_timeout_ms, self.options.drain_timeout_ms_max);
        if drain > max {
            return Err(invalid(beat, format!("a drain timeout of {drain} ms; at most {max} ms")));
        }
        Ok(())
    }

    fn join(&mut self, beat: &Heartbeat, moment: &Moment<'_>) -> Result<(), GroupError> {
        let Some(subscription) = beat.subscription.clone() else {
            return Err(invalid(beat, "a member joins with its subscription".to_owned()));
        };
        let (group, id): (Name, Name) = (beat.group.as_str().into(), beat.member.as_str().into());
        let stored = StoredMember {
            instance: beat.instance.clone(),
            client: beat.client.clone(),
            session_timeout_ms: or_default(
                beat.session_timeout_ms,
                self.options.session_timeout_ms,
            ),
            drain_timeout_ms: or_default(beat.drain_timeout_ms, self.options.drain_timeout_ms),
            assignor: beat.assignor.clone(),
            subscription,
        };
        let before = self.predecessor(beat)?;
        if before.is_none() {
            self.check_room(beat, moment)?;
        }
        // Last of all that can be refused: nothing is compiled for who may not join.
        let pattern = self.compile(&beat.group, &stored.subscription)?;
        if !self.groups.contains_key(&group) {
            self.write(Record::Group(Arc::clone(&group), Some(Self::fresh(None))));
        }
        if let Some(before) = before {
            self.take_over(&group, &before, &id);
        }
        if self.member(&group, &id).is_none_or(|member| member.stored.as_ref() != Some(&stored)) {
            self.write(Record::Member(Arc::clone(&group), Arc::clone(&id), Some(stored)));
            self.change(&group);
        }
        if let Some(member) = self.member(&group, &id) {
            member.touch(moment.now);
            member.pattern = pattern;
            member.reported = None;
        }
        Ok(())
    }

    /// The member whose place the joining one takes: itself, when it is known; of a static member the one that went
    /// away under the same instance.
    fn predecessor(&self, beat: &Heartbeat) -> Result<Option<Name>, GroupError> {
        let Some(group) = self.groups.get(beat.group.as_str()) else { return Ok(None) };
        if group.kind() == GroupKind::Classic {
            return Err(GroupError::Kind { group: beat.group.clone() });
        }
        let known = group.members.get_key_value(beat.member.as_str());
        if let Some((id, member)) = known {
            if member.instance() != beat.instance.as_deref() {
                return Err(invalid(beat, "a member keeps its instance".to_owned()));
            }
            return Ok(Some(Arc::clone(id)));
        }
        let Some(instance) = &beat.instance else { return Ok(None) };
        let Some(holder) = group.instances.get(instance) else { return Ok(None) };
        let Some(member) = group.members.get(holder) else { return Ok(None) };
        if !member.is_away() && !planted(Defect::TakeOverLiveInstance) {
            return Err(GroupError::InstanceInUse {
                group: beat.group.clone(),
                instance: instance.clone(),
                member: holder.to_string(),
                timeout_ms: member.stored.as_ref().map_or(0, |stored| stored.session_timeout_ms),
            });
        }
        Ok(Some(Arc::clone(holder)))
    }

    /// The member gets what `before` has, when that one is away: it reads nothing meanwhile.
    fn take_over(&mut self, group: &Name, before: &Name, id: &Name) {
        let Some(known) = self.member(group, before) else { return };
        if before == id && !known.is_away() {
            return;
        }
        let target = known.target.clone();
        let current = Current {
            epoch: MemberEpoch::JOIN,
            previous: MemberEpoch::JOIN,
            assigned: known.current.assigned.clone(),
            revoking: known.current.revoking.clone(),
        };
        let stored = known.stored.clone();
        if before != id {
            self.forget_member(group, before);
            self.write(Record::Member(Arc::clone(group), Arc::clone(id), stored));
            self.write(Record::Target(Arc::clone(group), Arc::clone(id), Some(target)));
        }
        self.write(Record::Current(Arc::clone(group), Arc::clone(id), Some(current)));
        self.change(group);
    }

    fn stay(&mut self, beat: &Heartbeat, moment: &Moment<'_>) -> Result<Said, GroupError> {
        let (group, id): (Name, Name) = (beat.group.as_str().into(), beat.member.as_str().into());
        let unknown =
            || GroupError::UnknownMember { group: beat.group.clone(), member: beat.member.clone() };
        let member = self.member(&group, &id).ok_or_else(unknown)?;
        if member.stored.is_none() {
            return Err(unknown());
        }
        let said = if beat.epoch == member.current.epoch {
            Said::Current
        } else if beat.epoch == member.current.previous && !member.is_away() {
            Said::Previous
        } else {
            return Err(GroupError::FencedMemberEpoch {
                group: beat.group.clone(),
                member: beat.member.clone(),
                found: beat.epoch,
                current: member.current.epoch,
            });
        };
        // What was said before the member's newest epoch may be older than what it said since.
        if said == Said::Current {
            self.want(beat, &group, &id)?;
        }
        if let Some(member) = self.member(&group, &id) {
            member.touch(moment.now);
        }
        Ok(said)
    }

    /// A member wants something else, perhaps.
    fn want(&mut self, beat: &Heartbeat, group: &Name, id: &Name) -> Result<(), GroupError> {
        if beat.subscription.is_none() && beat.assignor.is_none() {
            return Ok(());
        }
        let wants = beat.subscription.as_ref();
        let pattern = wants.map(|wants| self.compile(&beat.group, wants)).transpose()?;
        let Some(member) = self.member(group, id) else { return Ok(()) };
        let Some(stored) = &member.stored else { return Ok(()) };
        let mut next = stored.clone();
        if let Some(subscription) = wants {
            next.subscription = subscription.clone();
        }
        if beat.assignor.is_some() {
            next.assignor.clone_from(&beat.assignor);
        }
        if next == *stored {
            return Ok(());
        }
        self.write(Record::Member(Arc::clone(group), Arc::clone(id), Some(next)));
        if let (Some(member), Some(pattern)) = (self.member(group, id), pattern) {
            member.pattern = pattern;
        }
        self.change(group);
        Ok(())
    }

    /// A member that is not there has left already.
    fn leave(&mut self, beat: &Heartbeat) -> HeartbeatAnswer {
        let (group, id): (Name, Name) = (beat.group.as_str().into(), beat.member.as_str().into());
        if self.member(&group, &id).is_some() {
            self.forget_member(&group, &id);
            self.change(&group);
        }
        self.left(beat)
    }

    fn leave_for_a_while(
        &mut self,
        beat: &Heartbeat,
        moment: &Moment<'_>,
    ) -> Result<HeartbeatAnswer, GroupError> {
        let (group, id): (Name, Name) = (beat.group.as_str().into(), beat.member.as_str().into());
        let Some(member) = self.member(&group, &id) else { return Ok(self.left(beat)) };
        if member.instance().is_none() {
            let what =
                "only a static member, one with an instance, can leave for a while".to_owned();
            return Err(invalid(beat, what));
        }
        member.touch(moment.now);
        member.drain = None;
        // It reads nothing any more, so it has let go of what it was told to.
        let current = Current {
            epoch: MemberEpoch::LEAVE_FOR_A_WHILE,
            previous: MemberEpoch::LEAVE_FOR_A_WHILE,
            assigned: member.current.assigned.shared_with(&member.target),
            revoking: super::partitions::Partitions::NONE,
        };
        self.write(Record::Current(group, id, Some(current)));
        Ok(self.left(beat))
    }

    fn left(&self, beat: &Heartbeat) -> HeartbeatAnswer {
        let heartbeat_interval_ms = self.options.heartbeat_interval_ms;
        HeartbeatAnswer { epoch: beat.epoch, heartbeat_interval_ms, target: None }
    }

    /// A group's members, or what they want, have changed.
    pub(super) fn change(&mut self, name: &Name) {
        if let Some(group) = self.groups.get_mut(name) {
            group.changed = true;
            self.dirty.insert(Arc::clone(name));
        }
    }
}

impl Group {
    /// Some of the members, with who speaks for them: an operator has to find them.
    pub(super) fn named_members(&self) -> Vec<String> {
        let named = |(id, member): (&Name, &Member)| {
            let client = member.stored.as_ref().map(|stored| &stored.client);
            client.map_or_else(|| id.to_string(), |c| format!("{id} ({} at {})", c.name, c.host))
        };
        let mut names: Vec<String> = self.members.iter().take(NAMED_MAX).map(named).collect();
        if self.members.len() > NAMED_MAX {
            names.push(format!("and {} more", self.members.len() - NAMED_MAX));
        }
        names
    }
}

fn invalid(beat: &Heartbeat, what: String) -> GroupError {
    GroupError::InvalidRequest { group: beat.group.clone(), what }
}

const fn or_default(asked: u32, default: u32) -> u32 {
    if asked == 0 { default } else { asked }
}
