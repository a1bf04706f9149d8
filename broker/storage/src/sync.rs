//! Bringing a log to stable storage, and publishing how far that came.
//!
//! Owns the order of steps: the end first, then the segments, then their files, the folder and the epochs, and
//! only then the end that was taken first. Never tries a failed sync again.
//!
//! Invariant: below the synced end everything is on stable storage, under names that are there, too.

use std::io;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use thalweg_protocol::Offset;

use crate::defects::{Defect, planted};
use crate::reader::LogReader;

impl LogReader {
    /// Syncs everything that was appended before the call; the answer is the log end at its start, which is
    /// the synced end now. From any thread; a second caller waits for the first.
    ///
    /// After an error nothing is published, and the caller takes the directory offline.
    pub fn sync(&self) -> io::Result<Offset> {
        let shared = &self.shared;
        // Guards no value: a panic under it leaves nothing half done.
        let _one_at_a_time = shared.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let cuts = *shared.cuts();
        // The end before the list: the list then holds every segment below this end.
        let end = self.log_end();
        self.sync_files()?;
        self.sync_folder()?;
        self.save_epochs()?;
        let end = if planted(Defect::PublishEndAfterSync) { self.log_end() } else { end };
        let unchanged = shared.cuts();
        // A cut in between has lowered the synced end, and other batches may follow at the same offsets.
        if *unchanged == cuts {
            shared.synced_end.fetch_max(end.get(), Ordering::AcqRel);
        }
        drop(unchanged);
        Ok(end)
    }

    fn sync_files(&self) -> io::Result<()> {
        let segments = self.shared.segments.load_full();
        let newest = segments.as_slice().len().saturating_sub(1);
        for (place, segment) in segments.as_slice().iter().enumerate() {
            let rolled_early = planted(Defect::RollPassesSyncedEndEarly) && place < newest;
            if !segment.is_dirty() || rolled_early {
                continue;
            }
            if planted(Defect::SkipSync) {
                segment.believe_synced(segment.visible());
                continue;
            }
            match segment.sync() {
                // Deleted meanwhile: nothing in it counts any more.
                Err(_) if segment.is_retired() => {}
                other => other?,
            }
        }
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let shared = &self.shared;
        if !shared.folder_dirty.swap(false, Ordering::AcqRel) || planted(Defect::SkipFolderSync) {
            return Ok(());
        }
        let synced = shared.home.fs.sync_folder(&shared.home.folder);
        if synced.is_err() {
            shared.folder_dirty.store(true, Ordering::Release);
        }
        synced
    }

    /// Whether a sync would have anything to do.
    pub fn is_dirty(&self) -> bool {
        self.synced_end() < self.log_end()
            || self.shared.folder_dirty.load(Ordering::Acquire)
            || self.shared.epochs_dirty.load(Ordering::Acquire)
    }
}
