//! A sparse table of one kind of entry: its older part in a file, its newest part in memory.
//!
//! ```text
//!     file:   e0 e1 e2 ... e255 | memory: e256 ... e400
//! ```
//!
//! What is in memory goes to the file in groups.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::file::{Entry, IndexFile, count_in_file, read_entry, size};
use crate::fs::File;

/// Entries kept in memory before the older half is appended to the file: with the usual interval the last
/// mebibyte of a log is found without touching the index file.
const TAIL_MAX: usize = 512;

/// Entries written at one time.
const GROUP: usize = TAIL_MAX / 2;

/// Entries that could not be written to their file, in this process.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Index entries lost to failed writes since the process began. They cost time, never records.
pub fn dropped_entries() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// What the memory knows of a search.
pub(crate) enum Looked<E> {
    /// The answer.
    Found(E),
    /// It is among so many first entries of the file; see [`search`](super::search).
    InFile(u64),
}

/// The table of one segment.
#[derive(Debug)]
pub(crate) struct Sparse<E> {
    /// Entries of the file that count; what the file holds behind them is ignored.
    on_disk: u64,
    /// What follows them.
    tail: Vec<E>,
    /// The last entry of the file, once somebody asked for it.
    last_on_disk: Option<E>,
}

impl<E: Entry> Sparse<E> {
    /// A table without entries; a file of its name, if there is one, does not count.
    pub(crate) const fn new() -> Self {
        Self { on_disk: 0, tail: Vec::new(), last_on_disk: None }
    }

    /// The table that a file holds; `None` when there is no usable file.
    pub(crate) fn open(file: &IndexFile<'_>) -> Option<Self> {
        let length = file.open().and_then(|file| file.length()).ok()?;
        Some(Self { on_disk: length / size::<E>(), ..Self::new() })
    }

    /// Holds these entries in memory and touches no file until they are flushed.
    pub(crate) fn hold(&mut self, entries: Vec<E>) {
        *self = Self { tail: entries, ..Self::new() };
    }

    /// Holds what `other` holds, which is given up.
    pub(crate) fn take_over(&mut self, other: &Self) {
        self.on_disk = other.on_disk;
        self.tail.clone_from(&other.tail);
        self.last_on_disk = other.last_on_disk;
    }

    /// Entries in all.
    pub(crate) fn len(&self) -> u64 {
        self.on_disk + u64::try_from(self.tail.len()).unwrap_or(u64::MAX)
    }

    /// Bytes that the table takes in its file, once all of it is written.
    pub(crate) fn bytes(&self) -> u64 {
        self.len() * size::<E>()
    }

    /// Adds an entry, and writes a group of older ones when enough have come together; true when it did.
    pub(crate) fn push(&mut self, file: &IndexFile<'_>, entry: E) -> bool {
        self.tail.push(entry);
        let full = self.tail.len() >= TAIL_MAX;
        if full {
            self.write_out(file, GROUP);
        }
        full
    }

    /// Writes all entries.
    pub(crate) fn write_all(&mut self, file: &IndexFile<'_>) {
        self.write_out(file, self.tail.len());
    }

    /// Writes all entries and gives back what the file holds beyond them. When that fails, the file lacks
    /// entries or has some that nobody counts.
    pub(crate) fn flush(&mut self, file: &IndexFile<'_>) {
        self.write_all(file);
        self.tail.shrink_to_fit();
        let cut = || {
            let open = file.open_or_create()?;
            if open.length()? == self.bytes() { Ok(()) } else { open.set_length(self.bytes()) }
        };
        // A longer file would be taken for more entries at the next start, and found out when used.
        drop(cut());
    }

    fn write_out(&mut self, file: &IndexFile<'_>, count: usize) {
        let group: Vec<E> = self.tail.drain(..count.min(self.tail.len())).collect();
        let Some(last) = group.last() else { return };
        let mut bytes = Vec::with_capacity(group.len() * E::BYTES);
        for entry in &group {
            entry.encode(&mut bytes);
        }
        let write = || file.open_or_create()?.write_at(self.on_disk * size::<E>(), &[&bytes]);
        let written = u64::try_from(group.len()).unwrap_or(u64::MAX);
        match write() {
            Ok(()) => {
                self.on_disk += written;
                self.last_on_disk = Some(*last);
            }
            Err(_) => _ = DROPPED.fetch_add(written, Ordering::Relaxed),
        }
    }

    /// Puts `rebuilt` in the place of what the file held, keeps what memory holds behind it, and writes the
    /// file anew. `follows` says whether an entry in memory comes after all that was rebuilt.
    pub(crate) fn replace(
        &mut self,
        file: &IndexFile<'_>,
        mut rebuilt: Vec<E>,
        follows: impl Fn(&E) -> bool,
    ) {
        rebuilt.extend(self.tail.iter().filter(|entry| follows(entry)));
        // The old file may be open in a search: it is not changed but replaced.
        drop(file.fs.remove(&file.path()));
        *self = Self { tail: rebuilt, ..Self::new() };
        let older = self.tail.len().saturating_sub(TAIL_MAX);
        self.write_out(file, older);
    }

    /// Forgets the entries from the first for which `keep` is false; entries satisfy it up to some place
    /// and not from there on.
    pub(crate) fn cut(&mut self, file: &IndexFile<'_>, keep: impl Fn(&E) -> bool) {
        let in_tail = self.tail.partition_point(&keep);
        self.tail.truncate(in_tail);
        if in_tail == 0 {
            let count = |open: Arc<dyn File>| count_in_file(&*open, self.on_disk, &keep);
            self.on_disk = file.open().and_then(count).unwrap_or(0);
            self.last_on_disk = None;
        }
    }

    /// Looks for the last entry for which `holds` is true; entries satisfy it up to some place and not from
    /// there on. Touches memory only.
    pub(crate) fn look(&self, holds: impl Fn(&E) -> bool) -> Looked<E> {
        let found = self.tail.partition_point(holds).checked_sub(1);
        found
            .and_then(|at| self.tail.get(at))
            .map_or(Looked::InFile(self.on_disk), |entry| Looked::Found(*entry))
    }

    /// The last entry of all.
    pub(crate) fn last(&mut self, file: &IndexFile<'_>) -> Option<E> {
        if self.tail.is_empty() && self.last_on_disk.is_none() {
            let at = self.on_disk.checked_sub(1)?;
            self.last_on_disk = file.open().and_then(|open| read_entry(&*open, at)).ok();
        }
        self.tail.last().copied().or(self.last_on_disk)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use thalweg_protocol::Offset;

    use super::*;
    use crate::folder::{FileKind, FileName};
    use crate::fs::FileSystem;
    use crate::fs::sim::SimDisk;
    use crate::index::{OffsetEntry, search};

    fn entry(number: u32) -> OffsetEntry {
        OffsetEntry { relative: number * 10 + 9, position: number * 100 }
    }

    /// Tables of many sizes, so that entries lie in memory, in the file, or in both.
    fn with_tables(check: impl Fn(&mut Sparse<OffsetEntry>, &IndexFile<'_>, u32)) {
        for count in [0, 1, 2, 511, 512, 513, 2000, 5000] {
            let disk = SimDisk::new(1);
            disk.create_folder(Path::new("/x")).unwrap();
            let name = FileName::new(Offset::ZERO, FileKind::OffsetIndex);
            let file = IndexFile { fs: &disk, folder: Path::new("/x"), name };
            let mut table = Sparse::new();
            for number in 0..count {
                table.push(&file, entry(number));
            }
            assert_eq!(table.len(), u64::from(count));
            check(&mut table, &file, count);
        }
    }

    fn find(
        table: &Sparse<OffsetEntry>,
        file: &IndexFile<'_>,
        relative: u32,
    ) -> Option<OffsetEntry> {
        let holds = |entry: &OffsetEntry| entry.relative <= relative;
        match table.look(holds) {
            Looked::Found(entry) => Some(entry),
            Looked::InFile(count) => search(file, count, holds),
        }
    }

    fn check_all(table: &Sparse<OffsetEntry>, file: &IndexFile<'_>, count: u32) {
        assert_eq!(find(table, file, 8), None);
        for number in 0..count {
            assert_eq!(find(table, file, number * 10 + 9), Some(entry(number)));
            assert_eq!(find(table, file, number * 10 + 18), Some(entry(number)));
        }
    }

    #[test]
    fn every_entry_is_found_in_memory_and_in_the_file() {
        with_tables(|table, file, count| check_all(table, file, count));
    }

    #[test]
    fn a_flushed_table_opens_again_with_all_its_entries() {
        with_tables(|table, file, count| {
            table.flush(file);
            let mut again = Sparse::open(file).unwrap();
            assert_eq!(again.last(file), count.checked_sub(1).map(entry));
            check_all(&again, file, count);
        });
    }

    #[test]
    fn a_cut_table_goes_on_where_it_was_cut() {
        with_tables(|table, file, count| {
            for keep in [count, count / 2, count / 5, 0] {
                table.cut(file, |entry| entry.position < keep * 100);
                assert_eq!(table.len(), u64::from(keep));
                check_all(table, file, keep);
            }
            for number in 0..count {
                table.push(file, entry(number));
            }
            check_all(table, file, count);
            table.flush(file);
            check_all(&Sparse::open(file).unwrap(), file, count);
        });
    }

    #[test]
    fn a_rebuilt_table_keeps_what_memory_holds_behind_it() {
        with_tables(|table, file, count| {
            let in_memory = u32::try_from(table.tail.len()).unwrap();
            let rebuilt: Vec<_> = (0..count - in_memory).map(entry).collect();
            let end = (count - in_memory) * 100;
            table.replace(file, rebuilt, |entry| entry.position >= end);
            check_all(table, file, count);
        });
    }

    #[test]
    fn entries_that_cannot_be_written_are_dropped_and_counted() {
        let disk = SimDisk::new(1);
        disk.create_folder(Path::new("/x")).unwrap();
        let name = FileName::new(Offset::ZERO, FileKind::OffsetIndex);
        let file = IndexFile { fs: &disk, folder: Path::new("/x"), name };
        disk.set_capacity(Some(0));
        let before = dropped_entries();
        let mut table = Sparse::new();
        for number in 0..600 {
            table.push(&file, entry(number));
        }
        assert!(dropped_entries() >= before + 256);
        assert_eq!(find(&table, &file, 5999), Some(entry(599)), "the newest are still there");
    }
}
