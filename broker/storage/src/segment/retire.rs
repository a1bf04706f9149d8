//! How a segment goes out of use: renamed, replaced, removed, while readers keep what they hold.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::Segment;
use crate::checkpoint::aside;

impl Segment {
    /// Puts the segment's files out of use: they are renamed, readers keep what they have open.
    pub(crate) fn retire(&self) -> io::Result<()> {
        self.retired.store(true, Ordering::Release);
        self.room.close();
        self.slot.rename(&deleted(&self.log_path()))?;
        self.remove_indexes();
        Ok(())
    }

    /// Puts an empty segment into the place of this one, under the same name. Readers keep the old file through
    /// its descriptor and its map, which stay open as long as somebody holds this segment.
    pub(crate) fn replace(&self, map_bytes: u64) -> io::Result<Self> {
        self.slot.pin();
        let path = self.log_path();
        let aside = aside(&path);
        let replace = || {
            self.slot.file()?;
            self.slot.map()?;
            if self.fs().exists(&aside) {
                self.fs().remove(&aside)?;
            }
            drop(self.fs().create(&aside)?);
            self.fs().rename(&aside, &path)
        };
        if let Err(error) = replace() {
            drop(self.fs().remove(&aside));
            self.slot.unpin();
            return Err(error);
        }
        self.retired.store(true, Ordering::Release);
        self.room.close();
        self.remove_indexes();
        let empty = Self::existing(&self.home, self.base_offset, 0, map_bytes)?;
        // Its name is not synced yet.
        empty.soil(0);
        Ok(empty)
    }

    /// Whether the segment is out of use: what fails with its files then is no failure of the disk.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Removes the retired data file and closes it; its bytes stay readable through slices that are held.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.let_go();
        self.fs().remove(&deleted(&self.log_path()))
    }

    /// The whole folder is about to be removed: as [`retire`](Self::retire) and [`remove`](Self::remove) for the segment,
    /// without touching its files.
    pub(crate) fn discard(&self) {
        self.retired.store(true, Ordering::Release);
        self.room.close();
        self.let_go();
    }

    /// Closes the file; what readers hold of it is counted.
    fn let_go(&self) {
        let maps = self.slot.maps_made();
        self.slot.close();
        self.home.deleted.add(self.visible(), maps);
    }
}

/// The path of a file that is out of use.
fn deleted(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".deleted");
    name.into()
}
