//! How many groups and members the shards of one broker hold together, and which part of that is whose.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Of all shards together.
#[derive(Debug, Default)]
pub(super) struct Held {
    groups: AtomicUsize,
    members: AtomicUsize,
}

/// One shard's part; given back when it is dropped, however the shard's worker ends.
#[derive(Debug)]
pub(super) struct Share {
    all: Arc<Held>,
    groups: usize,
    members: usize,
}

impl Share {
    /// No group and no member yet.
    pub(super) const fn new(all: Arc<Held>) -> Self {
        Self { all, groups: 0, members: 0 }
    }

    /// The shard holds so many.
    pub(super) fn set(&mut self, groups: usize, members: usize) {
        let change = |all: &AtomicUsize, before: usize, now: usize| {
            if now != before {
                all.fetch_add(now, Ordering::Relaxed);
                all.fetch_sub(before, Ordering::Relaxed);
            }
        };
        change(&self.all.groups, self.groups, groups);
        change(&self.all.members, self.members, members);
        (self.groups, self.members) = (groups, members);
    }

    /// What other shards hold.
    pub(super) fn groups_elsewhere(&self) -> usize {
        self.all.groups.load(Ordering::Relaxed).saturating_sub(self.groups)
    }

    /// What other shards hold.
    pub(super) fn members_elsewhere(&self) -> usize {
        self.all.members.load(Ordering::Relaxed).saturating_sub(self.members)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_given_back_however_its_shard_ends() {
        let all = Arc::new(Held::default());
        let mut one = Share::new(Arc::clone(&all));
        let mut other = Share::new(Arc::clone(&all));
        one.set(3, 40);
        other.set(2, 5);
        other.set(1, 7);
        assert_eq!((one.groups_elsewhere(), one.members_elsewhere()), (1, 7));
        drop(other);
        assert_eq!((one.groups_elsewhere(), one.members_elsewhere()), (0, 0));
    }
}
