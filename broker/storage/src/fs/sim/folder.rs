//! The names in one folder: as the process sees them, and as the disk holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

use super::content::count;
use super::crash::Dice;
use super::stats::SimStats;

/// A file or folder, whatever its name.
pub(super) type NodeId = u64;

#[derive(Debug, Default)]
pub(super) struct Folder {
    live: BTreeMap<OsString, NodeId>,
    durable: BTreeMap<OsString, NodeId>,
    pending: Vec<Change>,
}

/// What one call changes: one name, or two when it renames. It survives as a whole or not at all.
type Change = Vec<(OsString, Option<NodeId>)>;

impl Folder {
    pub(super) fn live(&self) -> &BTreeMap<OsString, NodeId> {
        &self.live
    }

    pub(super) fn durable(&self) -> &BTreeMap<OsString, NodeId> {
        &self.durable
    }

    /// Everything that a name leads to, could lead to after a crash, or has led to.
    pub(super) fn all_nodes(&self) -> impl Iterator<Item = NodeId> {
        let pending = self.pending.iter().flatten();
        let pending = pending.filter_map(|(_, node)| *node);
        let held = self.live.values().chain(self.durable.values()).copied();
        held.chain(pending)
    }

    pub(super) fn add(&mut self, name: &OsStr, node: NodeId) {
        self.change(vec![(name.to_owned(), Some(node))]);
    }

    pub(super) fn remove(&mut self, name: &OsStr) {
        self.change(vec![(name.to_owned(), None)]);
    }

    pub(super) fn rename(&mut self, from: &OsStr, to: &OsStr, node: NodeId) {
        self.change(vec![(from.to_owned(), None), (to.to_owned(), Some(node))]);
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.live, &change);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        self.durable.clone_from(&self.live);
        self.pending.clear();
    }

    /// Keeps any subset of the pending changes, but of those that share a name none without the earlier ones.
    pub(super) fn crash(&mut self, dice: &mut Dice, stats: &mut SimStats) {
        let all = self.pending.len();
        let mut needed = BTreeSet::new();
        let mut kept = Vec::new();
        for change in self.pending.drain(..).rev() {
            let is_needed = change.iter().any(|(name, _)| needed.contains(name));
            if dice.keeps_entry() || is_needed {
                needed.extend(change.iter().map(|(name, _)| name.clone()));
                kept.push(change);
            }
        }
        stats.entries_kept += count(kept.len());
        stats.entries_dropped += count(all - kept.len());
        for change in kept.iter().rev() {
            apply(&mut self.durable, change);
        }
        self.live.clone_from(&self.durable);
    }
}

fn apply(names: &mut BTreeMap<OsString, NodeId>, change: &Change) {
    for (name, node) in change {
        match node {
            Some(node) => names.insert(name.clone(), *node),
            None => names.remove(name),
        };
    }
}
