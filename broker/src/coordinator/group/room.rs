//! What groups are allowed: their names, how many there may be, and how many members.

use super::error::GroupError;
use super::options::Moment;
use super::request::Heartbeat;
use super::state::Groups;

/// The longest name of a group, in bytes.
const GROUP_BYTES_MAX: usize = 255;

/// Whether a group can have this name.
pub fn check_group(name: &str) -> Result<(), GroupError> {
    if (1..=GROUP_BYTES_MAX).contains(&name.len()) {
        Ok(())
    } else {
        Err(GroupError::InvalidGroup { found: name.len(), max: GROUP_BYTES_MAX })
    }
}

impl Groups {
    /// Whether one more member, and a group for it, may be.
    pub(super) fn check_room(
        &self,
        beat: &Heartbeat,
        moment: &Moment<'_>,
    ) -> Result<(), GroupError> {
        let group = beat.group.as_str();
        let Some(known) = self.groups.get(group) else {
            self.check_group_room(group, moment)?;
            return self.check_member_room(group, moment);
        };
        if known.members.len() >= self.options.members_max {
            let members = known.members.len();
            return Err(GroupError::GroupFull { group: group.to_owned(), members });
        }
        self.check_member_room(group, moment)
    }

    /// Whether one more member may be, in whatever group.
    fn check_member_room(&self, group: &str, moment: &Moment<'_>) -> Result<(), GroupError> {
        let members = self.members() + moment.members_elsewhere;
        if members >= self.options.members_all_max {
            return Err(GroupError::TooManyMembers { group: group.to_owned(), members });
        }
        Ok(())
    }

    /// Whether one more group may be.
    pub(super) fn check_group_room(
        &self,
        group: &str,
        moment: &Moment<'_>,
    ) -> Result<(), GroupError> {
        let groups = self.groups.len() + moment.groups_elsewhere;
        if groups >= self.options.groups_max {
            return Err(GroupError::TooManyGroups { group: group.to_owned(), groups });
        }
        Ok(())
    }
}
