//! A simulated disk: it keeps what was synced and loses, keeps or tears the rest when the power goes.
//!
//! Owns live and durable bytes of each file, live and durable names of each folder, the faults that a test
//! plans, and the count of everything that happened, so that a test can fail as vacuous. Never reads a
//! clock or the machine's disk: one seed gives one history, byte for byte.
//!
//! ```text
//!    write_at ──► live bytes   ████████████████▒▒▒▒▒▒▒▒▒▒    ▒ dirty: written since the last sync
//!                     │ sync                     │
//!                     ▼                          │ crash: any subset of the dirty units (512 B or 4 KiB),
//!             durable bytes    ████████████████  ▼        the last one kept may be torn at any byte
//!    after a crash             ████████████████▒▒__▒▒▒    _ dropped: zeros, or what was durable there
//!                                                    ^    length: the synced one, the live one, or between
//!
//!    create, rename, remove ──► live names ── sync_folder ──► durable names
//!                                   └── crash: any subset of what was not synced; of the changes of one
//!                                       name, no later one without those before it
//! ```
//!
//! What is *not* assumed: that a file system writes in order, that syncing a file syncs its name, that a new
//! length comes with its bytes, that syncing one folder syncs another. What is: a rename within a folder is
//! one step, and synced means synced.
//!
//! A failed sync behaves as Linux does: it reports once, the pages count as clean although the disk never
//! got them, and the next sync succeeds. [`SimDisk::kill`] ends the process and keeps the page cache, as
//! `kill -9` does; [`SimDisk::crash`] takes the power.

mod content;
mod crash;
mod disk;
mod file;
mod folder;
mod plan;
mod state;
mod stats;

pub use crash::{Crash, Survivors};
pub use disk::SimDisk;
pub use stats::SimStats;

#[cfg(test)]
mod tests;
