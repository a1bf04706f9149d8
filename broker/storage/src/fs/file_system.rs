//! The traits: what a file system, a file and a map promise.
//!
//! Owns the wording of each promise; the behaviour suite beside it holds every implementation to them.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

/// Space on the file system that holds a folder, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// The file system's size.
    pub total: u64,
    /// What may still be written.
    pub free: u64,
}

/// Folders and files by name. What a call changed in a folder is on stable storage after
/// [`FileSystem::sync_folder`] only.
pub trait FileSystem: Debug + Send + Sync + 'static {
    /// Creates a file for reading and writing; fails if there is one.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Opens a file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// The whole of a small file; fails beyond `bytes_max`.
    fn read_small(&self, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>>;

    /// Removes a file; its bytes stay readable through what is open.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Renames a file or a folder within its folder, replacing a file of the new name in one step: after a
    /// crash there is the one or the other.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Creates a folder and those above it; no error if it is there.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder with all that is in it.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;

    /// The paths of the files and folders in a folder, in the order of their names.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;

    /// Whether there is a file or folder of this name.
    fn exists(&self, path: &Path) -> bool;

    /// Brings the names in a folder to stable storage.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// The space on the file system that holds `path`.
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// Locks a file against other processes (created if need be), until the guard is dropped.
    /// [`io::ErrorKind::WouldBlock`] when another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;
}

/// One open file. Writes and reads name their position; there is no cursor.
pub trait File: Debug + Send + Sync + 'static {
    /// Writes all of `parts`, one after the other, from `position` on. After an error any part of
    /// them may have been written.
    fn write_at(&self, position: u64, parts: &[&[u8]]) -> io::Result<()>;

    /// Reads up to the length of `buffer`; less only at the end of the file.
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// The same, but fails with [`io::ErrorKind::WouldBlock`] where that would wait for the disk, or where nobody can
    /// tell.
    fn read_now(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Whether [`read_at`](Self::read_at) may wait for the disk; false of what refuses to.
    fn may_wait(&self) -> bool {
        true
    }

    /// Nobody will read this range again soon: memory need not keep it. A hint; synced bytes only.
    fn forget(&self, position: u64, bytes: u64);

    /// The file's length in bytes, without what is only preallocated.
    fn length(&self) -> io::Result<u64>;

    /// Cuts the file, or lengthens it by zeros; blocks past the new end are given back.
    fn set_length(&self, bytes: u64) -> io::Result<()>;

    /// Reserves blocks up to `end` without changing the length. [`io::ErrorKind::Unsupported`] where the
    /// file system cannot.
    fn preallocate(&self, end: u64) -> io::Result<()>;

    /// Brings the file's bytes and length to stable storage.
    fn sync(&self) -> io::Result<()>;

    /// Maps the first `bytes` bytes read-only; they may reach past today's end, and become readable as
    /// the file grows.
    fn map(&self, bytes: usize) -> io::Result<Arc<dyn Map>>;
}

/// A read-only view of a file that lives as long as somebody holds a slice of it.
pub trait Map: Debug + Send + Sync + 'static {
    /// `bytes` bytes from `position` on, without a copy. The caller has made sure that they are below the
    /// file's written length.
    ///
    /// # Panics
    /// When the range reaches past the map.
    fn slice(self: Arc<Self>, position: usize, bytes: usize) -> Bytes;

    /// Whether the range can be read without waiting for the disk.
    fn is_resident(&self, position: usize, bytes: usize) -> bool;

    /// Reads the range into memory; blocks.
    fn populate(&self, position: usize, bytes: usize) -> io::Result<()>;
}

/// The refusal of [`FileSystem::read_small`].
pub(super) fn too_large(path: &Path, bytes_max: usize) -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("{}: more than {bytes_max} bytes", path.display()),
    )
}
