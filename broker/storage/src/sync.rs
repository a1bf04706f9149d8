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

use crate::checkpoint;
use crate::defects::{Defect, planted};
use crate::error::is_full;
use crate::folder::EPOCH_FILE;
use crate::reader::LogReader;

impl LogReader {
    /// Syncs everything that was appended before the call; the answer is the log end at its start, or what a
    /// cut meanwhile has left of it. From any thread; a second caller waits for the first.
    ///
    /// After an error nothing is published, and the directory is offline.
    pub fn sync(&self) -> io::Result<Offset> {
        let shared = &self.shared;
        // Guards no value: a panic under it leaves nothing half done.
        let _one_at_a_time = shared.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_online()?;
        // The end before the list: the list then holds every segment below this end.
        let taken = shared.ends.begin_sync();
        let synced = self.sync_files().and_then(|()| self.sync_folder());
        synced.and_then(|()| self.save_epochs()).inspect_err(|error| {
            shared.dir.fail(&format!("cannot sync {}: {error}", shared.home.folder.display()));
        })?;
        // It failed meanwhile, elsewhere: what this sync says is believed no more.
        self.check_online()?;
        let late = planted(Defect::PublishEndAfterSync);
        let taken = if late { shared.ends.begin_sync() } else { taken };
        Ok(shared.ends.finish_sync(taken))
    }

    fn check_online(&self) -> io::Result<()> {
        let offline = || io::Error::other("the log directory is offline");
        let refuses = self.dir().is_offline() && !planted(Defect::RetryFailedSync);
        if refuses { Err(offline()) } else { Ok(()) }
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
        if planted(Defect::SkipFolderSync) {
            return Ok(());
        }
        let home = &self.shared.home;
        self.shared.names.sync(|| home.fs.sync_folder(&home.folder))
    }

    /// Writes the epochs to their file, durably, if they changed. Where there is no room for it the old file is
    /// removed: a restart without a file reads the epochs from the batches, one with an old file would
    /// believe it.
    pub(crate) fn save_epochs(&self) -> io::Result<()> {
        let shared = &self.shared;
        if !shared.epochs_dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let home = &shared.home;
        let text = shared.epochs.load().encode();
        let path = home.folder.join(EPOCH_FILE);
        match checkpoint::replace_file(&*home.fs, &path, text.as_bytes()) {
            Err(error) if is_full(&error) => {
                shared.epochs_dirty.store(true, Ordering::Release);
                shared.dir.failed(&format!("cannot write {}", path.display()), &error);
                match home.fs.remove(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                    removed => removed.and_then(|()| home.fs.sync_folder(&home.folder)),
                }
            }
            other => other,
        }
    }

    /// Whether a sync would have anything to do.
    pub fn is_dirty(&self) -> bool {
        self.synced_end() < self.log_end()
            || self.shared.names.are_dirty()
            || self.shared.epochs_dirty.load(Ordering::Acquire)
    }
}
