//! One run over a log: pass by pass until the planned end, group by group in each pass.
//!
//! A pass looks at the keys from where the last one ended, as many as the budget of memory holds, then rewrites
//! every segment below the end it came to. Groups of neighbours become one segment, oldest first: so what is
//! older than a tombstone is gone, durably, before the tombstone's batch gets its horizon.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use thalweg_protocol::{Offset, ProducerId, TimestampMs};

use super::checkpoint::save_cleaned_end;
use super::error::CompactionError;
use super::keys::map_keys;
use super::output::Output;
use super::plan::{CompactionOptions, CompactionPlan, LogState, SegmentState, plan};
use super::producers::remembered_batches;
use super::rewrite::{Rewrite, Rules};
use super::source::Source;
use super::swap::{FileChain, exchange};
use crate::checkpoint::CheckpointError;
use crate::error::{LogError, is_full};
use crate::log::Log;
use crate::options::LogOptions;
use crate::reader::LogReader;
use crate::segment::Segment;
use crate::segments::Segments;

/// Gives the log under its writer's lock for a moment; false when it was closed.
pub type WithLog<'a> = &'a dyn Fn(&mut dyn FnMut(&mut Log)) -> bool;

/// What a run is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactionRequest {
    /// Nothing above it is touched.
    pub high_watermark: Offset,
    /// The broker's clock.
    pub now: TimestampMs,
    /// The most that the map of keys may take, in bytes.
    pub memory_bytes_max: usize,
    /// Somebody asked for the run: it does all that may be done, whether it is due or not.
    pub is_asked: bool,
}

/// What a run has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Passes over the log.
    pub passes: u32,
    /// Data files that were exchanged for others.
    pub groups: u32,
    /// Bytes read to rewrite them, in all passes.
    pub read_bytes: u64,
    /// Bytes that the exchanged files had.
    pub before_bytes: u64,
    /// Bytes of what stands in their place.
    pub after_bytes: u64,
    /// Records that went.
    pub removed_records: u64,
    /// Tombstones among them.
    pub removed_tombstones: u64,
}

impl LogReader {
    /// Below it the log was compacted.
    pub fn cleaned_end(&self) -> Offset {
        Offset::new(self.shared.cleaned_end.load(Ordering::Acquire))
    }

    /// What a run would do now.
    pub fn plan_compaction(
        &self,
        options: &CompactionOptions,
        request: &CompactionRequest,
    ) -> CompactionPlan {
        let log_end = self.log_end();
        let segments = self.segments();
        let state = |(place, segment): (usize, &Arc<Segment>)| SegmentState {
            base: segment.base_offset(),
            end: segments.end_of(place, log_end),
            bytes: segment.visible(),
            newest: segment.newest().max(segment.last_append()),
            last_append: segment.last_append(),
        };
        let states: Vec<_> = segments.as_slice().iter().enumerate().map(state).collect();
        let log = LogState {
            cleaned_end: self.cleaned_end(),
            stable_end: request.high_watermark.min(self.synced_end()),
            now: request.now,
        };
        plan(&states, options, &log, request.is_asked)
    }
}

/// Compacts a log. `with_log` is used for moments only; `pace` is told how many bytes were read and written, may
/// wait, and says false when the run shall end.
pub fn compact(
    reader: &LogReader,
    with_log: WithLog<'_>,
    request: &CompactionRequest,
    pace: &mut dyn FnMut(u64) -> bool,
) -> Result<Compacted, CompactionError> {
    // Before anything is looked at.
    let cuts = reader.shared.ends.cut_steps();
    let mut known = None;
    with_log(&mut |log| {
        known = Some((log.options.clone(), log.producers.ids().collect()));
    });
    let Some((options, producers)) = known else { return Err(CompactionError::Closed) };
    let Some(rules) = options.compaction else { return Ok(Compacted::default()) };
    let plan = reader.plan_compaction(&rules, request);
    if plan.clean_bytes + plan.dirty_bytes == 0 || !(plan.is_due || request.is_asked) {
        return Ok(Compacted::default());
    }
    let mut run = Run {
        reader,
        with_log,
        request,
        options,
        producers,
        cuts,
        rewrite: Rewrite::default(),
        sum: Compacted::default(),
    };
    let mut from = plan.from;
    // What was compacted before may hold tombstones whose time has come.
    while from < plan.end || run.sum.passes == 0 {
        let segments = reader.shared.segments.load_full();
        let pass = run.pass(&segments, (from, plan.end), &rules, pace);
        from = pass.map_err(|error| told_by(&segments, run.unless_closed(error)))?;
    }
    Ok(run.sum)
}

/// A run under way.
struct Run<'a> {
    reader: &'a LogReader,
    with_log: WithLog<'a>,
    request: &'a CompactionRequest,
    options: LogOptions,
    producers: HashSet<ProducerId>,
    /// Cuts of the log when the run began.
    cuts: u64,
    rewrite: Rewrite,
    sum: Compacted,
}

impl Run<'_> {
    /// One pass, which knows the keys from `from` on. Answers the offset up to which they fitted into memory.
    fn pass(
        &mut self,
        segments: &Segments,
        (from, end): (Offset, Offset),
        rules: &CompactionOptions,
        pace: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Offset, CompactionError> {
        let shared = &self.reader.shared;
        let memory = self.request.memory_bytes_max;
        let (keys, map_end) = map_keys(self.reader, segments, memory, (from, end), pace)?;
        self.sum.passes += 1;
        let range: Vec<_> =
            segments.as_slice().iter().take_while(|it| it.base_offset() < map_end).collect();
        let range_end = segments.end_of(range.len().saturating_sub(1), self.reader.log_end());
        let remembered = remembered_batches(segments, range_end, &self.producers)
            .map_err(|error| CompactionError::io("read", &shared.home.folder, error))?;
        let rules = Rules {
            keys: &keys,
            map_end,
            remembered: &remembered,
            now: self.request.now,
            delete_retention_ms: rules.delete_retention_ms,
        };
        let mut left = range.as_slice();
        while !left.is_empty() {
            let (group, rest) = left.split_at(group_size(left, &self.options));
            let next = rest.first().map_or(range_end, |next| next.base_offset());
            self.group(group, next, &rules, pace)?;
            left = rest;
        }
        self.came_to(map_end)?;
        Ok(map_end)
    }

    /// Notes that everything below `end` was compacted, unless the log was cut since the run began: then other records
    /// may lie there. A cut waits meanwhile, and takes back what it finds.
    fn came_to(&self, end: Offset) -> Result<(), CompactionError> {
        let shared = &self.reader.shared;
        let exclusive = shared.exchange();
        if shared.ends.cut_steps() != self.cuts {
            return Err(CompactionError::Interrupted);
        }
        if end > self.reader.cleaned_end() {
            let saved = save_cleaned_end(&shared.home, end);
            if let Err(error) = saved {
                // Whoever looks whether the log is closed waits for its writer, who may wait for this.
                drop(exclusive);
                return Err(self.not_saved(error));
            }
            shared.cleaned_end.store(end.get(), Ordering::Release);
        }
        drop(exclusive);
        Ok(())
    }

    /// Rewrites neighbouring segments into one that ends at `next`, and puts it into their place.
    fn group(
        &mut self,
        group: &[&Arc<Segment>],
        next: Offset,
        rules: &Rules<'_>,
        pace: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), CompactionError> {
        let Some(first) = group.first() else { return Ok(()) };
        if group.iter().any(|segment| segment.is_retired() || segment.is_dirty()) {
            return Err(CompactionError::Interrupted);
        }
        let shared = &self.reader.shared;
        shared.dir.before_write()?;
        let chain = FileChain::new(&shared.home, first.base_offset(), next);
        let path = chain.cleaned();
        let output = Output::create(&*shared.home.fs, &path, self.options.index_interval_bytes);
        let mut output = output.map_err(|error| self.write_failed(&path, error))?;
        let read_before = self.sum.read_bytes;
        let written = self.write_group(group, first, rules, &mut output, pace);
        if written.is_err() || (!output.is_changed && group.len() == 1) {
            // What cannot be removed now is removed when the log is opened next time.
            drop(shared.home.fs.remove(&path));
            return written;
        }
        let bytes = output.bytes();
        exchange(self.reader, self.with_log, group, &chain, output)?;
        self.sum.groups += 1;
        self.sum.before_bytes += self.sum.read_bytes - read_before;
        self.sum.after_bytes += bytes;
        Ok(())
    }

    fn write_group(
        &mut self,
        group: &[&Arc<Segment>],
        first: &Segment,
        rules: &Rules<'_>,
        output: &mut Output,
        pace: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), CompactionError> {
        let mut expected = first.base_offset();
        for segment in group {
            let mut source = Source::open(segment)?;
            if segment.base_offset() != expected {
                return Err(source.corrupt(&format_args!("offset {expected} was expected")));
            }
            let to = (&mut *output, first);
            let done = self.rewrite.segment(&mut source, segment, rules, to, &mut self.sum, pace);
            done.map_err(|error| self.noted(error))?;
            expected = source.expected();
        }
        let finished = output.finish(first);
        finished.map_err(|error| self.write_failed(output.path(), error))
    }

    /// A full disk makes the directory read-only, another failed write takes it offline.
    fn noted(&self, error: CompactionError) -> CompactionError {
        match error {
            CompactionError::Io { action: "write", path, source } => {
                self.write_failed(&path, source)
            }
            other => other,
        }
    }

    /// Once the log is closed its folder may be gone: then nothing that fails there says anything of the disk.
    fn unless_closed(&self, error: CompactionError) -> CompactionError {
        if self.is_closed() { CompactionError::Closed } else { error }
    }

    fn is_closed(&self) -> bool {
        !(self.with_log)(&mut |_| {})
    }

    fn not_saved(&self, error: CheckpointError) -> CompactionError {
        if self.is_closed() {
            return CompactionError::Closed;
        }
        if let CheckpointError::Io { file, source, .. } = &error {
            self.reader.shared.dir.failed(&format!("cannot write {}", file.display()), source);
        }
        LogError::from(error).into()
    }

    fn write_failed(&self, path: &Path, error: io::Error) -> CompactionError {
        if self.is_closed() {
            return CompactionError::Closed;
        }
        let what = format!("cannot write {}", path.display());
        self.reader.shared.dir.failed(&what, &error);
        if is_full(&error) {
            return LogError::StorageFull { action: "write", path: path.to_owned() }.into();
        }
        CompactionError::io("write", path, error)
    }
}

/// Files that were deleted or cut off meanwhile cannot be read any more, and nothing is wrong with that.
fn told_by(segments: &Segments, error: CompactionError) -> CompactionError {
    let is_gone = segments.as_slice().iter().any(|segment| segment.is_retired());
    match error {
        CompactionError::Io { action: "read", .. } if is_gone => CompactionError::Interrupted,
        other => other,
    }
}

/// How many of the first segments become one: as many as would fit into one as they are.
fn group_size(segments: &[&Arc<Segment>], options: &LogOptions) -> usize {
    let Some(first) = segments.first() else { return 0 };
    let bytes_max = u64::from(options.segment_bytes.min(LogOptions::SEGMENT_BYTES_MAX));
    let (mut bytes, mut index_bytes) = (0, 0);
    let fits = |segment: &&&Arc<Segment>| {
        bytes += segment.visible();
        index_bytes += segment.offsets().bytes();
        let next = segment.base_offset();
        bytes <= bytes_max
            && index_bytes <= u64::from(options.segment_index_bytes)
            && first.relative(next).is_some_and(|it| it <= (i32::MAX / 2).cast_unsigned())
    };
    segments.iter().take_while(fits).count().max(1)
}
