//! Up to where a log was compacted: a small file in the partition's folder.
//!
//! A hint: without it everything is looked at again, which costs time and changes nothing. But it must not speak of
//! records that came later: below it nobody looks for older records of a key again.

use std::io;

use thalweg_protocol::Offset;

use crate::checkpoint::{self, CheckpointError, CheckpointFormat};
use crate::folder::COMPACTION_FILE;
use crate::segment::Home;

const FORMAT: CheckpointFormat = CheckpointFormat { tag: *b"CMPT", version: 1, bytes_max: 64 };

/// The offset in the file, if there is one and it lies within a log that ends at `log_end`. Else the file goes: the
/// log may come to that offset again.
pub(crate) fn load_cleaned_end(home: &Home, log_end: Offset) -> io::Result<Offset> {
    let path = home.folder.join(COMPACTION_FILE);
    let read = checkpoint::read(&*home.fs, &path, &FORMAT).ok().flatten();
    let content = read.and_then(|read| <[u8; 8]>::try_from(read.content).ok());
    let cleaned_end = content.map_or(Offset::ZERO, |bytes| Offset::new(i64::from_be_bytes(bytes)));
    if cleaned_end <= log_end {
        return Ok(cleaned_end);
    }
    forget_cleaned_end(home)?;
    Ok(Offset::ZERO)
}

/// Takes the file away, durably; there need not be one.
pub(crate) fn forget_cleaned_end(home: &Home) -> io::Result<()> {
    match home.fs.remove(&home.folder.join(COMPACTION_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => home.fs.sync_folder(&home.folder),
    }
}

/// Writes the offset, durably.
pub(crate) fn save_cleaned_end(home: &Home, cleaned_end: Offset) -> Result<(), CheckpointError> {
    let path = home.folder.join(COMPACTION_FILE);
    checkpoint::write(&*home.fs, &path, &FORMAT, &cleaned_end.get().to_be_bytes())
}
