//! Puts a rewritten data file into the place of the segments that it was made of.
//!
//! ```text
//!     <base>-<end>.cleaned   being written, then synced: no part of the log
//!     <base>-<end>.swap      renamed, folder synced: from here on the new file counts, whatever happens
//!                            old files renamed away, folder synced
//!     <base>.log             renamed, folder synced: done
//! ```
//!
//! Readers get the new segment in one exchange of the list, under the writer's lock and before the first rename;
//! those that still hold an old one read on. Until the last rename is done nobody else deletes or cuts files of
//! the folder: `Shared::exchange` is held.

use std::path::PathBuf;
use std::sync::{Arc, MutexGuard};

use thalweg_protocol::{Offset, TimestampMs};

use super::error::CompactionError;
use super::output::Output;
use super::run::WithLog;
use crate::defects::{Defect, planted};
use crate::error::LogError;
use crate::find::IndexBuilder;
use crate::folder::{FileKind, FileName};
use crate::log::Log;
use crate::reader::LogReader;
use crate::segment::{Home, Segment};
use crate::segments::Segments;

/// The names of a file on its way into the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SwapName {
    pub(super) base: Offset,
    /// Where the next segment begins.
    pub(super) end: Offset,
    pub(super) stage: Stage,
}

/// How far the file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// It is being written; no part of the log.
    Cleaned,
    /// It is whole and stands for the segments from `base` to `end`.
    Swap,
}

impl SwapName {
    const fn suffix(stage: Stage) -> &'static str {
        match stage {
            Stage::Cleaned => ".cleaned",
            Stage::Swap => ".swap",
        }
    }

    /// Reads a name; `None` if it is not one of these.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let stage = [Stage::Cleaned, Stage::Swap];
        let stage = stage.into_iter().find(|stage| name.ends_with(Self::suffix(*stage)))?;
        let (base, end) = name.strip_suffix(Self::suffix(stage))?.split_once('-')?;
        let parsed = Self {
            base: Offset::new(base.parse().ok()?),
            end: Offset::new(end.parse().ok()?),
            stage,
        };
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl std::fmt::Display for SwapName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:020}-{:020}{}", self.base.get(), self.end.get(), Self::suffix(self.stage))
    }
}

/// The paths that a file takes into the log.
pub(super) struct FileChain<'a> {
    home: &'a Arc<Home>,
    base: Offset,
    end: Offset,
}

impl<'a> FileChain<'a> {
    pub(super) const fn new(home: &'a Arc<Home>, base: Offset, end: Offset) -> Self {
        Self { home, base, end }
    }

    fn path(&self, stage: Stage) -> PathBuf {
        let name = SwapName { base: self.base, end: self.end, stage };
        self.home.folder.join(name.to_string())
    }

    pub(super) fn cleaned(&self) -> PathBuf {
        self.path(Stage::Cleaned)
    }

    fn log(&self) -> PathBuf {
        FileName::new(self.base, FileKind::Log).path(&self.home.folder)
    }
}

/// Exchanges the segments of `group` for the file in `output`, which is synced.
pub(super) fn exchange(
    reader: &LogReader,
    with_log: WithLog<'_>,
    group: &[&Arc<Segment>],
    chain: &FileChain<'_>,
    output: Output,
) -> Result<(), CompactionError> {
    let shared = &reader.shared;
    let new = Arc::new(new_segment(chain, group, output)?);
    let mut held: Option<MutexGuard<'_, ()>> = None;
    let open = with_log(&mut |log| {
        let exclusive = shared.exchange();
        if replace_in_list(log, group, &new) {
            held = Some(exclusive);
        }
    });
    let Some(exclusive) = held else {
        drop(shared.home.fs.remove(&chain.cleaned()));
        return Err(if open { CompactionError::Interrupted } else { CompactionError::Closed });
    };
    let renamed = rename_files(group, chain, &new);
    drop(exclusive);
    renamed.map_err(|error| {
        // The list and the folder tell different stories: only a restart brings them together.
        let folder = shared.home.folder.display();
        shared.dir.fail(&format!("cannot exchange compacted segments in {folder}: {error}"));
        CompactionError::Log(LogError::io("exchange compacted segments in", reader.folder(), error))
    })
}

/// The new segment around the file, with its indexes in memory.
fn new_segment(
    chain: &FileChain<'_>,
    group: &[&Arc<Segment>],
    output: Output,
) -> Result<Segment, CompactionError> {
    let (path, bytes) = (chain.cleaned(), output.bytes());
    let segment = Segment::existing_at(chain.home, chain.base, bytes, bytes, path.clone())
        .map_err(|error| CompactionError::io("open", &path, error))?;
    let newest = output.index.newest().map_or(TimestampMs::NONE, |entry| entry.timestamp);
    let last_append = group.iter().map(|segment| segment.last_append()).max();
    segment.note_times(newest, last_append.unwrap_or(TimestampMs::NONE));
    hold_index(&segment, output.index);
    Ok(segment)
}

/// The index stays in memory as long as the files of its name are those of an old segment.
fn hold_index(segment: &Segment, index: IndexBuilder) {
    let (offsets, times) = index.into_entries();
    segment.offsets_mut().hold(offsets);
    segment.times_mut().hold(times);
}

/// Puts the new segment into the list; false when the old ones are no longer there as they were.
fn replace_in_list(log: &Log, group: &[&Arc<Segment>], new: &Arc<Segment>) -> bool {
    let list = log.shared.segments.load_full();
    let at = list.as_slice().iter().position(|segment| segment.base_offset() == new.base_offset());
    let Some(at) = at else { return false };
    let there = list.as_slice().get(at..at + group.len()).unwrap_or_default();
    let same = there.len() == group.len()
        && there.iter().zip(group).all(|(there, old)| Arc::ptr_eq(there, old));
    let last = list.as_slice().len() - 1;
    if !same || at + group.len() > last {
        return false;
    }
    let mut segments = list.as_slice().to_vec();
    segments.splice(at..at + group.len(), [Arc::clone(new)]);
    log.store_segments(Segments::new(segments));
    true
}

/// The renames, each durable before the next may be seen.
fn rename_files(
    group: &[&Arc<Segment>],
    chain: &FileChain<'_>,
    new: &Arc<Segment>,
) -> std::io::Result<()> {
    let home = chain.home;
    let sync = || home.fs.sync_folder(&home.folder);
    if !planted(Defect::RemoveBeforeSwap) {
        new.slot().rename(&chain.path(Stage::Swap))?;
        sync()?;
    }
    for old in group {
        old.retire()?;
    }
    sync()?;
    new.slot().rename(&chain.log())?;
    sync()?;
    new.flush_indexes();
    for old in group {
        // What cannot be removed now is removed when the log is opened next time.
        drop(old.remove());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_nothing_else_is_one() {
        for stage in [Stage::Cleaned, Stage::Swap] {
            let name = SwapName { base: Offset::new(40), end: Offset::new(i64::MAX), stage };
            assert_eq!(SwapName::parse(&name.to_string()), Some(name));
            assert_eq!(FileName::parse(&name.to_string()), None);
        }
        for strange in [
            "",
            ".swap",
            "-.swap",
            "1-2.swap",
            "00000000000000000001.log.swap",
            "00000000000000000001-00000000000000000002.swap.deleted",
            "00000000000000000001-+0000000000000000002.swap",
            "00000000000000000001-00000000000000000002.log",
        ] {
            assert_eq!(SwapName::parse(strange), None, "{strange}");
        }
    }
}
