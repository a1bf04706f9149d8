//! One disk: a folder with partitions, its lock, its identity, its state and its checkpoints.
//!
//! Owns everything under the folder that is not inside of a partition: `.lock`, `meta.properties`, the
//! checkpoints, the mark of a clean stop, the reserve, and the names of the partitions' folders. Never
//! opens a log and never reads a clock.
//!
//! ```text
//!     <log directory>/.lock  .reserve  meta.properties  clean-stop
//!                     recovery-point.checkpoint  log-start.checkpoint
//!                     high-watermark.checkpoint  last-append.checkpoint
//!                     <topic id>-<partition>/...            a partition
//!                     <topic id>-<partition>.deleted/...    one that waits to be removed
//! ```
//!
//! Invariants: a folder of a partition is made once and never a second time; the clean mark is gone, durably,
//! before the first change to any log; a directory that failed takes no write until the process ends.

mod admission;
mod checkpoints;
mod error;
mod folders;
mod identity;
mod open;
mod points;
mod reserve;
mod state;

pub use error::{DirRefusal, FolderError, OpenDirError};
pub use folders::FoundFolders;
pub use identity::Identity;
pub use open::{LogDir, LogDirOptions, Owner};
pub use points::{RecoveryMark, SegmentAppend};
pub use state::DirState;

#[cfg(test)]
mod tests;
