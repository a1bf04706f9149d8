//! The file system of the operating system.
//!
//! Owns every system call on log files. Never retries a failed sync, and never decides: errors go up as
//! the kernel gave them.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate, statvfs};
use rustix::io::{Errno, ReadWriteFlags, preadv2, pwritev};

use super::file_system::{File, FileSystem, Map, Space, too_large};
use super::mmap::FileMap;
use super::resident::would_wait;

/// The most that one `pwritev` carries. Larger writes hold the file's lock in the kernel for long, and were
/// slower as measured.
const WRITE_BYTES: usize = 256 * 1024;

/// The most parts that one `pwritev` carries: a patched head, the rest of the batch, and room.
const WRITE_PARTS: usize = 8;

/// Files and folders of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsFileSystem;

impl FileSystem for OsFileSystem {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut options = fs::File::options();
        let file = options.read(true).write(true).create_new(true).open(path)?;
        Ok(Arc::new(OsFile::new(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file = fs::File::options().read(true).write(true).open(path)?;
        Ok(Arc::new(OsFile::new(file)))
    }

    fn read_small(&self, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
        let file = fs::File::open(path)?;
        let mut bytes = Vec::new();
        // One byte more than allowed tells a file of the allowed size from a larger one.
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
        file.take(limit).read_to_end(&mut bytes)?;
        if bytes.len() > bytes_max {
            return Err(too_large(path, bytes_max));
        }
        Ok(bytes)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let entries: io::Result<Vec<PathBuf>> =
            fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect();
        let mut entries = entries?;
        entries.sort_unstable();
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let found = statvfs(path)?;
        Ok(Space {
            total: found.f_blocks.saturating_mul(found.f_frsize),
            free: found.f_bavail.saturating_mul(found.f_frsize),
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let mut options = fs::File::options();
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        // `flock`: it ends with the process, however that ends, and it also keeps a second broker in the
        // same process out, which `fcntl` locks would not.
        file.try_lock()?;
        Ok(Box::new(file))
    }
}

/// One open file. Shared with its maps, which outlive it in readers' hands.
#[derive(Debug)]
struct OsFile {
    file: Arc<fs::File>,
}

impl OsFile {
    fn new(file: fs::File) -> Self {
        Self { file: Arc::new(file) }
    }
}

impl File for OsFile {
    fn write_at(&self, position: u64, parts: &[&[u8]]) -> io::Result<()> {
        let mut rest = Rest::new(parts);
        let mut position = position;
        loop {
            let mut slices = [IoSlice::new(&[]); WRITE_PARTS];
            let used = rest.fill(&mut slices);
            if used == 0 {
                return Ok(());
            }
            match pwritev(&*self.file, slices.get(..used).unwrap_or_default(), position) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest.advance(written);
                    position += u64::try_from(written).map_err(io::Error::other)?;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = position + u64::try_from(filled).map_err(io::Error::other)?;
            match self.file.read_at(rest, at) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn read_now(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = position + u64::try_from(filled).map_err(io::Error::other)?;
            let mut target = [IoSliceMut::new(rest)];
            match preadv2(&*self.file, &mut target, at, ReadWriteFlags::NOWAIT) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(Errno::INTR) => {}
                // Where the kernel cannot tell, the answer is that it would wait.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Err(would_wait()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(filled)
    }

    fn forget(&self, position: u64, bytes: u64) {
        // A hint: what the kernel keeps all the same costs memory and nothing else.
        let _ = fadvise(&*self.file, position, NonZeroU64::new(bytes), Advice::DontNeed);
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        // Also when the length does not change: this is what gives preallocated blocks back.
        self.file.set_len(bytes)
    }

    fn preallocate(&self, end: u64) -> io::Result<()> {
        let from = self.length()?;
        let Some(bytes) = end.checked_sub(from).filter(|bytes| *bytes > 0) else {
            return Ok(());
        };
        loop {
            match fallocate(&*self.file, FallocateFlags::KEEP_SIZE, from, bytes) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                    return Err(io::ErrorKind::Unsupported.into());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn map(&self, bytes: usize) -> io::Result<Arc<dyn Map>> {
        Ok(Arc::new(FileMap::new(Arc::clone(&self.file), bytes)?))
    }
}

/// What of the parts is still to be written.
struct Rest<'a> {
    /// The rest of the part that a write ended in.
    started: &'a [u8],
    parts: &'a [&'a [u8]],
}

impl<'a> Rest<'a> {
    fn new(parts: &'a [&'a [u8]]) -> Self {
        Self { started: &[], parts }
    }

    /// Lays the next bytes, [`WRITE_BYTES`] at most, into `slices`; says how many of them it used.
    fn fill(&self, slices: &mut [IoSlice<'a>; WRITE_PARTS]) -> usize {
        let parts = std::iter::once(self.started).chain(self.parts.iter().copied());
        let mut room = WRITE_BYTES;
        let mut used = 0;
        for part in parts.filter(|part| !part.is_empty()) {
            let (Some(slot), true) = (slices.get_mut(used), room > 0) else {
                break;
            };
            let taken = part.get(..room).unwrap_or(part);
            *slot = IoSlice::new(taken);
            room -= taken.len();
            used += 1;
        }
        used
    }

    fn advance(&mut self, mut written: usize) {
        loop {
            if let Some(rest) = self.started.get(written..).filter(|rest| !rest.is_empty()) {
                self.started = rest;
                return;
            }
            written -= self.started.len();
            let Some((first, others)) = self.parts.split_first() else {
                self.started = &[];
                return;
            };
            self.started = first;
            self.parts = others;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn spare_blocks_are_given_back_at_the_length_that_the_file_has() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a");
        let file = OsFileSystem.create(&path).unwrap();
        file.write_at(0, &[b"0123"]).unwrap();
        let allocated = || fs::metadata(&path).unwrap().blocks() * 512;
        if file.preallocate(1 << 20).is_err() {
            return;
        }
        assert!(allocated() >= 1 << 20);
        file.set_length(4).unwrap();
        assert!(allocated() < 1 << 17, "{} bytes are left", allocated());
        assert_eq!(OsFileSystem.read_small(&path, 4).unwrap(), b"0123");
    }

    #[test]
    fn what_left_the_page_cache_is_not_read_without_waiting() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = OsFileSystem.create(&folder.path().join("a")).unwrap();
        file.write_at(0, &[&vec![7; 100_000]]).unwrap();
        file.sync().unwrap();
        let mut buffer = [0; 8_000];
        if file.read_now(0, &mut buffer).is_err() {
            // A file system in memory, which cannot tell.
            return;
        }
        file.forget(0, 100_000);
        let refused = file.read_now(50_000, &mut buffer).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(file.read_at(50_000, &mut buffer).unwrap(), 8_000);
        assert_eq!(file.read_now(50_000, &mut buffer).unwrap(), 8_000);
    }

    #[test]
    fn a_write_is_laid_out_in_bounded_slices() {
        let large = vec![1; WRITE_BYTES + 1000];
        let many: Vec<&[u8]> = std::iter::repeat_n(&b"ab"[..], 20).collect();
        let head = [0; 16];
        let mut parts: Vec<&[u8]> = vec![&head, &large, &[]];
        parts.extend(many);
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let (mut rest, mut seen, mut calls) = (Rest::new(&parts), 0, 0);
        loop {
            let mut slices = [IoSlice::new(&[]); WRITE_PARTS];
            let used = rest.fill(&mut slices);
            let bytes: usize = slices[..used].iter().map(|slice| slice.len()).sum();
            assert!(bytes <= WRITE_BYTES);
            if used == 0 {
                break;
            }
            // As the kernel may: less than what was asked for.
            let written = bytes.div_ceil(1 + calls % 3);
            rest.advance(written);
            seen += written;
            calls += 1;
        }
        assert_eq!(seen, total);
    }
}
