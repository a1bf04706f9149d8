//! The two indexes of one segment: what is added to them, what is looked up in them.

use std::io;

use thalweg_protocol::TimestampMs;

use super::{IndexFile, Looked, OffsetEntry, TimeEntry, search, search_now};
use crate::folder::{FileKind, FileName};
use crate::fs::File;
use crate::segment::Segment;
use crate::walk::Found;

impl Segment {
    /// Where the offset index lies.
    pub(crate) fn offset_file(&self) -> IndexFile<'_> {
        self.index_file(FileKind::OffsetIndex)
    }

    /// Where the time index lies.
    pub(crate) fn time_file(&self) -> IndexFile<'_> {
        self.index_file(FileKind::TimeIndex)
    }

    fn index_file(&self, kind: FileKind) -> IndexFile<'_> {
        let name = FileName::new(self.base_offset(), kind);
        IndexFile { fs: self.fs(), folder: self.folder(), name }
    }

    /// Adds the index entries of a batch.
    pub(crate) fn index(&self, batch: &Found, newest: TimeEntry) {
        let relative = self.relative(batch.header.last_offset());
        let position = u32::try_from(batch.position).ok();
        let (Some(relative), Some(position)) = (relative, position) else { return };
        self.index_time(newest);
        self.index_offset(OffsetEntry { relative, position });
    }

    /// Adds an offset entry. When a group of them goes to the file, the time entries go, too: after a crash the
    /// files then reach about as far as each other.
    pub(crate) fn index_offset(&self, entry: OffsetEntry) {
        let wrote = self.offsets_mut().push(&self.offset_file(), entry);
        if wrote {
            self.times_mut().write_all(&self.time_file());
        }
    }

    /// Adds a time entry if it rises above the last one.
    pub(crate) fn index_time(&self, newest: TimeEntry) {
        if !self.knows_times() {
            // An entry says that nothing before it is newer, and nobody knows.
            return;
        }
        let file = self.time_file();
        let mut times = self.times_mut();
        let rises = times.last(&file).is_none_or(|last| {
            last.timestamp < newest.timestamp && last.relative <= newest.relative
        });
        if rises && newest.timestamp != TimestampMs::NONE {
            times.push(&file, newest);
        }
    }

    /// The last offset entry for which `holds` is true. The index is locked while memory is searched only, so
    /// that a slow disk never holds up an append.
    pub(crate) fn last_entry_where(
        &self,
        holds: impl Fn(&OffsetEntry) -> bool,
    ) -> Option<OffsetEntry> {
        let looked = self.offsets().look(&holds);
        match looked {
            Looked::Found(entry) => Some(entry),
            Looked::InFile(count) => search(&self.offset_file(), count, holds),
        }
    }

    /// The same for a reader of `file`, whose own reads say whether it may wait for the disk.
    pub(crate) fn last_entry_for(
        &self,
        file: &dyn File,
        holds: impl Fn(&OffsetEntry) -> bool,
    ) -> io::Result<Option<OffsetEntry>> {
        if file.may_wait() {
            return Ok(self.last_entry_where(holds));
        }
        let looked = self.offsets().look(&holds);
        match looked {
            Looked::Found(entry) => Ok(Some(entry)),
            Looked::InFile(0) => Ok(None),
            Looked::InFile(count) => search_now(&self.offset_file(), count, holds),
        }
    }

    /// The last time entry for which `holds` is true.
    pub(crate) fn last_time_where(&self, holds: impl Fn(&TimeEntry) -> bool) -> Option<TimeEntry> {
        let looked = self.times().look(&holds);
        match looked {
            Looked::Found(entry) => Some(entry),
            Looked::InFile(count) => search(&self.time_file(), count, holds),
        }
    }

    /// The last time entry of all.
    pub(crate) fn last_time(&self) -> Option<TimeEntry> {
        self.times_mut().last(&self.time_file())
    }

    /// Writes the index files and gives back what they hold beyond their entries.
    pub(crate) fn flush_indexes(&self) {
        self.offsets_mut().flush(&self.offset_file());
        self.times_mut().flush(&self.time_file());
    }

    /// A hint that stays behind is removed when the log is opened next time.
    pub(crate) fn remove_indexes(&self) {
        for kind in [FileKind::OffsetIndex, FileKind::TimeIndex] {
            drop(self.fs().remove(&self.path(kind)));
        }
    }
}
