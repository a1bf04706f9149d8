//! Where the bare loop stores: files that are preallocated and filled one after the other.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

use super::super::number::wide;

/// The size of one file.
const FILE_BYTES: u64 = 256 * 1024 * 1024;

/// The most that one write carries.
const WRITE_BYTES: usize = 256 * 1024;

/// Files of one writer. The oldest go when there is more than may be kept.
pub(super) struct Segments {
    folder: PathBuf,
    name: String,
    file_bytes: u64,
    files_max: usize,
    number: u64,
    file: File,
    position: u64,
    full: VecDeque<PathBuf>,
}

impl Segments {
    /// Makes the first file; at most `bytes` are written in all, and about `kept_bytes` of them kept.
    pub(super) fn new(folder: &Path, name: &str, bytes: u64, kept_bytes: u64) -> io::Result<Self> {
        let file_bytes = bytes.clamp(1, FILE_BYTES);
        let path = folder.join(format!("{name}-0"));
        Ok(Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            file_bytes,
            files_max: usize::try_from(kept_bytes / file_bytes).unwrap_or(usize::MAX).max(1),
            number: 0,
            file: preallocated(&path, file_bytes)?,
            position: 0,
            full: VecDeque::from([path]),
        })
    }

    /// Writes at the end.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.position + wide(bytes.len()) > self.file_bytes && self.position > 0 {
            self.roll()?;
        }
        for slice in bytes.chunks(WRITE_BYTES) {
            self.file.write_all_at(slice, self.position)?;
            self.position += wide(slice.len());
        }
        Ok(())
    }

    /// Brings what was written to stable storage.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn roll(&mut self) -> io::Result<()> {
        self.number += 1;
        let path = self.folder.join(format!("{}-{}", self.name, self.number));
        self.file = preallocated(&path, self.file_bytes)?;
        self.position = 0;
        self.full.push_back(path);
        while self.full.len() > self.files_max {
            if let Some(oldest) = self.full.pop_front() {
                std::fs::remove_file(oldest)?;
            }
        }
        Ok(())
    }
}

fn preallocated(path: &Path, bytes: u64) -> io::Result<File> {
    let file = File::options().create_new(true).write(true).open(path)?;
    // A file system that cannot do it goes without.
    _ = fallocate(&file, FallocateFlags::KEEP_SIZE, 0, bytes);
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_files_go_and_young_ones_hold_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut segments = Segments::new(folder.path(), "a", 100, 300).unwrap();
        for byte in 0..10 {
            segments.append(&[byte; 60]).unwrap();
        }
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["a-7", "a-8", "a-9"]);
        assert_eq!(std::fs::read(folder.path().join("a-9")).unwrap(), [9; 60]);
    }
}
