//! The disk as the log and the test see it: a file system, and the switches for its faults.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::file_system::{File, FileSystem, Space, too_large};
use super::content::Content;
use super::crash::Crash;
use super::file::SimFile;
use super::folder::{Folder, NodeId};
use super::state::{Node, ROOT, State, down, error, names_of};
use super::stats::SimStats;

/// What a disk without a set capacity says it has.
const CAPACITY_BYTES: u64 = 1 << 40;

/// A disk in memory; clones are the same disk. Paths count from its root.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// An empty disk. The seed decides where a failing write ends and what a kill evicts; each crash
    /// brings its own.
    pub fn new(seed: u64) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(seed))) }
    }

    /// Cuts the power and starts the machine again: unsynced changes survive as the crash says, and every
    /// file, map and lock from before is dead. Plans are forgotten, counts are not.
    pub fn crash(&self, crash: Crash) {
        let mut dice = crash.dice();
        let state = &mut *self.state();
        state.end_process();
        state.stats.crashes += 1;
        for node in state.nodes.values_mut() {
            match node {
                Node::File { content, .. } => content.crash(&mut dice, &mut state.stats),
                Node::Folder(folder) => folder.crash(&mut dice, &mut state.stats),
            }
        }
        state.collect();
    }

    /// Ends the process and keeps the page cache, as `kill -9` does. Of what a failed sync lost, some pages
    /// leave the cache.
    pub fn kill(&self) {
        let state = &mut *self.state();
        state.end_process();
        state.stats.kills += 1;
        for node in state.nodes.values_mut() {
            if let Node::File { content, .. } = node {
                content.evict(|| state.rng.u8(0..4) == 0, &mut state.stats);
            }
        }
    }

    /// From the `nth` sync from now (1 is the next) on every call fails, until [`Self::crash`] or
    /// [`Self::kill`]. The sync itself does nothing.
    pub fn crash_at_sync(&self, nth: u64) {
        let mut state = self.state();
        state.plan.crash_at_sync = Some(state.syncs + nth);
    }

    /// The same at the `nth` write, which writes any part of its bytes.
    pub fn crash_at_write(&self, nth: u64) {
        let mut state = self.state();
        state.plan.crash_at_write = Some(state.writes + nth);
    }

    /// The `nth` sync from now fails. What it should have written never reaches the disk, although later
    /// syncs succeed.
    pub fn fail_sync(&self, nth: u64) {
        let mut state = self.state();
        let number = state.syncs + nth;
        state.plan.failing_syncs.insert(number);
    }

    /// The `nth` write from now fails after any part of its bytes.
    pub fn fail_write(&self, nth: u64) {
        let mut state = self.state();
        let number = state.writes + nth;
        state.plan.failing_writes.insert(number);
    }

    /// The next list of a folder fails.
    pub fn fail_list(&self) {
        self.state().plan.failing_lists += 1;
    }

    /// The next removal of a file fails.
    pub fn fail_removal(&self) {
        self.state().plan.failing_removals += 1;
    }

    /// Runs in each sync after it has chosen what it writes and before it has written it: the place for an
    /// append that this sync must not be credited with. The hook must not call a sync hook again for ever.
    pub fn during_sync(&self, hook: impl Fn() + Send + Sync + 'static) {
        self.state().plan.during_sync = Some(Arc::new(hook));
    }

    /// Takes the hook away.
    pub fn clear_hook(&self) {
        self.state().plan.during_sync = None;
    }

    /// How many bytes of blocks the disk has; unlimited with `None`.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Bytes of the blocks that are taken.
    pub fn used_bytes(&self) -> u64 {
        self.state().used()
    }

    /// Runs in each read that has to wait for a cold disk, before it has read anything.
    pub fn during_cold_read(&self, hook: impl Fn() + Send + Sync + 'static) {
        self.state().plan.during_cold_read = Some(Arc::new(hook));
    }

    /// Whether files must be read once by somebody who waits, and maps made from now on be populated, before they
    /// count as resident.
    pub fn set_cold(&self, is_cold: bool) {
        self.state().is_cold = is_cold;
    }

    /// Flips one bit of a file, on the disk and in the page cache; fails past the file's end.
    pub fn flip_bit(&self, path: &Path, position: usize, bit: u8) -> io::Result<()> {
        let mut state = self.state();
        let node = state.find(path)?;
        if !state.content(node)?.flip(position, bit) {
            return Err(error(io::ErrorKind::UnexpectedEof, path));
        }
        state.stats.bits_flipped += 1;
        Ok(())
    }

    /// What a crash that keeps nothing would leave of a file.
    pub fn durable_bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        let node = state.find_durable(path)?;
        Ok(state.content(node)?.durable().to_vec())
    }

    /// Syncs of files and folders called so far, failed ones too.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Writes called so far, failed ones too.
    pub fn writes(&self) -> u64 {
        self.state().writes
    }

    /// Whether a planned crash has happened that [`Self::crash`] or [`Self::kill`] has not ended yet.
    pub fn is_down(&self) -> bool {
        self.state().is_down
    }

    /// What has happened so far.
    pub fn stats(&self) -> SimStats {
        self.state().stats
    }

    /// A test that panics while it holds the lock says so itself.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, unless the machine is down.
    pub(super) fn running(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.is_down { Err(down()) } else { Ok(state) }
    }

    fn opened(&self, mut state: MutexGuard<'_, State>, node: NodeId) -> Arc<dyn File> {
        if let Some(Node::File { opened, .. }) = state.nodes.get_mut(&node) {
            *opened += 1;
        }
        let generation = state.generation;
        drop(state);
        Arc::new(SimFile::new(self.clone(), node, generation))
    }
}

impl FileSystem for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut state = self.running()?;
        let (parent, name) = state.place(path)?;
        if state.folder(parent, path)?.live().contains_key(name) {
            return Err(error(io::ErrorKind::AlreadyExists, path));
        }
        let content = Content::default();
        let node = state.add(Node::File { content, opened: 0 });
        state.folder_mut(parent, path)?.add(name, node);
        Ok(self.opened(state, node))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut state = self.running()?;
        let node = state.find(path)?;
        state.content(node)?;
        Ok(self.opened(state, node))
    }

    fn read_small(&self, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
        let mut state = self.running()?;
        let node = state.find(path)?;
        let bytes = state.content(node)?.live();
        if bytes.len() > bytes_max {
            return Err(too_large(path, bytes_max));
        }
        Ok(bytes.to_vec())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.running()?;
        let (parent, name) = state.place(path)?;
        let node = state.find(path)?;
        state.content(node)?;
        if state.plan.failing_removals > 0 {
            state.plan.failing_removals -= 1;
            state.stats.removals_failed += 1;
            return Err(io::Error::other("planned failure of a removal"));
        }
        state.folder_mut(parent, path)?.remove(name);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.running()?;
        let node = state.find(from)?;
        let (parent, from_name) = state.place(from)?;
        let (to_parent, to_name) = state.place(to)?;
        if parent != to_parent {
            return Err(error(io::ErrorKind::CrossesDevices, to));
        }
        let replaced = state.folder(parent, from)?.live().get(to_name).copied();
        if replaced == Some(node) {
            return Ok(());
        }
        // Nobody here replaces a folder, so not even an empty one can be.
        if replaced.is_some_and(|replaced| state.is_folder(replaced)) {
            return Err(error(io::ErrorKind::DirectoryNotEmpty, to));
        }
        if replaced.is_some() && state.is_folder(node) {
            return Err(error(io::ErrorKind::NotADirectory, to));
        }
        state.folder_mut(parent, from)?.rename(from_name, to_name, node);
        Ok(())
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.running()?;
        let mut at = ROOT;
        for name in names_of(path) {
            let found = state.folder(at, path)?.live().get(name).copied();
            if let Some(node) = found {
                at = node;
            } else {
                let node = state.add(Node::Folder(Folder::default()));
                state.folder_mut(at, path)?.add(name, node);
                at = node;
            }
        }
        state.folder(at, path)?;
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.running()?;
        let (parent, name) = state.place(path)?;
        let node = state.find(path)?;
        state.folder(node, path)?;
        let mut folders = vec![node];
        // Each removal may survive a crash alone: the folder may be there again with half of its files.
        while let Some(node) = folders.pop() {
            if let Some(Node::Folder(folder)) = state.nodes.get_mut(&node) {
                folders.extend(folder.live().values());
                let names: Vec<_> = folder.live().keys().cloned().collect();
                for name in names {
                    folder.remove(&name);
                }
            }
        }
        state.folder_mut(parent, path)?.remove(name);
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut state = self.running()?;
        if state.plan.failing_lists > 0 {
            state.plan.failing_lists -= 1;
            state.stats.lists_failed += 1;
            return Err(io::Error::other("planned failure of a list"));
        }
        let node = state.find(path)?;
        let names = state.folder(node, path)?.live().keys();
        Ok(names.map(|name| path.join(name)).collect())
    }

    fn exists(&self, path: &Path) -> bool {
        self.running().is_ok_and(|state| state.find(path).is_ok())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.running()?;
        let node = state.find(path)?;
        state.folder(node, path)?;
        if !state.meet_sync()? {
            return Err(io::Error::other("planned failure of a folder's sync"));
        }
        state.folder_mut(node, path)?.sync();
        state.stats.folder_syncs += 1;
        state.collect();
        Ok(())
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let state = self.running()?;
        state.find(path)?;
        let total = state.capacity.unwrap_or(CAPACITY_BYTES);
        let used = state.capacity.map_or(0, |_| state.used());
        Ok(Space { total, free: total.saturating_sub(used) })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        if !self.exists(path) {
            self.create(path)?;
        }
        let mut state = self.running()?;
        if !state.locks.insert(path.to_owned()) {
            return Err(error(io::ErrorKind::WouldBlock, path));
        }
        Ok(Box::new(Lock {
            disk: self.clone(),
            generation: state.generation,
            path: path.to_owned(),
        }))
    }
}

struct Lock {
    disk: SimDisk,
    generation: u64,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.generation == self.generation {
            state.locks.remove(&self.path);
        }
    }
}
