//! A sparse table of one kind of entry: its older part in a file, its newest part in memory.
//!
//! ```text
//!     file:   e0 e1 e2 ... e255 | memory: e256 ... e400
//! ```
//!
//! The file is opened for each look and each group of entries that is written, so that quiet partitions keep
//! nothing open.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::folder::FileName;
use crate::fs::{File, FileSystem, Resident};

/// Entries kept in memory before the older half is appended to the file: with the usual interval the last
/// mebibyte of a log is found without touching the index file.
const TAIL_MAX: usize = 512;

/// Entries written at one time.
const GROUP: usize = TAIL_MAX / 2;

/// When a search in the file has narrowed down to so many bytes, they are read at once.
const BLOCK_BYTES: u64 = 4096;

/// Entries that could not be written to their file, in this process.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Index entries lost to failed writes since the process began. They cost time, never records.
pub fn dropped_entries() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// One kind of entry with its layout.
pub(crate) trait Entry: Copy + Debug + PartialEq {
    /// Bytes of an entry in the file.
    const BYTES: usize;

    /// Appends the entry's bytes.
    fn encode(self, target: &mut Vec<u8>);

    /// Reads an entry from the front of `bytes`.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// Where the table's file is. Its path is put together only when it is needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexFile<'a> {
    pub(crate) fs: &'a dyn FileSystem,
    pub(crate) folder: &'a Path,
    pub(crate) name: FileName,
}

impl IndexFile<'_> {
    fn path(&self) -> PathBuf {
        self.name.path(self.folder)
    }

    fn open(&self) -> io::Result<Arc<dyn File>> {
        self.fs.open(&self.path())
    }

    fn open_or_create(&self) -> io::Result<Arc<dyn File>> {
        let path = self.path();
        match self.fs.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.fs.create(&path),
            other => other,
        }
    }
}

/// What the memory knows of a search.
pub(crate) enum Looked<E> {
    /// The answer.
    Found(E),
    /// It is among so many first entries of the file; see [`search`].
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

/// The last of the first `count` entries in the file for which `holds` is true. When the file has been damaged,
/// what is found may be any entry, or none.
pub(crate) fn search<E: Entry>(
    file: &IndexFile<'_>,
    count: u64,
    holds: impl Fn(&E) -> bool,
) -> Option<E> {
    search_in(&*file.open().ok()?, count, holds).ok()?
}

/// The same without waiting for the disk: fails with [`io::ErrorKind::WouldBlock`] instead.
pub(crate) fn search_now<E: Entry>(
    file: &IndexFile<'_>,
    count: u64,
    holds: impl Fn(&E) -> bool,
) -> io::Result<Option<E>> {
    match file.open().and_then(|open| search_in(&Resident::of(open), count, holds)) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Ok(None),
        other => other,
    }
}

fn search_in<E: Entry>(
    file: &dyn File,
    count: u64,
    holds: impl Fn(&E) -> bool,
) -> io::Result<Option<E>> {
    let at = count_in_file(file, count, &holds)?.checked_sub(1);
    at.map(|at| read_entry(file, at)).transpose()
}

/// How many of the first `count` entries in the file satisfy `holds`.
fn count_in_file<E: Entry>(
    file: &dyn File,
    count: u64,
    holds: &impl Fn(&E) -> bool,
) -> io::Result<u64> {
    if count == 0 {
        return Ok(0);
    }
    let (mut low, mut high) = (0, count);
    while (high - low) * size::<E>() > BLOCK_BYTES {
        let middle = low + (high - low) / 2;
        if holds(&read_entry(file, middle)?) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let left = usize::try_from(high - low).map_err(io::Error::other)?;
    let mut block = vec![0; left * E::BYTES];
    let read = file.read_at(low * size::<E>(), &mut block)?;
    let entries = block.get(..read).unwrap_or_default().chunks_exact(E::BYTES);
    let within = entries.map_while(E::decode).take_while(holds).count();
    Ok(low + u64::try_from(within).map_err(io::Error::other)?)
}

fn size<E: Entry>() -> u64 {
    // A dozen bytes: the conversion cannot fail.
    u64::try_from(E::BYTES).unwrap_or(u64::MAX)
}

fn read_entry<E: Entry>(file: &dyn File, at: u64) -> io::Result<E> {
    let mut bytes = vec![0; E::BYTES];
    if file.read_at(at * size::<E>(), &mut bytes)? < E::BYTES {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    E::decode(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use thalweg_protocol::Offset;

    use super::*;
    use crate::folder::FileKind;
    use crate::fs::sim::SimDisk;
    use crate::index::OffsetEntry;

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
