//! What recovery does with the bytes above the recovery point: write again what it keeps, put aside what it
//! cuts.

use std::io;
use std::ops::Range;

use thalweg_protocol::Offset;

use crate::error::is_full;
use crate::folder::{FileKind, FileName};
use crate::fs::File;
use crate::segment::Home;

/// How much is copied at one time.
const PIECE_BYTES: u64 = 1024 * 1024;

/// Writes the kept tail again and syncs it: its pages may look clean after a failed sync.
pub(crate) fn rewrite(file: &dyn File, from: u64, end: u64) -> io::Result<()> {
    in_pieces(file, from..end, |position, piece| file.write_at(position, &[piece]))?;
    file.sync()
}

/// Copies what is about to be cut to `<offset>.cut`. False when there is no room for it: a log that may be read
/// is worth more than the copy of a torn tail.
pub(crate) fn copy_aside(
    home: &Home,
    file: &dyn File,
    range: Range<u64>,
    offset: Offset,
) -> io::Result<bool> {
    let path = FileName::new(offset, FileKind::Cut).path(&home.folder);
    if home.fs.exists(&path) {
        home.fs.remove(&path)?;
    }
    let from = range.start;
    let copy = || {
        let target = home.fs.create(&path)?;
        in_pieces(file, range, |position, piece| target.write_at(position - from, &[piece]))?;
        target.sync()
    };
    match copy() {
        Err(error) if is_full(&error) => {
            drop(home.fs.remove(&path));
            Ok(false)
        }
        other => other.map(|()| true),
    }
}

/// Of what was put aside in a partition's folder, only the newest stays: so many files, and all of the last time.
const CUTS_KEPT: usize = 4;

/// Removes older files that were put aside; those named by `latest` stay.
pub(crate) fn remove_old_cuts(home: &Home, latest: &[Offset]) {
    // They are kept for a human, and in nobody's way.
    let listed = home.fs.list(&home.folder).unwrap_or_default();
    let names = listed.iter().filter_map(|path| FileName::parse(path.file_name()?.to_str()?));
    let older = names.filter(|name| name.kind == FileKind::Cut && !latest.contains(&name.offset));
    let older: Vec<FileName> = older.collect();
    let kept = CUTS_KEPT.saturating_sub(latest.len());
    for name in older.iter().take(older.len().saturating_sub(kept)) {
        drop(home.fs.remove(&name.path(&home.folder)));
    }
}

/// Puts a whole segment aside under the same suffix, without its indexes.
pub(crate) fn set_aside(home: &Home, base_offset: Offset) -> io::Result<()> {
    let path = |kind| FileName::new(base_offset, kind).path(&home.folder);
    home.fs.rename(&path(FileKind::Log), &path(FileKind::Cut))?;
    for kind in [FileKind::OffsetIndex, FileKind::TimeIndex] {
        // A hint without its segment is removed at the next start, if not now.
        drop(home.fs.remove(&path(kind)));
    }
    Ok(())
}

/// Shows the bytes of a range, piece by piece.
fn in_pieces(
    file: &dyn File,
    range: Range<u64>,
    mut take: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut position = range.start;
    while position < range.end {
        let count = (range.end - position).min(PIECE_BYTES);
        buffer.resize(usize::try_from(count).map_err(io::Error::other)?, 0);
        if file.read_at(position, &mut buffer)? < buffer.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        take(position, &buffer)?;
        position += count;
    }
    Ok(())
}
