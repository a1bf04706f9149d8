//! A read-only map of one file.
//!
//! Owns the only unsafe code of the project: turning a range of the map into a slice. Never writes through
//! a map, and never touches a byte that nobody asked for: a map may reach past the end of the file, where
//! touching a page is a signal (`SIGBUS`) and not an error.
//!
//! Invariants: the bytes of a slice lie below the file's written length when it is taken, do not change
//! afterwards (the log only appends) and are not cut off while somebody holds it (truncation waits for the
//! last holder). The lock file of the log directory keeps other processes of ours away.
#![expect(
    unsafe_code,
    reason = "a slice of mapped memory cannot be made without; see SAFETY below"
)]

use std::fs;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use memmap2::{Advice, MmapOptions, MmapRaw};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::file_system::Map;

/// How far apart the probes of [`Map::is_resident`] lie. The kernel reads ahead and reclaims in pieces of
/// about this size; a probe for each page of 1 MiB would cost 256 system calls.
const PROBE_BYTES: usize = 64 * 1024;

/// What is read at once where the kernel cannot populate a map.
const READ_BYTES: usize = 64 * 1024;

/// The map, and the file for probes and reads that must answer with an error instead of a signal.
#[derive(Debug)]
pub(super) struct FileMap {
    memory: MmapRaw,
    file: Arc<fs::File>,
}

impl FileMap {
    /// Maps the first `bytes` bytes of `file`, whether or not it is that long today.
    pub(super) fn new(file: Arc<fs::File>, bytes: usize) -> io::Result<Self> {
        let memory = MmapOptions::new().len(bytes).map_raw_read_only(&*file)?;
        Ok(Self { memory, file })
    }

    fn assert_within(&self, position: usize, bytes: usize) {
        let end = position.checked_add(bytes);
        assert!(
            end.is_some_and(|end| end <= self.memory.len()),
            "range of {bytes} bytes at {position} is past the end of a map of {} bytes",
            self.memory.len()
        );
    }

    /// Whether the one byte at `position` is in the page cache. Where the kernel cannot tell, the answer is
    /// no: a detour over the read pool costs microseconds, a blocked worker milliseconds.
    fn is_byte_resident(&self, position: usize) -> bool {
        let Ok(position) = u64::try_from(position) else {
            return false;
        };
        let mut byte = [0];
        let mut target = [IoSliceMut::new(&mut byte)];
        preadv2(&*self.file, &mut target, position, ReadWriteFlags::NOWAIT) == Ok(1)
    }

    /// Reads the range through the page cache, for kernels before 5.14.
    fn read_through(&self, position: usize, bytes: usize) -> io::Result<()> {
        let mut buffer = vec![0; bytes.min(READ_BYTES)];
        let end = position + bytes;
        let mut at = position;
        while at < end {
            let part = buffer.get_mut(..READ_BYTES.min(end - at)).unwrap_or_default();
            self.file.read_exact_at(part, u64::try_from(at).map_err(io::Error::other)?)?;
            at += part.len();
        }
        Ok(())
    }
}

impl Map for FileMap {
    fn slice(self: Arc<Self>, position: usize, bytes: usize) -> Bytes {
        self.assert_within(position, bytes);
        if bytes == 0 {
            return Bytes::new();
        }
        Bytes::from_owner(Region { map: self, position, bytes })
    }

    fn is_resident(&self, position: usize, bytes: usize) -> bool {
        self.assert_within(position, bytes);
        let end = position + bytes;
        bytes == 0
            || ((position..end).step_by(PROBE_BYTES).all(|at| self.is_byte_resident(at))
                && self.is_byte_resident(end - 1))
    }

    fn populate(&self, position: usize, bytes: usize) -> io::Result<()> {
        self.assert_within(position, bytes);
        if bytes == 0 {
            return Ok(());
        }
        let populated = self.memory.advise_range(Advice::PopulateRead, position, bytes);
        match populated {
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                self.read_through(position, bytes)
            }
            other => other,
        }
    }
}

/// The owner behind a slice: as long as it lives, the map does.
struct Region {
    map: Arc<FileMap>,
    position: usize,
    bytes: usize,
}

impl AsRef<[u8]> for Region {
    fn as_ref(&self) -> &[u8] {
        self.map.assert_within(self.position, self.bytes);
        // SAFETY: the range lies within the map (asserted), and the map lives as long as `self`. The memory
        // is readable, initialised and unchanged while the slice lives: the caller of `slice` gave a range
        // below the file's written length, bytes below it are never written again, and the file is not
        // shortened below what a reader holds (see the invariants above). A `u8` has no alignment.
        unsafe {
            std::slice::from_raw_parts(self.map.memory.as_ptr().add(self.position), self.bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{Advice, fadvise, fstatfs};

    use super::*;

    /// The magic number of a file system in memory, which has no disk to wait for.
    const TMPFS: i64 = 0x0102_1994;

    fn mapped(bytes: usize) -> (Arc<fs::File>, Arc<FileMap>) {
        let file = Arc::new(tempfile::tempfile().expect("a temporary file"));
        file.write_all_at(&vec![7; bytes], 0).unwrap();
        file.sync_all().unwrap();
        let map = FileMap::new(Arc::clone(&file), 1 << 20).unwrap();
        (file, Arc::new(map))
    }

    #[test]
    fn what_left_the_page_cache_is_not_resident_until_populated() {
        let (file, map) = mapped(400_000);
        if fstatfs(&file).unwrap().f_type == TMPFS {
            return;
        }
        assert!(map.is_resident(0, 400_000));
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        assert!(!map.is_resident(0, 400_000));
        map.populate(0, 400_000).unwrap();
        assert!(map.is_resident(0, 400_000));
    }

    #[test]
    fn old_kernels_read_the_range_through_the_page_cache() {
        let (_file, map) = mapped(200_000);
        map.read_through(1, 199_999).unwrap();
        assert!(map.read_through(1, 200_000).is_err());
    }

    #[test]
    #[should_panic(expected = "past the end of a map")]
    fn a_slice_past_the_map_is_our_mistake() {
        let (_file, map) = mapped(10);
        _ = map.slice(1 << 20, 1);
    }
}
