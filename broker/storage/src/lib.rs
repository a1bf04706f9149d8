//! Under construction.

mod active;
mod append;
pub mod checkpoint;
pub mod defects;
mod epoch;
mod error;
mod find;
mod flush;
mod folder;
pub mod fs;
mod index;
mod log;
mod log_dir;
mod lookup;
mod open;
mod open_files;
mod options;
mod producer;
mod read;
mod reader;
mod recover;
mod recovery;
mod retention;
mod roll;
mod segment;
mod segments;
mod sync;
mod truncate;
mod visit;
mod walk;

pub use append::{Appended, CheckedBatch};
pub use epoch::{EpochEnd, EpochError, EpochStart, EpochTable};
pub use error::{AppendError, LogError, ReadError};
pub use flush::{Flush, FlushLimits, GroupCommit, SyncResult, Urgency};
pub use folder::{
    EPOCH_FILE, FileKind, FileName, FolderName, METADATA_FILE, PartitionMetadata,
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
    AfterTruncation, Duplicate, ProducerBatch, ProducerLimits, ProducerTable, RememberedBatch,
    SequenceCheck, SequenceError, SnapshotError,
};
pub use read::Read;
pub use reader::LogReader;
pub use recover::RecoveryReport;
pub use retention::{ActiveSegment, Expired, RetentionLimits, RetentionState, SegmentAge, expired};
pub use segment::BadRange;
pub use truncate::Removed;
