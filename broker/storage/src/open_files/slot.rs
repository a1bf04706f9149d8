//! One file of the table: open, or to be opened at its next use.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::OpenFiles;
use crate::fs::{File, FileSystem, Map};

/// What became of the slot whose turn it was.
pub(super) enum GivenUp {
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
    /// Maps that were made and may still be in use.
    made: Vec<Weak<dyn Map>>,
    /// The slot's key in the table's order, while it is open.
    place: Option<u64>,
}

impl Slot {
    /// A slot that is not open.
    pub(super) fn new(
        table: Arc<OpenFiles>,
        fs: Arc<dyn FileSystem>,
        path: PathBuf,
        map_bytes: usize,
    ) -> Self {
        Self {
            table,
            fs,
            pins: AtomicU32::new(0),
            used: AtomicU64::new(0),
            map_bytes: AtomicUsize::new(map_bytes),
            held: Mutex::new(Held { path, file: None, map: None, place: None, made: Vec::new() }),
        }
    }

    /// The slot is open from now on, by this file.
    pub(super) fn hold(self: &Arc<Self>, file: Arc<dyn File>) {
        self.held().file = Some(file);
        self.enter();
    }

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
        held.made.retain(|made| made.strong_count() > 0);
        held.made.push(Arc::downgrade(&map));
        drop(held);
        self.enter();
        Ok(map)
    }

    /// The maps that were made of the file and may still be in use.
    pub(crate) fn maps_made(&self) -> Vec<Weak<dyn Map>> {
        self.held().made.clone()
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
    pub(super) fn give_up(self: &Arc<Self>, place: u64) -> GivenUp {
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
