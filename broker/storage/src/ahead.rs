//! What is made ready ahead of a log's writer, so that an append neither reserves blocks nor makes a file.
//!
//! ```text
//!     segment 47:  |written ...............|reserved ahead ........|         next-segment.tmp
//!                                 ^ here the writer asks           ^ up to here   ^ asked for once the end comes near
//! ```
//!
//! Owns the blocks reserved behind a segment's end ([`Room`]) and the next segment's file ([`Ahead`]). Whoever looks
//! after the log calls [`LogReader::prepare`], without the writer's lock; when that comes too late the writer does it
//! itself, and when it fails the writer meets the failure and tells it.
//!
//! Invariants: a file gets no more blocks once its segment is closed; a file that was made ready has a name which a
//! start removes, until a roll gives it its own.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::active::RESERVE_FIRST_BYTES;
use crate::open_files::Slot;
use crate::reader::LogReader;
use crate::segment::Segment;

/// The next segment's file, before it has a base offset. A start removes every `.tmp`.
pub(crate) const NEXT_SEGMENT_FILE: &str = "next-segment.tmp";

/// The blocks reserved in one segment's file.
#[derive(Debug)]
pub(crate) struct Room {
    /// Blocks are reserved up to here.
    end: AtomicU64,
    /// No more are: the segment is closed. Held while blocks are reserved or given back.
    closed: Mutex<bool>,
}

impl Room {
    /// Room up to `end`.
    pub(crate) fn new(end: u64) -> Self {
        Self { end: AtomicU64::new(end), closed: Mutex::new(false) }
    }

    /// Blocks are reserved up to here.
    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Has `reserve` reserve blocks up to `end`, unless they are, or the segment is closed.
    pub(crate) fn extend(
        &self,
        end: u64,
        reserve: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let closed = lock(&self.closed);
        if *closed || self.end() >= end {
            return Ok(());
        }
        reserve()?;
        self.end.store(end, Ordering::Release);
        Ok(())
    }

    /// Has `cut` give back the blocks behind `end`; says whether that went well.
    pub(crate) fn shrink(&self, end: u64, cut: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let _held = lock(&self.closed);
        self.end.store(end, Ordering::Release);
        cut()
    }

    /// From now on nobody reserves anything any more.
    pub(crate) fn close(&self) {
        *lock(&self.closed) = true;
    }
}

/// What the writer of a log has asked for and what is ready for it.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    wanted: Mutex<Option<Wanted>>,
    next: Mutex<Next>,
}

/// What is to be made ready.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The active segment.
    pub(crate) segment: Arc<Segment>,
    /// Blocks up to here.
    pub(crate) reserve_end: Option<u64>,
    /// The next file, mapped over so many bytes.
    pub(crate) next_map_bytes: Option<u64>,
    /// Whether the next file gets blocks.
    pub(crate) reserves: bool,
}

/// The next segment's file.
#[derive(Debug, Default)]
enum Next {
    /// Not made.
    #[default]
    Missing,
    /// Made, and pinned once.
    Ready(Prepared),
    /// The log is closed: none is made any more.
    Closed,
}

/// A file that waits for its base offset.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) slot: Arc<Slot>,
    /// Blocks are reserved up to here.
    pub(crate) reserved: u64,
}

impl Ahead {
    /// Asks for something, beside what was asked for before and still concerns the same segment.
    pub(crate) fn ask(&self, wanted: Wanted) {
        let mut before = lock(&self.wanted);
        let same = before.take().filter(|before| Arc::ptr_eq(&before.segment, &wanted.segment));
        *before = Some(match same {
            Some(before) => Wanted {
                reserve_end: wanted.reserve_end.max(before.reserve_end),
                next_map_bytes: wanted.next_map_bytes.or(before.next_map_bytes),
                ..wanted
            },
            None => wanted,
        });
    }

    /// The file that is ready. Never waits: one that is being made at this moment comes too late.
    pub(crate) fn take_next(&self) -> Option<Prepared> {
        let mut next = match self.next.try_lock() {
            Ok(next) => next,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        match std::mem::take(&mut *next) {
            Next::Ready(prepared) => Some(prepared),
            other => {
                *next = other;
                None
            }
        }
    }

    /// The log is closed: what nobody needs any more is removed.
    pub(crate) fn close(&self, remove: impl FnOnce(&Path)) {
        *lock(&self.wanted) = None;
        if let Next::Ready(prepared) = std::mem::replace(&mut *lock(&self.next), Next::Closed) {
            prepared.slot.close();
            remove(&prepared.slot.path());
        }
    }
}

impl LogReader {
    /// Makes ready what the writer has asked for: see [`Log::wants_preparation`](crate::Log::wants_preparation). What
    /// cannot be made ready is left to the append that needs it. Waits for the disk.
    pub fn prepare(&self) {
        let Some(wanted) = lock(&self.shared.ahead.wanted).take() else { return };
        if let Some(end) = wanted.reserve_end {
            drop(wanted.segment.reserve(end));
        }
        if let Some(map_bytes) = wanted.next_map_bytes {
            drop(self.prepare_next(map_bytes, wanted.reserves));
        }
    }

    fn prepare_next(&self, map_bytes: u64, reserves: bool) -> io::Result<()> {
        let shared = &self.shared;
        let mut next = lock(&shared.ahead.next);
        // The clean mark goes before the first change to a folder, as with every other one.
        if !matches!(*next, Next::Missing) || shared.dir.before_write().is_err() {
            return Ok(());
        }
        let home = &shared.home;
        let path = home.folder.join(NEXT_SEGMENT_FILE);
        if home.fs.exists(&path) {
            // Left by an attempt that failed half-way.
            home.fs.remove(&path)?;
        }
        let bytes = usize::try_from(map_bytes).map_err(io::Error::other)?;
        let slot = home.files.create(&home.fs, path, bytes)?;
        let mut reserved = 0;
        if reserves && slot.file()?.preallocate(RESERVE_FIRST_BYTES).is_ok() {
            reserved = RESERVE_FIRST_BYTES;
        }
        *next = Next::Ready(Prepared { slot, reserved });
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each value is changed in one step: a panic cannot leave it between two states.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
