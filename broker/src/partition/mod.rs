//! One replica of each partition that this broker holds: its role, its offsets, and who is in sync.
//!
//! Owns the decision when a record is committed ([`Replica`], pure), the log it is about, and the thread that
//! brings logs to stable storage. A partition has two short mutexes, `log` and `replica`, taken in this order
//! and never held across an await; fetches, the flusher and timers take `log` never.
//!
//! ```text
//!     40 41 42 43 44 45 46 47 48 | 49 50 51 52 | 53
//!     ^ log start                  ^ high watermark
//!                                                ^ log end
//! ```
//!
//! Invariants: log start <= high watermark <= log end; readers see what is below the high watermark only; an
//! append under an older leader epoch than the current one changes nothing.

mod announced;
mod append;
mod compactor;
mod directory;
mod error;
mod flusher;
mod high_watermark;
mod inflating;
mod isr;
mod leader;
mod maintenance;
#[expect(clippy::module_inception, reason = "the room's main value has the room's name")]
mod partition;
mod preparer;
mod primitives;
mod read;
mod replica;
mod role;
mod scrub;
mod settings;
mod table;
mod waiters;

pub use append::Accepted;
pub use compactor::{Compactor, CompactorHandle, CompactorOptions, Standing};
pub use directory::Directory;
pub use error::PartitionError;
pub use flusher::{Flusher, Worker as FlusherWorker};
pub use high_watermark::{Durability, Ends};
pub use inflating::{Inflater, InflaterWorker};
pub use isr::Member;
pub use leader::{Leadership, Progress, Rules};
pub use maintenance::{Maintenance, MaintenanceOptions};
pub use partition::{Description, Partition, Parts};
pub use preparer::{Preparer, PreparerWorker};
pub use read::{Fetched, Found, OffsetQuery, ReadRequest};
pub use replica::{Effect, Input, Replica};
pub use scrub::{Scrub, ScrubOptions};
pub use settings::Settings;
pub use table::Table;
pub use waiters::{Commit, Outcome, Waiters};
