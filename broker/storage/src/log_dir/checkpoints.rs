//! What a log directory writes about its partitions, and the mark of a clean stop.

use std::io;
use std::path::Path;

use thalweg_protocol::{DirectoryId, Offset, TimestampMs, TopicPartition};

use super::error::DirRefusal;
use super::open::LogDir;
use super::points::{RecoveryMark, SegmentAppend};
use super::state::{DirState, MARKED, OFFLINE, lock};
use crate::checkpoint::{self, CheckpointError, CheckpointFormat};
use crate::fs::FileSystem;

/// The file that says that the last stop was clean.
pub(super) const CLEAN_FILE: &str = "clean-stop";

const CLEAN_FORMAT: CheckpointFormat =
    CheckpointFormat { tag: *b"STOP", version: 1, bytes_max: 16 };

impl LogDir {
    /// Everything below was synced when this was written; `None` if the partition is not known.
    pub fn recovery_point(&self, partition: TopicPartition) -> Option<Offset> {
        self.recovery_points.get(partition).map(Offset::new)
    }

    /// The log start that was answered last to a deletion of records.
    pub fn log_start(&self, partition: TopicPartition) -> Option<Offset> {
        self.log_starts.get(partition).map(Offset::new)
    }

    /// A high watermark that the partition had reached.
    pub fn high_watermark(&self, partition: TopicPartition) -> Option<Offset> {
        self.high_watermarks.get(partition).map(Offset::new)
    }

    /// When the partition's segments were last appended to, oldest segment first.
    pub fn last_appends(&self, partition: TopicPartition) -> Vec<SegmentAppend> {
        let rows = self.last_appends.of(partition).into_iter();
        rows.map(|(base_offset, ms)| SegmentAppend {
            base_offset,
            last_append: TimestampMs::new(ms),
        })
        .collect()
    }

    /// Writes the recovery points, durably, if they changed. `collect` runs under the checkpoint's lock and
    /// reads the synced ends as they are at that moment: so a cut, which lowers its synced end first and then
    /// calls [`lower_recovery_point`](Self::lower_recovery_point), is never undone.
    pub fn write_recovery_points<I>(
        &self,
        collect: impl FnOnce() -> I,
    ) -> Result<(), CheckpointError>
    where
        I: IntoIterator<Item = RecoveryMark>,
    {
        self.recovery_points.update(&self.writer(), || {
            collect().into_iter().map(|mark| (mark.partition, mark.recovery_point().get()))
        })
    }

    /// Before a log is cut at `to`: no recovery point above it is left, on disk either.
    pub fn lower_recovery_point(
        &self,
        partition: TopicPartition,
        to: Offset,
    ) -> Result<(), CheckpointError> {
        self.recovery_points.lower(&self.writer(), partition, to)
    }

    /// Writes log starts, durably: before a deletion of records is answered.
    pub fn write_log_starts(
        &self,
        starts: impl IntoIterator<Item = (TopicPartition, Offset)>,
    ) -> Result<(), CheckpointError> {
        let rows = starts.into_iter().map(|(partition, offset)| (partition, offset.get()));
        self.log_starts.update(&self.writer(), || rows)
    }

    /// Writes high watermarks if they changed.
    pub fn write_high_watermarks(
        &self,
        marks: impl IntoIterator<Item = (TopicPartition, Offset)>,
    ) -> Result<(), CheckpointError> {
        let rows = marks.into_iter().map(|(partition, offset)| (partition, offset.get()));
        self.high_watermarks.update(&self.writer(), || rows)
    }

    /// Writes the times of last appends if they changed; what is given replaces all that was known of a
    /// partition's segments.
    pub fn write_last_appends(
        &self,
        appends: impl IntoIterator<Item = (TopicPartition, Vec<SegmentAppend>)>,
    ) -> Result<(), CheckpointError> {
        self.last_appends.update_segments(&self.writer(), appends)
    }

    /// Forgets what the checkpoints say of a partition: durably what a new partition of the same name must
    /// not inherit.
    pub(super) fn forget_points(&self, partition: TopicPartition) -> Result<(), CheckpointError> {
        let write = self.writer();
        self.recovery_points.forget(Some(&write), partition)?;
        self.log_starts.forget(Some(&write), partition)?;
        self.high_watermarks.forget(Some(&write), partition)?;
        self.last_appends.forget(None, partition)
    }

    fn writer(&self) -> impl Fn(&Path, &CheckpointFormat, &[u8]) -> Result<(), CheckpointError> {
        |file, format, content| self.write_checkpoint(file, format, content)
    }

    /// Writes a checkpoint of this directory. On a full disk the reserve makes room, once; whatever else fails
    /// takes the directory offline, because a failed sync is never tried again.
    pub fn write_checkpoint(
        &self,
        file: &Path,
        format: &CheckpointFormat,
        content: &[u8],
    ) -> Result<(), CheckpointError> {
        if self.gate.closed() & OFFLINE != 0 {
            let source = io::Error::other("the log directory is offline");
            return Err(CheckpointError::Io { file: file.to_owned(), action: "write", source });
        }
        let write = || checkpoint::write(&*self.fs, file, format, content);
        let mut result = write();
        if result.as_ref().is_err_and(CheckpointError::is_full) {
            self.gate.change(&DirState::ReadOnly { free: 0 });
            if self.reserve.release(&*self.fs) {
                result = write();
            }
        }
        if let Err(CheckpointError::Io { source, .. }) = &result {
            self.failed(&format!("{}: cannot write it", file.display()), source);
        }
        result
    }

    pub(super) fn remove_clean_mark(&self) -> Result<(), DirRefusal> {
        let _held = lock(&self.mark);
        if self.gate.closed() & MARKED == 0 {
            return Ok(());
        }
        let file = self.path.join(CLEAN_FILE);
        let removed = match self.fs.remove(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        if let Err(error) = removed.and_then(|()| self.fs.sync_folder(&self.path)) {
            self.fail(&format!("cannot remove the clean mark: {error}"));
        }
        self.gate.open_mark();
        self.refusal(OFFLINE).map_or(Ok(()), Err)
    }

    /// Writes the mark of a clean stop, durably. Every log is closed and synced, and every checkpoint
    /// written; nothing may be written afterwards. A directory that is offline gets none.
    pub fn close_clean(&self) -> Result<(), CheckpointError> {
        if self.gate.closed() & OFFLINE != 0 {
            return Ok(());
        }
        let _held = lock(&self.mark);
        self.write_checkpoint(
            &self.path.join(CLEAN_FILE),
            &CLEAN_FORMAT,
            self.directory_id().as_bytes(),
        )?;
        self.gate.close_mark();
        Ok(())
    }
}

/// Whether there is a clean mark and it is this directory's; a damaged one counts as none.
pub(super) fn read_clean_mark(fs: &dyn FileSystem, dir: &Path, directory: DirectoryId) -> bool {
    let mark = checkpoint::read(fs, &dir.join(CLEAN_FILE), &CLEAN_FORMAT);
    mark.is_ok_and(|mark| mark.is_some_and(|mark| mark.content == directory.as_bytes()))
}
