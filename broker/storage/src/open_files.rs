//! A bound on the files and maps that are open at one time; those used longest ago are closed first.
//!
//! Owns the descriptors and maps of segments, one [`Slot`] for each file. A slot in use opens its file
//! again by itself, so nobody above notices. A *pinned* slot (its file has unsynced bytes) is never closed:
//! only the descriptor that wrote the bytes is sure to hear of their loss.
//! Invariants: a slot's lock is taken before the table's, never after; an entry of the order counts only
//! while the slot says that this is its place.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::fs::{File, FileSystem, Map};

/// Descriptors that are left to sockets, indexes, checkpoints and the process itself.
const OTHERS_MIN: u64 = 512;

/// Fewest slots, however low the process's limit is.
const SLOTS_MIN: usize = 16;

/// Most slots: each may have a map, and the kernel allows 65,530 maps in a process.
const SLOTS_MAX: usize = 48_000;

/// How many slots an eviction looks at before it lets the table pass its bound: more are pinned.
const TRIES_MAX: usize = 64;

/// The open files of a process. Cheap to share; all log directories use one.
#[derive(Debug)]
pub struct OpenFiles {
    slots_max: usize,
    /// Rises with every use; a slot's last use is its place in the order.
    clock: AtomicU64,
    /// Open slots by a use of theirs, not always the last: a slot used since then is put further back
    /// when its turn comes, so that a use costs no lock.
    order: Mutex<BTreeMap<u64, Weak<Slot>>>,
    opened: AtomicU64,
    evicted: AtomicU64,
    passed: AtomicU64,
}

/// What the table has counted since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFileCounts {
    /// Slots that are open now.
    pub open: usize,
    /// The bound.
    pub open_max: usize,
    /// Files opened, the first time or again.
    pub opened_total: u64,
    /// Files closed to make room.
    pub evicted_total: u64,
    /// Times the bound was passed because every file at hand was pinned or in use.
    pub passed_total: u64,
}

impl OpenFiles {
    /// A table for a process that may have `descriptors_max` descriptors (`RLIMIT_NOFILE`): it takes half of them,
    /// the other half is for connections.
    pub fn for_descriptors(descriptors_max: u64) -> Arc<Self> {
        let half = descriptors_max.saturating_sub(OTHERS_MIN) / 2;
        let slots = usize::try_from(half).unwrap_or(usize::MAX);
        Self::new(slots.clamp(SLOTS_MIN, SLOTS_MAX))
    }

    /// A table of at most `slots_max` open slots.
    pub fn new(slots_max: usize) -> Arc<Self> {
        Arc::new(Self {
            slots_max: slots_max.max(1),
            clock: AtomicU64::new(0),
            order: Mutex::new(BTreeMap::new()),
            opened: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            passed: AtomicU64::new(0),
        })
    }

    /// What was counted.
    pub fn counts(&self) -> OpenFileCounts {
        OpenFileCounts {
            open: self.order().len(),
            open_max: self.slots_max,
            opened_total: self.opened.load(Ordering::Relaxed),
            evicted_total: self.evicted.load(Ordering::Relaxed),
            passed_total: self.passed.load(Ordering::Relaxed),
        }
    }

    /// A slot for a file that is there and not open yet. `map_bytes` is what [`Slot::map`] will cover: for
    /// an active segment all that it may become, else its length.
    pub fn slot(
        self: &Arc<Self>,
        fs: &Arc<dyn FileSystem>,
        path: PathBuf,
        map_bytes: usize,
    ) -> Arc<Slot> {
        Arc::new(Slot {
            table: Arc::clone(self),
            fs: Arc::clone(fs),
            pins: AtomicU32::new(0),
            used: AtomicU64::new(0),
            map_bytes: AtomicUsize::new(map_bytes),
            held: Mutex::new(Held { path, file: None, map: None, place: None }),
        })
    }

    /// Creates the file and a slot that holds it, pinned once.
    pub fn create(
        self: &Arc<Self>,
        fs: &Arc<dyn FileSystem>,
        path: PathBuf,
        map_bytes: usize,
    ) -> io::Result<Arc<Slot>> {
        let file = fs.create(&path)?;
        let slot = self.slot(fs, path, map_bytes);
        slot.pin();
        slot.held().file = Some(file);
        slot.enter();
        Ok(slot)
    }

    fn order(&self) -> MutexGuard<'_, BTreeMap<u64, Weak<Slot>>> {
        // The list holds only hints; a panic cannot leave it worse than late.
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    /// Closes slots until the bound holds, those used longest ago first.
    fn make_room(&self) {
        let mut busy = Vec::new();
        for _ in 0..TRIES_MAX {
            let Some((place, slot)) = self.take_oldest(busy.len()) else { break };
            match slot.upgrade().map(|slot| slot.give_up(place)) {
                Some(GivenUp::Closed) => {
                    self.evicted.fetch_add(1, Ordering::Relaxed);
                }
                // Back where it was, but not before the others had their turn.
                Some(GivenUp::Busy) => busy.push((place, slot)),
                Some(GivenUp::Kept) | None => {}
            }
        }
        let mut order = self.order();
        order.extend(busy);
        if order.len() > self.slots_max {
            self.passed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The slot whose turn it is, if the table with `taken` more is above its bound.
    fn take_oldest(&self, taken: usize) -> Option<(u64, Weak<Slot>)> {
        let mut order = self.order();
        if order.len() + taken > self.slots_max { order.pop_first() } else { None }
    }
}

/// What became of the slot whose turn it was.
enum GivenUp {
    /// It is closed and out of the order.
    Closed,
    /// It is back in the order where it belongs now, or had left it.
    Kept,
    /// Somebody is using it at this moment; it is still out of the order.
    Busy,
}

/// One file: open, or to be opened at its next use.
pub struct Slot {
    table: Arc<OpenFiles>,
    fs: Arc<dyn FileSystem>,
    pins: AtomicU32,
    used: AtomicU64,
    map_bytes: AtomicUsize,
    held: Mutex<Held>,
}

struct Held {
    path: PathBuf,
    file: Option<Arc<dyn File>>,
    map: Option<Arc<dyn Map>>,
    /// The slot's key in the table's order, while it is open.
    place: Option<u64>,
}

impl Slot {
    /// The open file; opens it if need be.
    pub fn file(self: &Arc<Self>) -> io::Result<Arc<dyn File>> {
        let mut held = self.held();
        if let Some(file) = &held.file {
            self.touch();
            return Ok(Arc::clone(file));
        }
        let file = self.open(&mut held)?;
        drop(held);
        self.enter();
        Ok(file)
    }

    /// The open file; nothing when it would have to be opened, which may wait for the disk.
    pub fn file_if_open(&self) -> Option<Arc<dyn File>> {
        let file = self.held().file.as_ref().map(Arc::clone);
        self.touch();
        file
    }

    /// The map of the file; opens and maps it if need be.
    pub fn map(self: &Arc<Self>) -> io::Result<Arc<dyn Map>> {
        let mut held = self.held();
        if let Some(map) = &held.map {
            self.touch();
            return Ok(Arc::clone(map));
        }
        let file = match &held.file {
            Some(file) => Arc::clone(file),
            None => self.open(&mut held)?,
        };
        let map = file.map(self.map_bytes.load(Ordering::Relaxed))?;
        held.map = Some(Arc::clone(&map));
        drop(held);
        self.enter();
        Ok(map)
    }

    /// Marks the slot as just used.
    pub fn touch(&self) {
        self.used.store(self.table.tick(), Ordering::Relaxed);
    }

    /// From now on the file stays open, until as many [`unpin`](Self::unpin) follow. Call it before the
    /// first byte is written that is not synced.
    pub fn pin(&self) {
        self.pins.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes one pin back: everything written under it is synced.
    pub fn unpin(&self) {
        let before = self.pins.fetch_sub(1, Ordering::AcqRel);
        assert!(before > 0, "a slot was unpinned more often than pinned");
    }

    /// Whether the file must stay open.
    pub fn is_pinned(&self) -> bool {
        self.pins.load(Ordering::Acquire) > 0
    }

    /// Whether the file is open now.
    pub fn is_open(&self) -> bool {
        self.held().file.is_some()
    }

    /// The file's path now.
    pub fn path(&self) -> PathBuf {
        self.held().path.clone()
    }

    /// Renames the file; what is open stays open.
    pub fn rename(&self, to: &Path) -> io::Result<()> {
        let mut held = self.held();
        self.fs.rename(&held.path, to)?;
        to.clone_into(&mut held.path);
        Ok(())
    }

    /// The map covers `bytes` from its next use on; who holds the old one keeps it.
    pub fn remap(&self, bytes: usize) {
        let mut held = self.held();
        self.map_bytes.store(bytes, Ordering::Relaxed);
        held.map = None;
    }

    /// Closes the file, pinned or not; the next use opens it again. Who still holds it or a slice of its map
    /// keeps that.
    pub fn close(&self) {
        let place = {
            let mut held = self.held();
            held.file = None;
            held.map = None;
            held.place.take()
        };
        if let Some(place) = place {
            self.table.order().remove(&place);
        }
    }

    fn open(&self, held: &mut Held) -> io::Result<Arc<dyn File>> {
        let file = self.fs.open(&held.path)?;
        held.file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Puts the slot, which is open, into the table's order if it is not there.
    fn enter(self: &Arc<Self>) {
        self.touch();
        let mut held = self.held();
        if held.place.is_some() || held.file.is_none() {
            return;
        }
        let place = self.table.tick();
        held.place = Some(place);
        // Under the slot's lock, so that nobody sees an open slot without its place.
        self.table.order().insert(place, Arc::downgrade(self));
        drop(held);
        self.table.opened.fetch_add(1, Ordering::Relaxed);
        self.table.make_room();
    }

    /// The table took this slot out of its order at `place`: closes it, or puts it back when it was
    /// used since or must stay open.
    fn give_up(self: &Arc<Self>, place: u64) -> GivenUp {
        // A slot in use elsewhere is not the one used longest ago: never wait for it under pressure.
        let Ok(mut held) = self.held.try_lock() else { return GivenUp::Busy };
        if held.place != Some(place) {
            // Closed, or closed and opened again, in between: it has a new place or none.
            return GivenUp::Kept;
        }
        let used = self.used.load(Ordering::Relaxed);
        if self.is_pinned() || used > place {
            let new = if self.is_pinned() { self.table.tick() } else { used };
            // Places are ticks, and each tick is given once, so no other slot has this one.
            held.place = Some(new);
            self.table.order().insert(new, Arc::downgrade(self));
            return GivenUp::Kept;
        }
        held.file = None;
        held.map = None;
        held.place = None;
        GivenUp::Closed
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.held();
        f.debug_struct("Slot")
            .field("path", &held.path)
            .field("open", &held.file.is_some())
            .field("pinned", &self.is_pinned())
            .finish_non_exhaustive()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let held = self.held.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = held.place.take() {
            self.table.order().remove(&place);
        }
    }
}

#[cfg(test)]
mod tests;
