//! Takes the power from a mounted ext4 file system: what its journal has not committed is gone.
//!
//! Owns one system call. Afterwards every access to the file system fails until it is mounted again, which replays
//! the journal as after a real power cut. Needs root; to be used on a loop image only.
#![expect(unsafe_code, reason = "the system call takes a pointer")]

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::ioctl::{Opcode, Setter, ioctl, opcode};

/// `EXT4_IOC_SHUTDOWN`, which XFS and f2fs share: `_IOR('X', 125, u32)`.
const SHUTDOWN: Opcode = opcode::read::<u32>(b'X', 125);

/// Nothing is flushed first, not even the journal.
const NO_LOG_FLUSH: u32 = 2;

/// Shuts down the file system that is mounted at `mount_point`.
///
/// # Errors
/// What the system said: not root, or a file system that knows no such call.
pub fn cut_power(mount_point: &Path) -> io::Result<()> {
    let root = File::open(mount_point)?;
    // SAFETY: this call reads one u32 through the pointer and writes nothing; the value outlives the call.
    unsafe { ioctl(&root, Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH)) }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_the_call_is_the_kernels() {
        assert_eq!(SHUTDOWN, 0x8004_587d);
    }

    #[test]
    fn a_file_system_that_cannot_be_shut_down_says_so() {
        assert!(cut_power(Path::new("/proc")).is_err());
    }
}
