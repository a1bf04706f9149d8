//! Reads a shard's log from its start to its end, away from the workers.

use std::sync::Arc;
use std::time::Duration;

use thalweg_protocol::Offset;
use thalweg_storage::ReadError;

use super::batches::{ReplayError, replay};
use super::group::{GroupOptions, Groups};
use crate::partition::Partition;

/// What is read at a time.
const READ_BYTES: usize = 1024 * 1024;

/// How often it is looked whether what was read is committed.
const COMMITTED_CHECK: Duration = Duration::from_millis(2);

/// A shard as its log says.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) groups: Groups,
    /// How many records were read.
    pub(super) records: u64,
    /// Where the log ended: what lies beyond it this shard has written itself.
    pub(super) end: Offset,
}

/// Why a shard cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The disk gave nothing.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// What was read is not what was written.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The log ends before its end.
    #[error("nothing could be read at offset {at}, though the log ends at {end}")]
    Gap {
        /// Where reading came to.
        at: Offset,
        /// Where the log ends.
        end: Offset,
    },
}

/// Reads the whole log. Waits for the disk.
pub(super) fn load(
    partition: &Partition,
    options: &Arc<GroupOptions>,
) -> Result<Loaded, LoadError> {
    let mut groups = Groups::new(Arc::clone(options));
    let reader = partition.reader();
    // Nobody but this shard's worker writes here, and it does not yet.
    let end = reader.log_end();
    let (mut at, mut records) = (reader.log_start(), 0);
    while at < end {
        let read = reader.read(at, READ_BYTES, end, true)?;
        read.populate()?;
        let next = read.next();
        if next <= at {
            return Err(LoadError::Gap { at, end });
        }
        records += replay(&mut groups, read.into_bytes(), at)?;
        at = next;
    }
    Ok(Loaded { groups, records, end })
}

/// Waits until everything below `end` is committed: no answer may be built on what may yet be lost.
pub(super) async fn committed(partition: &Partition, end: Offset) {
    while partition.high_watermark() < end {
        tokio::time::sleep(COMMITTED_CHECK).await;
    }
}
