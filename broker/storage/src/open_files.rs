//! A bound on the files and maps that are open at one time; those used longest ago are closed first.
//!
//! Owns the descriptors and maps of segments, one [`Slot`] for each file. A slot in use opens its file
//! again by itself, so nobody above notices. A *pinned* slot (its file has unsynced bytes) is never closed:
//! only the descriptor that wrote the bytes is sure to hear of their loss.
//! Invariants: a slot's lock is taken before the table's, never after; an entry of the order counts only
//! while the slot says that this is its place.

mod slot;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use self::slot::GivenUp;
pub use self::slot::Slot;
use crate::fs::FileSystem;

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
        Arc::new(Slot::new(Arc::clone(self), Arc::clone(fs), path, map_bytes))
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
        slot.hold(file);
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
