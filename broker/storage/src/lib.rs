//! The log on disk: partitions as sequences of segments, synced in groups, believed after a crash.
//!
//! ```text
//!     40 41 42 43 44 45 46 | 47 48 49 50 51 52 | 53 54 55 |
//!           ^ log start               ^ synced end        ^ log end
//!     segment 40           | segment 47        | segment 53, the active one
//! ```
//!
//! Owns the files of partitions ([`Log`], the only writer, and [`LogReader`], what everybody else sees), the log
//! directories that they lie in ([`LogDir`]), the decision when what is synced ([`GroupCommit`]), and the file
//! system as traits ([`fs`]), so that tests run the log itself on a disk that loses power.
//!
//! Never knows a topic's name (but for the human who finds a folder), a broker, a client or a high watermark
//! that it was not handed. Never awaits, reads no clock, starts no thread.
//!
//! Invariants:
//! - log start <= synced end <= log end, but for a log start that was moved behind the synced end;
//! - what lies below the log end does not change, except by a cut; what a reader holds never changes;
//! - below the synced end everything survives a loss of power, and is never cut by a restart;
//! - indexes are hints: what is read does not depend on them;
//! - after a failed sync nothing more is written to the directory, and nothing is acknowledged.
//!
//! The files are drawn in `docs/disk-format.md`. A reader's way in: `log.rs`, `append.rs` and `roll.rs` write,
//! `read.rs`, `find.rs` and `walk.rs` read, `sync.rs` makes durable, `recovery.rs` (the table), `recover.rs`
//! and `open.rs` start, `truncate.rs` moves both ends, `compaction/` keeps the last record of each key.

mod active;
mod ahead;
mod append;
pub mod checkpoint;
mod compaction;
pub mod defects;
mod deleted;
mod ends;
mod enter;
mod epoch;
mod error;
mod extent;
mod find;
mod flush;
mod folder;
pub mod fs;
mod index;
mod log;
mod log_dir;
mod lookup;
mod names;
mod open;
mod open_files;
mod options;
mod primitives;
mod producer;
mod read;
mod reader;
mod rebuild;
mod recover;
mod recovery;
mod retention;
mod roll;
mod scrub;
mod segment;
mod segments;
mod sync;
mod tail;
mod truncate;
mod visit;
mod walk;

pub use append::{Appended, CheckedBatch};
pub use compaction::{
    Compacted, CompactionError, CompactionOptions, CompactionPlan, CompactionRequest, WithLog,
    compact,
};
pub use deleted::Hold;
pub use epoch::{EpochEnd, EpochError, EpochStart, EpochTable};
pub use error::{AppendError, LogError, ReadError};
pub use flush::{Flush, FlushLimits, GroupCommit, SyncResult, Urgency};
pub use folder::{
    COMPACTION_FILE, EPOCH_FILE, FileKind, FileName, FolderName, METADATA_FILE, PartitionMetadata,
    PartitionMetadataError,
};
pub use index::dropped_entries;
pub use log::Log;
pub use log_dir::{
    DirRefusal, DirState, FolderError, FoundFolders, Identity, LogDir, LogDirOptions, OpenDirError,
    Owner, RecoveryMark, SegmentAppend,
};
pub use lookup::TimedOffset;
pub use open::Believed;
pub use open_files::{OpenFileCounts, OpenFiles, Slot};
pub use options::LogOptions;
pub use producer::{
    AfterTruncation, Duplicate, PRODUCER_KEPT_MS, ProducerBatch, ProducerLimits, ProducerTable,
    RememberedBatch, SequenceCheck, SequenceError, SnapshotError,
};
pub use read::Read;
pub use reader::LogReader;
pub use recover::RecoveryReport;
pub use retention::{ActiveSegment, Expired, RetentionLimits, RetentionState, SegmentAge, expired};
pub use scrub::{ScrubPlace, Scrubbed};
pub use segment::BadRange;
pub use truncate::Removed;
