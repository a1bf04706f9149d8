//! Everything on the disk, under one lock: files and folders by number, faults, counts.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};

use fastrand::Rng;

use super::content::{Content, PAGE_BYTES, count};
use super::folder::{Folder, NodeId};
use super::plan::Plan;
use super::stats::SimStats;

pub(super) const ROOT: NodeId = 0;

#[derive(Debug)]
pub(super) enum Node {
    File { content: Content, opened: u64 },
    Folder(Folder),
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) nodes: BTreeMap<NodeId, Node>,
    next_node: NodeId,
    pub(super) rng: Rng,
    pub(super) plan: Plan,
    pub(super) stats: SimStats,
    /// Raised by each crash and kill: what was open before is dead.
    pub(super) generation: u64,
    pub(super) is_down: bool,
    pub(super) locks: BTreeSet<PathBuf>,
    pub(super) capacity: Option<u64>,
    /// Counts of calls, failed ones too, by which faults are planned.
    pub(super) syncs: u64,
    pub(super) writes: u64,
    /// Whether maps have to be populated before they count as resident.
    pub(super) is_cold: bool,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            nodes: BTreeMap::from([(ROOT, Node::Folder(Folder::default()))]),
            next_node: ROOT + 1,
            rng: Rng::with_seed(seed),
            plan: Plan::default(),
            stats: SimStats::default(),
            generation: 0,
            is_down: false,
            locks: BTreeSet::new(),
            capacity: None,
            syncs: 0,
            writes: 0,
            is_cold: false,
        }
    }

    /// The node of a path by its live names.
    pub(super) fn find(&self, path: &Path) -> io::Result<NodeId> {
        self.walk(path, Folder::live)
    }

    /// The node of a path by its durable names.
    pub(super) fn find_durable(&self, path: &Path) -> io::Result<NodeId> {
        self.walk(path, Folder::durable)
    }

    fn walk(
        &self,
        path: &Path,
        names: fn(&Folder) -> &BTreeMap<std::ffi::OsString, NodeId>,
    ) -> io::Result<NodeId> {
        let mut at = ROOT;
        for name in names_of(path) {
            let found = names(self.folder(at, path)?).get(name);
            at = *found.ok_or_else(|| error(io::ErrorKind::NotFound, path))?;
        }
        Ok(at)
    }

    pub(super) fn folder(&self, node: NodeId, path: &Path) -> io::Result<&Folder> {
        match self.nodes.get(&node) {
            Some(Node::Folder(folder)) => Ok(folder),
            _ => Err(error(io::ErrorKind::NotADirectory, path)),
        }
    }

    pub(super) fn is_folder(&self, node: NodeId) -> bool {
        matches!(self.nodes.get(&node), Some(Node::Folder(_)))
    }

    pub(super) fn folder_mut(&mut self, node: NodeId, path: &Path) -> io::Result<&mut Folder> {
        match self.nodes.get_mut(&node) {
            Some(Node::Folder(folder)) => Ok(folder),
            _ => Err(error(io::ErrorKind::NotADirectory, path)),
        }
    }

    /// The folder that a path lies in, and the path's last name.
    pub(super) fn place<'p>(&self, path: &'p Path) -> io::Result<(NodeId, &'p OsStr)> {
        let invalid = || error(io::ErrorKind::InvalidInput, path);
        let name = path.file_name().ok_or_else(invalid)?;
        let parent = self.find(path.parent().ok_or_else(invalid)?)?;
        Ok((parent, name))
    }

    pub(super) fn content(&mut self, node: NodeId) -> io::Result<&mut Content> {
        match self.nodes.get_mut(&node) {
            Some(Node::File { content, .. }) => Ok(content),
            Some(Node::Folder(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn add(&mut self, node: Node) -> NodeId {
        let id = self.next_node;
        self.next_node += 1;
        self.nodes.insert(id, node);
        id
    }

    /// The bytes of all blocks that live names or open files hold. Walks the tree: asked with a
    /// capacity only.
    pub(super) fn used(&self) -> u64 {
        let mut held = BTreeSet::new();
        let mut folders = vec![ROOT];
        while let Some(node) = folders.pop() {
            match self.nodes.get(&node) {
                Some(Node::Folder(folder)) => folders.extend(folder.live().values()),
                Some(Node::File { .. }) => _ = held.insert(node),
                None => {}
            }
        }
        let files = self.nodes.iter().filter_map(|(id, node)| match node {
            Node::File { content, opened } if *opened > 0 || held.contains(id) => Some(content),
            _ => None,
        });
        files.map(|content| count(content.blocks_up_to(0))).sum()
    }

    /// How far a file may reach when it wants to reach up to `end`.
    pub(super) fn reach(&mut self, node: NodeId, end: usize) -> io::Result<usize> {
        let Some(capacity) = self.capacity else {
            return Ok(end);
        };
        let free = capacity.saturating_sub(self.used());
        let content = self.content(node)?;
        let has = content.blocks_up_to(0);
        let free = usize::try_from(free).unwrap_or(usize::MAX);
        let reach = has.saturating_add(free - free % PAGE_BYTES);
        Ok(end.min(reach))
    }

    /// Forgets files and folders that nothing leads to, today or after a crash.
    pub(super) fn collect(&mut self) {
        let mut reached = BTreeSet::new();
        let mut next = vec![ROOT];
        while let Some(node) = next.pop() {
            if reached.insert(node)
                && let Some(Node::Folder(folder)) = self.nodes.get(&node)
            {
                next.extend(folder.all_nodes());
            }
        }
        self.nodes.retain(|id, node| {
            reached.contains(id) || matches!(node, Node::File { opened, .. } if *opened > 0)
        });
    }

    /// The process is gone: what it had open or locked is void.
    pub(super) fn end_process(&mut self) {
        self.generation += 1;
        self.is_down = false;
        self.locks.clear();
        self.plan = Plan::default();
        for node in self.nodes.values_mut() {
            if let Node::File { opened, .. } = node {
                *opened = 0;
            }
        }
    }

    /// Counts a sync and says whether it goes well; goes down when that was planned.
    pub(super) fn meet_sync(&mut self) -> io::Result<bool> {
        self.syncs += 1;
        if self.plan.crash_at_sync == Some(self.syncs) {
            self.is_down = true;
            return Err(down());
        }
        let fails = self.plan.failing_syncs.remove(&self.syncs);
        self.stats.syncs_failed += u64::from(fails);
        Ok(!fails)
    }
}

/// The names on the way from the root; paths are taken as absolute.
pub(super) fn names_of(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    })
}

pub(super) fn error(kind: io::ErrorKind, path: &Path) -> io::Error {
    io::Error::new(kind, format!("{}: {kind}", path.display()))
}

pub(super) fn down() -> io::Error {
    io::Error::other("the simulated machine is down")
}
