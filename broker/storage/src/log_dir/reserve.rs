//! Blocks set aside, so that checkpoints and deletes go on when somebody else has filled the disk.
//!
//! The floor of free bytes keeps our own appends from filling it; the reserve is for what we do not write.

use std::io;
use std::path::{Path, PathBuf};

use crate::fs::FileSystem;

/// The file's name.
pub(super) const FILE: &str = ".reserve";

/// One file that holds nothing but blocks.
#[derive(Debug)]
pub(super) struct Reserve {
    file: PathBuf,
    bytes: u64,
}

impl Reserve {
    pub(super) fn new(dir: &Path, bytes: u64) -> Self {
        Self { file: dir.join(FILE), bytes }
    }

    /// Sets the blocks aside. Not being able to is no error: the disk may be full already, or know no
    /// preallocation; then only the floor protects.
    pub(super) fn fill(&self, fs: &dyn FileSystem) {
        if self.bytes > 0 && self.try_fill(fs).is_err() {
            self.release(fs);
        }
    }

    fn try_fill(&self, fs: &dyn FileSystem) -> io::Result<()> {
        // A crash may have left the name without its blocks.
        let file = if fs.exists(&self.file) { fs.open(&self.file) } else { fs.create(&self.file) };
        file?.preallocate(self.bytes)
    }

    /// Gives the blocks back; true when there were any.
    pub(super) fn release(&self, fs: &dyn FileSystem) -> bool {
        fs.exists(&self.file) && fs.remove(&self.file).is_ok()
    }
}
