//! A file whose reads never wait for the disk: what is not in memory is refused instead.
//!
//! Owns nothing but the refusal. A worker that serves many connections reads through it, and leaves what is refused
//! to a thread that may wait.

use std::io;
use std::sync::Arc;

use super::file_system::{File, Map};

/// Reads of `file` that fail with [`io::ErrorKind::WouldBlock`] where they would wait.
#[derive(Debug)]
pub(crate) struct Resident {
    file: Arc<dyn File>,
}

impl Resident {
    pub(crate) fn of(file: Arc<dyn File>) -> Self {
        Self { file }
    }
}

/// The refusal, also of work that is too long for a worker.
pub(crate) fn would_wait() -> io::Error {
    io::ErrorKind::WouldBlock.into()
}

impl File for Resident {
    fn write_at(&self, position: u64, parts: &[&[u8]]) -> io::Result<()> {
        self.file.write_at(position, parts)
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_now(position, buffer)
    }

    fn read_now(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_now(position, buffer)
    }

    fn may_wait(&self) -> bool {
        false
    }

    fn forget(&self, position: u64, bytes: u64) {
        self.file.forget(position, bytes);
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.file.set_length(bytes)
    }

    fn preallocate(&self, end: u64) -> io::Result<()> {
        self.file.preallocate(end)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn map(&self, bytes: usize) -> io::Result<Arc<dyn Map>> {
        self.file.map(bytes)
    }
}
