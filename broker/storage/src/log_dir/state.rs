//! Whether a log directory takes writes.
//!
//! ```text
//!     Online   -> ReadOnly: less than the floor is free, or a write found the disk full
//!     ReadOnly -> Online: more than 1.1 x the floor is free
//!     Online, ReadOnly -> Offline: a sync, write or read failed; for good
//! ```

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a log directory can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirState {
    /// Everything.
    Online,
    /// Read and delete; not write, for want of space.
    ReadOnly {
        /// Free bytes when last asked.
        free: u64,
    },
    /// Serve reads below the last synced end; nothing else until the process ends.
    Offline {
        /// The failure.
        reason: Arc<str>,
    },
}

/// Hears of changes; must be quick and must not change the state itself.
pub(super) type Subscriber = Box<dyn Fn(&DirState) + Send + Sync>;

/// The clean mark is still there.
pub(super) const MARKED: u8 = 1;
/// Writes are refused for want of space.
pub(super) const FULL: u8 = 2;
/// Everything is refused.
pub(super) const OFFLINE: u8 = 4;

/// The state, and one byte that lets a write pass without a lock.
pub(super) struct Gate {
    /// `MARKED | FULL | OFFLINE`: 0 lets everything pass.
    closed: AtomicU8,
    state: Mutex<DirState>,
    subscribers: Mutex<Vec<Subscriber>>,
}

impl Gate {
    pub(super) fn new(marked: bool) -> Self {
        Self {
            closed: AtomicU8::new(if marked { MARKED } else { 0 }),
            state: Mutex::new(DirState::Online),
            subscribers: Mutex::new(Vec::new()),
        }
    }

    /// What closes the gate now.
    #[inline]
    pub(super) fn closed(&self) -> u8 {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn open_mark(&self) {
        self.closed.fetch_and(!MARKED, Ordering::AcqRel);
    }

    pub(super) fn close_mark(&self) {
        self.closed.fetch_or(MARKED, Ordering::AcqRel);
    }

    /// No lock when all is well: every read asks.
    pub(super) fn state(&self) -> DirState {
        match self.closed() & (FULL | OFFLINE) {
            0 => DirState::Online,
            _ => lock(&self.state).clone(),
        }
    }

    pub(super) fn subscribe(&self, subscriber: Subscriber) {
        lock(&self.subscribers).push(subscriber);
    }

    /// Goes to `next` unless offline; subscribers hear of it when the kind of state changed.
    /// True when it did.
    pub(super) fn change(&self, next: &DirState) -> bool {
        // Held across the callbacks, so that they hear changes in the order in which they happened.
        let subscribers = lock(&self.subscribers);
        {
            let mut state = lock(&self.state);
            if matches!(*state, DirState::Offline { .. }) {
                return false;
            }
            let same_kind = std::mem::discriminant(&*state) == std::mem::discriminant(next);
            *state = next.clone();
            if same_kind {
                return false;
            }
            let bits = match next {
                DirState::Online => 0,
                DirState::ReadOnly { .. } => FULL,
                DirState::Offline { .. } => OFFLINE,
            };
            self.closed.fetch_or(bits, Ordering::AcqRel);
            if bits == 0 {
                self.closed.fetch_and(!FULL, Ordering::AcqRel);
            }
        }
        for subscriber in &*subscribers {
            subscriber(next);
        }
        true
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("closed", &self.closed())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// No step under these locks can leave a value half changed, so a panic elsewhere does not spoil it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
