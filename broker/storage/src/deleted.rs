//! Deleted files whose space readers still hold.
//!
//! A file's blocks are given back when its last descriptor and its last map are gone: what a slow reader was sent a slice
//! of stays on the disk until the slice has left. Owns the count of these bytes for one log directory, and [`Hold`], by
//! which whoever sends a slice can ask whether it keeps space that is needed.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::fs::Map;
use crate::log_dir::{DirState, LogDir};
use crate::segment::Segment;

/// The deleted files of one log directory that somebody may still hold.
#[derive(Debug, Default)]
pub(crate) struct DeletedFiles {
    files: Mutex<Vec<DeletedFile>>,
}

#[derive(Debug)]
struct DeletedFile {
    bytes: u64,
    /// Every map that was made of it.
    maps: Vec<Weak<dyn Map>>,
}

impl DeletedFile {
    fn is_held(&self) -> bool {
        self.maps.iter().any(|map| map.strong_count() > 0)
    }
}

impl DeletedFiles {
    /// A file of `bytes` was deleted; `maps` are those that may be held.
    pub(crate) fn add(&self, bytes: u64, maps: Vec<Weak<dyn Map>>) {
        let file = DeletedFile { bytes, maps };
        if file.is_held() {
            self.lock().push(file);
        }
    }

    /// Bytes of those that are held now; forgets the others.
    pub(crate) fn pinned_bytes(&self) -> u64 {
        let mut files = self.lock();
        files.retain(DeletedFile::is_held);
        files.iter().map(|file| file.bytes).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<DeletedFile>> {
        // Changed by whole calls of the vector: a panic cannot leave it half changed.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says of a slice that is held whether it keeps space that is needed.
#[derive(Clone)]
pub struct Hold {
    segment: Arc<Segment>,
    dir: Arc<LogDir>,
}

impl Hold {
    pub(crate) fn new(segment: &Arc<Segment>, dir: &Arc<LogDir>) -> Self {
        Self { segment: Arc::clone(segment), dir: Arc::clone(dir) }
    }

    /// Whether the slice's file is deleted and its directory has too little space to write.
    pub fn pins_needed_space(&self) -> bool {
        self.segment.is_retired() && matches!(self.dir.state(), DirState::ReadOnly { .. })
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("segment", &self.segment.base_offset()).finish_non_exhaustive()
    }
}
