//! The file of one index: entries of one size, one behind the other, and the search among them.
//!
//! The file is opened for each look and each group of entries that is written, so that quiet partitions keep
//! nothing open.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::folder::FileName;
use crate::fs::{File, FileSystem, Resident};

/// When a search in the file has narrowed down to so many bytes, they are read at once.
const BLOCK_BYTES: u64 = 4096;

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
    pub(super) fn path(&self) -> PathBuf {
        self.name.path(self.folder)
    }

    pub(super) fn open(&self) -> io::Result<Arc<dyn File>> {
        self.fs.open(&self.path())
    }

    pub(super) fn open_or_create(&self) -> io::Result<Arc<dyn File>> {
        let path = self.path();
        match self.fs.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.fs.create(&path),
            other => other,
        }
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
pub(super) fn count_in_file<E: Entry>(
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

pub(super) fn size<E: Entry>() -> u64 {
    // A dozen bytes: the conversion cannot fail.
    u64::try_from(E::BYTES).unwrap_or(u64::MAX)
}

pub(super) fn read_entry<E: Entry>(file: &dyn File, at: u64) -> io::Result<E> {
    let mut bytes = vec![0; E::BYTES];
    if file.read_at(at * size::<E>(), &mut bytes)? < E::BYTES {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    E::decode(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
