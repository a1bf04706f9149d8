//! One data file of a log and its two indexes.
//!
//! ```text
//!     |batch|batch|batch|batch|          |
//!     0                       ^ visible  ^ preallocated
//!             ^ synced                      readers see what is below `visible`
//! ```
//!
//! Owns the file (through a slot of the table of open files), how far it is written, synced and readable
//! (`extent.rs`), the ranges in it that are known to be damaged, and how it goes out of use. Never decides where a segment ends.
//!
//! Invariants: synced <= visible <= written; bytes below `visible` never change; while bytes are not synced
//! the slot is pinned, so that the descriptor which wrote them also syncs them.

mod quarantine;
mod retire;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use thalweg_protocol::{Offset, TimestampMs};

pub use self::quarantine::BadRange;
pub(crate) use self::quarantine::Quarantine;
use crate::ahead::{Prepared, Room};
use crate::deleted::DeletedFiles;
use crate::extent::Extent;
use crate::folder::{FileKind, FileName};
use crate::fs::{File, FileSystem, Map, Resident, would_wait};
use crate::index::{OffsetEntry, Sparse, TimeEntry};
use crate::open_files::{OpenFiles, Slot};

/// Where segments live: the folder of one partition.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) fs: Arc<dyn FileSystem>,
    pub(crate) files: Arc<OpenFiles>,
    pub(crate) folder: PathBuf,
    pub(crate) deleted: Arc<DeletedFiles>,
}

/// One segment, shared by its writer and its readers.
#[derive(Debug)]
pub(crate) struct Segment {
    home: Arc<Home>,
    base_offset: Offset,
    slot: Arc<Slot>,
    map_bytes: AtomicU64,
    extent: Extent,
    room: Room,
    /// Largest timestamp; [`TimestampMs::NONE`] when no batch told one yet.
    newest: AtomicI64,
    /// The last append, by the broker's clock.
    last_append: AtomicI64,
    offsets: RwLock<Sparse<OffsetEntry>>,
    times: RwLock<Sparse<TimeEntry>>,
    bad: Quarantine,
    /// The time index tells the largest timestamp before each of its entries, and `newest` that of all. False
    /// after a start that did not look at all batches behind the last entry.
    times_known: AtomicBool,
    /// Out of use; its files may be gone.
    retired: AtomicBool,
}

impl Segment {
    /// Creates the file of a new segment. Its name is on stable storage only after the folder is synced.
    pub(crate) fn create(
        home: &Arc<Home>,
        base_offset: Offset,
        map_bytes: u64,
    ) -> io::Result<Self> {
        let path = FileName::new(base_offset, FileKind::Log).path(&home.folder);
        let slot = home.files.create(&home.fs, path, to_usize(map_bytes)?)?;
        // `create` has pinned the slot once: the new file counts as dirty until its first sync.
        Ok(Self::around(home, base_offset, slot, map_bytes, Extent::of_new()))
    }

    /// A new segment in a file that was made ready: it gets its name. As with a created one, that is on stable storage
    /// only after the folder is synced.
    pub(crate) fn from_prepared(
        home: &Arc<Home>,
        base_offset: Offset,
        prepared: Prepared,
        map_bytes: u64,
    ) -> io::Result<Self> {
        let Prepared { slot, reserved } = prepared;
        slot.rename(&FileName::new(base_offset, FileKind::Log).path(&home.folder))?;
        slot.remap(to_usize(map_bytes)?);
        let segment = Self::around(home, base_offset, slot, map_bytes, Extent::of_new());
        Ok(Self { room: Room::new(reserved), ..segment })
    }

    /// A segment whose file is there, `bytes` of it good. Everything counts as synced.
    pub(crate) fn existing(
        home: &Arc<Home>,
        base_offset: Offset,
        bytes: u64,
        map_bytes: u64,
    ) -> io::Result<Self> {
        let path = FileName::new(base_offset, FileKind::Log).path(&home.folder);
        Self::existing_at(home, base_offset, bytes, map_bytes, path)
    }

    /// The same while the file still bears another name.
    pub(crate) fn existing_at(
        home: &Arc<Home>,
        base_offset: Offset,
        bytes: u64,
        map_bytes: u64,
        path: PathBuf,
    ) -> io::Result<Self> {
        let map_bytes = map_bytes.max(bytes);
        let slot = home.files.slot(&home.fs, path, to_usize(map_bytes)?);
        let segment = Self::around(home, base_offset, slot, map_bytes, Extent::of_synced(bytes));
        Ok(Self { room: Room::new(bytes), ..segment })
    }

    fn around(
        home: &Arc<Home>,
        base_offset: Offset,
        slot: Arc<Slot>,
        map_bytes: u64,
        extent: Extent,
    ) -> Self {
        Self {
            home: Arc::clone(home),
            base_offset,
            slot,
            map_bytes: AtomicU64::new(map_bytes),
            extent,
            room: Room::new(0),
            newest: AtomicI64::new(TimestampMs::NONE.get()),
            last_append: AtomicI64::new(TimestampMs::NONE.get()),
            offsets: RwLock::new(Sparse::new()),
            times: RwLock::new(Sparse::new()),
            bad: Quarantine::default(),
            times_known: AtomicBool::new(true),
            retired: AtomicBool::new(false),
        }
    }

    /// The offset in the file's name: no batch in it begins below.
    pub(crate) const fn base_offset(&self) -> Offset {
        self.base_offset
    }

    /// The path of one of the segment's files.
    pub(crate) fn path(&self, kind: FileKind) -> PathBuf {
        FileName::new(self.base_offset, kind).path(&self.home.folder)
    }

    /// The path of the data file, for errors.
    pub(crate) fn log_path(&self) -> PathBuf {
        self.path(FileKind::Log)
    }

    /// The partition's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.home.folder
    }

    pub(crate) fn fs(&self) -> &dyn FileSystem {
        &*self.home.fs
    }

    /// The open data file.
    pub(crate) fn file(&self) -> io::Result<Arc<dyn File>> {
        self.slot.file()
    }

    /// The data file for reads that never wait for the disk; nor does this, even when it is not open.
    pub(crate) fn resident_file(&self) -> io::Result<Arc<dyn File>> {
        let file = self.slot.file_if_open().ok_or_else(would_wait)?;
        Ok(Arc::new(Resident::of(file)))
    }

    pub(crate) const fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    /// Bytes that readers may see.
    pub(crate) fn visible(&self) -> u64 {
        self.extent.visible()
    }

    /// Lets readers see everything below `bytes`.
    pub(crate) fn publish(&self, bytes: u64) {
        self.extent.publish(bytes);
    }

    /// Recovery has decided that the segment ends at `bytes`, and that all of it is on stable storage.
    pub(crate) fn publish_recovered(&self, bytes: u64) {
        self.extent.recovered(bytes);
    }

    /// The same segment ending at `bytes`: a cut. Its file keeps the bytes behind, which readers may still
    /// hold; recovery ignores them, and so does everybody else.
    pub(crate) fn sealed(&self, bytes: u64) -> Self {
        let map_bytes = self.map_bytes.load(Ordering::Acquire);
        self.room.close();
        let (slot, extent) = (Arc::clone(&self.slot), self.extent.sealed(bytes));
        let segment = Self::around(&self.home, self.base_offset, slot, map_bytes, extent);
        segment.room.close();
        segment.note_times(self.newest(), self.last_append());
        segment.times_known.store(self.knows_times(), Ordering::Release);
        self.bad.all().into_iter().for_each(|range| segment.bad.add(range));
        segment
    }

    /// `offset` as the indexes hold it; `None` when it lies too far away for this segment.
    pub(crate) fn relative(&self, offset: Offset) -> Option<u32> {
        let relative = u32::try_from(offset.since(self.base_offset)).ok()?;
        (relative <= i32::MAX.cast_unsigned()).then_some(relative)
    }

    /// The offset that an index entry means.
    pub(crate) fn absolute(&self, relative: u32) -> Offset {
        self.base_offset.plus(i64::from(relative))
    }

    /// Writes `parts` at `position`, which must not be visible. An error leaves what is visible as it is.
    pub(crate) fn write(&self, position: u64, parts: &[&[u8]]) -> io::Result<()> {
        assert!(position >= self.visible(), "a write below what readers see");
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let end = position + u64::try_from(bytes).map_err(io::Error::other)?;
        self.soil(end);
        self.file()?.write_at(position, parts)
    }

    /// Pins the slot, since bytes below `end` are about to be written.
    pub(crate) fn soil(&self, end: u64) {
        self.extent.soil(end, || self.slot.pin());
    }

    /// Whether there is something to sync.
    pub(crate) fn is_dirty(&self) -> bool {
        self.extent.is_dirty()
    }

    /// Bytes that a sync would bring to stable storage.
    pub(crate) fn unsynced_bytes(&self) -> u64 {
        self.extent.unsynced_bytes()
    }

    /// Brings everything that is visible now to stable storage.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.extent.sync(|| self.file()?.sync(), || self.slot.unpin())
    }

    /// Takes note that everything below `bytes` is on stable storage.
    pub(crate) fn believe_synced(&self, bytes: u64) {
        self.extent.believe_synced(bytes, || self.slot.unpin());
    }

    /// Blocks are reserved up to here.
    pub(crate) fn reserved_end(&self) -> u64 {
        self.room.end()
    }

    /// Reserves blocks up to `end`, unless they are, or the segment is closed.
    pub(crate) fn reserve(&self, end: u64) -> io::Result<()> {
        self.room.extend(end, || self.file()?.preallocate(end))
    }

    /// Nothing is written any more: gives back the blocks behind `bytes`, where the last batch ends.
    pub(crate) fn close_at(&self, bytes: u64) -> io::Result<()> {
        self.room.close();
        if self.reserved_end() > bytes {
            self.room.shrink(bytes, || self.file()?.set_length(bytes))?;
        }
        Ok(())
    }

    /// Cuts the file to `bytes`, after a write that failed half-way: no trace of it stays behind the tail.
    pub(crate) fn give_back(&self, bytes: u64) -> io::Result<()> {
        assert!(bytes >= self.visible(), "a cut below what readers see");
        self.room.shrink(bytes, || self.file()?.set_length(bytes))?;
        self.extent.gave_back(bytes);
        Ok(())
    }

    /// `bytes` bytes from `position` on, without a copy, and the map that they are in.
    pub(crate) fn slice(&self, position: u64, bytes: u64) -> io::Result<(Bytes, Arc<dyn Map>)> {
        let end = position + bytes;
        assert!(end <= self.visible(), "a slice beyond what readers may see");
        if end > self.map_bytes.load(Ordering::Acquire) {
            // The topic's segment size was raised while this segment was in use.
            self.map_bytes.fetch_max(end.next_power_of_two(), Ordering::AcqRel);
            self.slot.remap(to_usize(self.map_bytes.load(Ordering::Acquire))?);
        }
        let map = self.slot.map()?;
        let slice = Arc::clone(&map).slice(to_usize(position)?, to_usize(bytes)?);
        Ok((slice, map))
    }

    /// Takes note of an appended batch's times.
    pub(crate) fn note_times(&self, newest: TimestampMs, appended: TimestampMs) {
        self.newest.fetch_max(newest.get(), Ordering::AcqRel);
        self.last_append.fetch_max(appended.get(), Ordering::AcqRel);
    }

    /// The largest timestamp; [`TimestampMs::NONE`] when there is none.
    pub(crate) fn newest(&self) -> TimestampMs {
        TimestampMs::new(self.newest.load(Ordering::Acquire))
    }

    /// The last append by the broker's clock; [`TimestampMs::NONE`] when it is not known.
    pub(crate) fn last_append(&self) -> TimestampMs {
        TimestampMs::new(self.last_append.load(Ordering::Acquire))
    }

    pub(crate) fn offsets(&self) -> RwLockReadGuard<'_, Sparse<OffsetEntry>> {
        self.offsets.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn offsets_mut(&self) -> RwLockWriteGuard<'_, Sparse<OffsetEntry>> {
        self.offsets.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn times(&self) -> RwLockReadGuard<'_, Sparse<TimeEntry>> {
        self.times.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn times_mut(&self) -> RwLockWriteGuard<'_, Sparse<TimeEntry>> {
        self.times.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the time index and [`newest`](Self::newest) can be relied on.
    pub(crate) fn knows_times(&self) -> bool {
        self.times_known.load(Ordering::Acquire)
    }

    /// From now on they cannot.
    pub(crate) fn forget_times(&self) {
        self.times_known.store(false, Ordering::Release);
    }

    /// All batches were looked at; `newest` is the largest timestamp.
    pub(crate) fn know_times(&self, newest: TimestampMs) {
        self.newest.fetch_max(newest.get(), Ordering::AcqRel);
        self.times_known.store(true, Ordering::Release);
    }

    /// Offsets in it that are known to be damaged.
    pub(crate) const fn bad(&self) -> &Quarantine {
        &self.bad
    }
}

fn to_usize(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(io::Error::other)
}
