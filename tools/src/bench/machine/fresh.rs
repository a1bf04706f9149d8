//! Memory that nobody has used lately: what a log always writes to, and a loop over the same few files never does.
//!
//! The host of a virtual machine takes back what the guest does not use. What a run wrote keeps its memory while its files
//! are there: whoever writes meanwhile gets other pages, and pays for them what the run paid.

use std::fs::File;
use std::io;
use std::path::Path;

use super::describe::free_memory_bytes;
use super::disk::free_bytes;

/// How much may be written into new memory: what the run wrote, unless disk or memory are too small for it. Where the kernel
/// has to take pages from other files they are not new.
pub(super) fn bytes(folder: &Path, wanted: u64) -> io::Result<u64> {
    Ok(wanted.min(free_bytes(folder)? / 4).min(free_memory_bytes() / 2))
}

/// Waits until what a run wrote is on the disk, so that nobody writes it while the next thing is measured.
pub(super) fn settle(folder: &Path) -> io::Result<()> {
    rustix::fs::syncfs(File::open(folder)?).map_err(io::Error::from)
}
