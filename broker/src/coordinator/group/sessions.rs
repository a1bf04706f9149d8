//! Who is taken out of a group: whose session is over, and who does not let go in time.

use std::sync::Arc;
use std::time::Duration;

use thalweg_storage::defects::{Defect, planted};

use super::member::Member;
use super::record::Name;
use super::state::Groups;
use crate::base::Monotonic;

/// How often sessions have to be looked at, so that nobody stays much longer than it may.
pub const SESSION_CHECK: Duration = Duration::from_millis(100);

/// A member that was taken out of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fenced {
    /// The group.
    pub group: Name,
    /// The member.
    pub member: Name,
    /// Why, in words.
    pub reason: &'static str,
}

impl Groups {
    /// Takes out whose session is over, and who did not let go in time.
    pub(super) fn expire_members(&mut self, heard: Monotonic) -> Vec<Fenced> {
        let mut fenced = Vec::new();
        for (name, group) in &self.groups {
            for (id, member) in &group.members {
                if let Some(reason) = overdue(member, heard) {
                    fenced.push(Fenced { group: Arc::clone(name), member: Arc::clone(id), reason });
                }
            }
        }
        // The same order in every run of the same history.
        fenced.sort_by(|a, b| (&a.group, &a.member).cmp(&(&b.group, &b.member)));
        for Fenced { group, member, .. } in &fenced {
            self.forget_member(group, member);
            self.change(group);
        }
        fenced
    }
}

fn overdue(member: &Member, heard: Monotonic) -> Option<&'static str> {
    let drain = member.drain.is_some_and(|drain| drain <= heard);
    if member.deadline <= heard {
        Some("no heartbeat within its session timeout")
    } else if drain && !member.current.revoking.is_empty() && !planted(Defect::WaitForDrainForEver)
    {
        Some("it did not let go within its drain timeout")
    } else {
        None
    }
}
