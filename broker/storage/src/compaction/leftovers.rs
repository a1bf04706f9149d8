//! What a crash may leave of a run, and what a restart makes of it.
//!
//! ```text
//!     found                 what it means                        what is done
//!     .cleaned              the file may be torn                 it is removed
//!     .swap                 the file is whole and counts         old files between its offsets are removed,
//!                                                                 then it takes its name
//!     neither               no run, or all of one                nothing
//! ```
//!
//! In each case the log then holds the old segments or the new one: a `.swap` is on stable storage before the
//! first old file goes, and the last old file is gone, durably, before the `.swap` gets its last name.

use std::io;

use super::swap::{Stage, SwapName};
use crate::folder::{FileKind, FileName};
use crate::segment::Home;

/// Finishes or undoes what a crash has interrupted. Says how many exchanges were finished.
pub(crate) fn settle_leftovers(home: &Home) -> io::Result<u64> {
    let listed = home.fs.list(&home.folder)?;
    let names = listed.iter().filter_map(|path| path.file_name()?.to_str());
    let mut found: Vec<SwapName> = names.clone().filter_map(SwapName::parse).collect();
    found.sort_unstable();
    let mut finished = 0;
    for name in found {
        let path = home.folder.join(name.to_string());
        match name.stage {
            Stage::Cleaned => home.fs.remove(&path)?,
            Stage::Swap => {
                let old = names.clone().filter_map(FileName::parse);
                remove_old(home, &name, old)?;
                home.fs.sync_folder(&home.folder)?;
                let log = FileName::new(name.base, FileKind::Log).path(&home.folder);
                home.fs.rename(&path, &log)?;
                home.fs.sync_folder(&home.folder)?;
                finished += 1;
            }
        }
    }
    Ok(finished)
}

/// Removes what the new file stands for: data files and indexes that begin between its offsets.
fn remove_old(
    home: &Home,
    name: &SwapName,
    files: impl Iterator<Item = FileName>,
) -> io::Result<()> {
    let covered = files.filter(|file| {
        let kinds = [FileKind::Log, FileKind::OffsetIndex, FileKind::TimeIndex];
        kinds.contains(&file.kind) && (name.base..name.end).contains(&file.offset)
    });
    for file in covered {
        match home.fs.remove(&file.path(&home.folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
    }
    Ok(())
}
