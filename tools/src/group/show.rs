//! Words for what groups are and do, the same in every table.

use std::collections::BTreeSet;

use thalweg_client::{DescribedGroup, DescribedMember, GroupKind, GroupState};

/// A state's name.
pub(super) const fn state(state: GroupState) -> &'static str {
    match state {
        GroupState::Empty => "empty",
        GroupState::Assigning => "assigning",
        GroupState::Reconciling => "reconciling",
        GroupState::Stable => "stable",
    }
}

/// A kind's name.
pub(super) const fn kind(kind: GroupKind) -> &'static str {
    match kind {
        GroupKind::Consumer => "consumer",
        GroupKind::Classic => "classic",
    }
}

/// What is shown of a member's id where it is one among few: enough to tell them apart.
const SHORT_CHARS: usize = 8;

/// Members by the names that tables show.
pub(super) struct Names {
    are_short: bool,
}

impl Names {
    /// Ids are cut if they can still be told apart.
    pub(super) fn of(group: &DescribedGroup) -> Self {
        let ids = || group.members.iter().map(|member| member.member.as_str());
        let cut: BTreeSet<&str> = ids().map(short).collect();
        Self { are_short: cut.len() == ids().count() }
    }

    /// The name of a member by its id; `-` for nobody.
    pub(super) fn name<'a>(&self, id: &'a str) -> &'a str {
        match id {
            "" => "-",
            id if self.are_short => short(id),
            id => id,
        }
    }
}

fn short(id: &str) -> &str {
    id.char_indices().nth(SHORT_CHARS).map_or(id, |(at, _)| id.get(..at).unwrap_or(id))
}

/// The members in a sentence: which client, from where.
pub(super) fn listed(members: &[DescribedMember]) -> String {
    const MEMBERS_MAX: usize = 6;
    let more = members.len().saturating_sub(MEMBERS_MAX);
    let each = members.iter().take(MEMBERS_MAX).map(|member| {
        let name = member.instance.as_deref().unwrap_or_else(|| short(&member.member));
        format!("{name} ({} from {})", member.client_name, member.host)
    });
    let text = each.collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{text} and {more} more") } else { text }
}
