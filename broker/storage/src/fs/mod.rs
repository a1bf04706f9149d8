//! What the log asks of a file system, as traits: the real one, and a simulated disk for tests.
//!
//! Owns the only maps and the only system calls on log files. Everything above works on [`FileSystem`] and
//! [`File`], so that the simulator runs the log itself and not a copy of it. A map is never written
//! through, and log bytes are touched in user space only by [`File::read_at`].

mod file_system;
mod mmap;
mod os;
mod resident;
#[cfg(any(test, feature = "testing"))]
pub mod sim;

pub use file_system::{File, FileSystem, Map, Space};
pub use os::OsFileSystem;
pub(crate) use resident::{Resident, would_wait};

#[cfg(test)]
mod suite;
