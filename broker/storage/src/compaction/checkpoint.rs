//! Up to where a log was compacted: a small file in the partition's folder.
//!
//! A hint: without it everything is looked at again, which costs time and changes nothing.

use thalweg_protocol::Offset;

use crate::checkpoint::{self, CheckpointError, CheckpointFormat};
use crate::folder::COMPACTION_FILE;
use crate::segment::Home;

const FORMAT: CheckpointFormat = CheckpointFormat { tag: *b"CMPT", version: 1, bytes_max: 64 };

/// The offset in the file, if there is one and it lies within a log that ends at `log_end`.
pub(crate) fn load_cleaned_end(home: &Home, log_end: Offset) -> Offset {
    let path = home.folder.join(COMPACTION_FILE);
    let read = checkpoint::read(&*home.fs, &path, &FORMAT).ok().flatten();
    let content = read.and_then(|read| <[u8; 8]>::try_from(read.content).ok());
    let cleaned_end = content.map_or(Offset::ZERO, |bytes| Offset::new(i64::from_be_bytes(bytes)));
    if cleaned_end > log_end { Offset::ZERO } else { cleaned_end }
}

/// Writes the offset, durably.
pub(crate) fn save_cleaned_end(home: &Home, cleaned_end: Offset) -> Result<(), CheckpointError> {
    let path = home.folder.join(COMPACTION_FILE);
    checkpoint::write(&*home.fs, &path, &FORMAT, &cleaned_end.get().to_be_bytes())
}
