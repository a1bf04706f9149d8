//! One partition's folder: its batches in order across segments, and the indexes that point at them.
//!
//! Thalweg's logs have no gap between offsets; Kafka's may, where compaction took records out.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use thalweg_protocol::batch::{BatchHeader, Scratch};
use thalweg_protocol::{LeaderEpoch, Offset, TimestampMs};
use thalweg_storage::{EpochTable, FileKind, FileName};

use super::files;
use super::findings::{Finding, Findings, Sum};
use super::indexes::{self, OffsetEntry, TimeEntry};
use super::segment::{BadRange, Found, Segment, Step};

/// The most that one batch may inflate to.
const INFLATED_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// The files of a partition and what is believed of them.
#[derive(Debug)]
pub(super) struct Partition {
    /// Files by base offset and kind.
    pub(super) files: BTreeMap<(i64, FileKind), PathBuf>,
    /// The folder bears Thalweg's name: no gap is allowed.
    pub(super) is_native: bool,
    /// Everything below was synced; none when nobody says, or when the stop was clean.
    pub(super) recovery_point: Option<Offset>,
    /// Leader epochs by first offset, if the file can be read.
    pub(super) epochs: Option<EpochTable>,
}

/// A walk through all segments.
struct Check<'a> {
    partition: &'a Partition,
    findings: &'a mut Findings,
    progress: &'a dyn Fn(u64),
    sum: Sum,
    expected: Option<Offset>,
    epoch: LeaderEpoch,
    scratch: Scratch,
}

/// What is known of the segment that is walked.
struct Here<'a> {
    path: &'a Path,
    base: Offset,
    /// The next segment's base offset; none for the last.
    end: Option<Offset>,
    /// Damage whose end is not known yet.
    bad: Option<BadRange>,
    index: Hints<OffsetEntry>,
    times: Hints<TimeEntry>,
    largest: TimestampMs,
}

/// Entries of an index that wait for their batch.
struct Hints<E> {
    path: PathBuf,
    entries: std::vec::IntoIter<E>,
    next: Option<E>,
    wrong: u64,
    /// Bytes behind the last entry.
    rest: usize,
    entry_bytes: usize,
}

impl<E> Hints<E> {
    fn new(
        path: Option<&PathBuf>,
        entry_bytes: usize,
        read: impl Fn(&[u8]) -> (Vec<E>, usize),
    ) -> Self {
        let bytes = path.and_then(|path| files::read_small(path).ok()).unwrap_or_default();
        let (entries, rest) = read(&bytes);
        let mut entries = entries.into_iter();
        let next = entries.next();
        Self { path: path.cloned().unwrap_or_default(), entries, next, wrong: 0, rest, entry_bytes }
    }

    fn advance(&mut self) {
        self.next = self.entries.next();
    }

    /// Those that still wait point at nothing.
    fn wrong_in_all(&mut self) -> u64 {
        self.wrong + u64::from(self.next.take().is_some()) + self.entries.by_ref().count() as u64
    }

    /// What is wrong with the file, if anything. Kafka's files are longer than their entries, by zeros, as long as
    /// they are written to; ours end with the last entry.
    fn trouble(&mut self, is_native: bool) -> Option<String> {
        let half = self.rest % self.entry_bytes;
        let mut troubles = Vec::new();
        match self.wrong_in_all() {
            0 => {}
            wrong => troubles.push(format!("{wrong} entries point at no batch")),
        }
        match (is_native, self.rest) {
            (true, 1..) => {
                troubles.push(format!("{} bytes behind the last entry are no entry", self.rest));
            }
            (false, _) if half > 0 => troubles.push(format!("{half} bytes are half an entry")),
            _ => {}
        }
        (!troubles.is_empty())
            .then(|| format!("{}; a broker rebuilds the index", troubles.join(", ")))
    }
}

impl Partition {
    /// Checks everything; `progress` hears of bytes that were read.
    pub(super) fn check(
        &self,
        folder: &Path,
        findings: &mut Findings,
        progress: &dyn Fn(u64),
    ) -> io::Result<()> {
        let mut check = Check {
            partition: self,
            findings,
            progress,
            sum: Sum { folder: folder.display().to_string(), ..Sum::default() },
            expected: None,
            epoch: LeaderEpoch::UNCHECKED,
            scratch: Scratch::new(),
        };
        let segments: Vec<(Offset, &PathBuf)> = self.segments().collect();
        for (place, (base, path)) in segments.iter().enumerate() {
            let end = segments.get(place + 1).map(|(base, _)| *base);
            check.segment(*base, end, path)?;
        }
        let sum = check.sum;
        findings.partitions.push(sum);
        Ok(())
    }

    fn segments(&self) -> impl Iterator<Item = (Offset, &PathBuf)> {
        let logs = self.files.iter().filter(|((_, kind), _)| *kind == FileKind::Log);
        logs.map(|((base, _), path)| (Offset::new(*base), path))
    }

    fn file(&self, base: Offset, kind: FileKind) -> Option<&PathBuf> {
        self.files.get(&(base.get(), kind))
    }
}

impl Check<'_> {
    fn segment(&mut self, base: Offset, end: Option<Offset>, path: &Path) -> io::Result<()> {
        let mut segment = Segment::open(path)?;
        let files = |kind| self.partition.file(base, kind);
        let is_native = self.partition.is_native;
        let mut here = Here {
            path,
            base,
            end,
            bad: None,
            index: Hints::new(files(FileKind::OffsetIndex), 8, indexes::offsets),
            times: Hints::new(files(FileKind::TimeIndex), 12, |bytes| {
                match indexes::times(bytes) {
                    // Kafka makes the file long before the first entry is in it.
                    (entries, rest) if !is_native && is_unused(&entries) => (Vec::new(), rest),
                    found => found,
                }
            }),
            largest: TimestampMs::NONE,
        };
        self.sum.segments += 1;
        self.sum.bytes += segment.end();
        self.expect_base(&here);
        let mut told = 0;
        while let Some(step) = segment.step()? {
            match step {
                Step::Batch(found)
                    if end.is_some_and(|end| found.batch.header.base_offset >= end) =>
                {
                    let what = "lies past the next segment's first offset: a cut left it behind";
                    let note = Finding::of_bytes(path, found.position, segment.end(), what);
                    self.findings.notes.push(note);
                    break;
                }
                Step::Batch(found) => self.batch(&mut here, &found),
                Step::Bad(range) => here.bad = Some(range),
            }
            (self.progress)(segment.position() - told);
            told = segment.position();
        }
        (self.progress)(segment.end() - told);
        self.end_of_segment(here);
        Ok(())
    }

    /// The segment begins where the one before ended.
    fn expect_base(&mut self, here: &Here<'_>) {
        if let Some(expected) = self.expected
            && (expected > here.base || (expected < here.base && self.partition.is_native))
        {
            let what =
                format!("the segment begins at {}, the one before ends at {expected}", here.base);
            let gap =
                Finding::of_file(here.path, what).with_offsets(expected.get(), here.base.get());
            self.findings.damages.push(gap);
        }
        self.expected = Some(here.base);
    }

    fn batch(&mut self, here: &mut Here<'_>, found: &Found) {
        let header = &found.batch.header;
        let bytes = u64::try_from(header.total_bytes()).unwrap_or(u64::MAX);
        let mut wrong = Vec::new();
        let expected = self.expected.unwrap_or(here.base);
        match here.bad.take() {
            // The offsets that are missing are those of the damage.
            Some(range) => self.bad(here, &range, Some(header.base_offset)),
            None if header.base_offset > expected && self.partition.is_native => {
                wrong.push(format!(
                    "offset {expected} was expected, {} is there",
                    header.base_offset
                ));
            }
            None => {}
        }
        if header.leader_epoch < self.epoch {
            wrong
                .push(format!("leader epoch {} follows epoch {}", header.leader_epoch, self.epoch));
        }
        match self.records(found) {
            Ok(records) => self.sum.records += records,
            Err(reason) => wrong.push(reason),
        }
        for what in wrong {
            let damage = Finding::of_bytes(here.path, found.position, found.position + bytes, what);
            let (from, to) = (header.base_offset.get(), header.next_offset().get());
            self.findings.damages.push(damage.with_offsets(from, to));
        }
        self.compare_epoch(here, header);
        here.compare_hints(found, self.partition.is_native);
        self.epoch = self.epoch.max(header.leader_epoch);
        self.expected = Some(header.next_offset());
        self.sum.batches += 1;
        let first = self.sum.offsets.map_or(header.base_offset.get(), |(first, _)| first);
        self.sum.offsets = Some((first, header.next_offset().get()));
    }

    /// Reads every record.
    fn records(&mut self, found: &Found) -> Result<u64, String> {
        let records = found
            .batch
            .records_within(INFLATED_BYTES_MAX, &mut self.scratch)
            .map_err(|error| error.to_string())?;
        let mut count = 0;
        for record in &records {
            record.map_err(|error| error.to_string())?;
            count += 1;
        }
        Ok(count)
    }

    fn compare_epoch(&mut self, here: &Here<'_>, header: &BatchHeader) {
        let Some(epochs) = &self.partition.epochs else { return };
        let known = epochs.epoch_at(header.base_offset);
        // One note for each epoch is enough.
        if known != Some(header.leader_epoch) && header.leader_epoch > self.epoch {
            let what = format!(
                "leader-epoch-checkpoint knows nothing of epoch {} at offset {}; a broker rebuilds it",
                header.leader_epoch, header.base_offset
            );
            self.findings.notes.push(Finding::of_file(here.path, what));
        }
    }

    /// A range without a batch, up to the batch with the offset `next`.
    fn bad(&mut self, here: &mut Here<'_>, range: &BadRange, next: Option<Offset>) {
        let expected = self.expected.unwrap_or(here.base);
        let end = next.or(here.end);
        here.excuse(range, next);
        let finding = Finding::of_bytes(here.path, range.from, range.to, range.reason.clone());
        let is_last_tail = range.is_tail && here.end.is_none();
        let was_synced = self.partition.recovery_point.is_none_or(|point| expected < point);
        if is_last_tail && range.reason == "zeros" {
            self.findings
                .notes
                .push(Finding { what: "zeros behind the last batch".to_owned(), ..finding });
        } else if is_last_tail && !was_synced {
            let what = format!(
                "torn tail above the recovery point, which the next start cuts off: {}",
                range.reason
            );
            self.findings.notes.push(Finding { what, ..finding });
        } else {
            let (from, to) = (expected.get(), end.unwrap_or(expected).get());
            self.findings.damages.push(finding.with_offsets(from, to));
        }
    }

    fn end_of_segment(&mut self, mut here: Here<'_>) {
        if let Some(range) = here.bad.take() {
            self.bad(&mut here, &range, None);
            // The next segment's beginning is not to blame.
            self.expected = here.end.or(self.expected);
        }
        let is_last = here.end.is_none();
        let is_native = self.partition.is_native;
        let index = here.index.trouble(is_native).map(|what| (&here.index.path, what));
        let times = here.times.trouble(is_native).map(|what| (&here.times.path, what));
        for (path, what) in index.into_iter().chain(times) {
            let finding = Finding::of_file(path, what);
            // What a crash leaves of the last one is mended by the next start.
            let target =
                if is_last { &mut self.findings.notes } else { &mut self.findings.damages };
            target.push(finding);
        }
    }
}

/// Whether a time index holds nothing but zeros.
fn is_unused(entries: &[TimeEntry]) -> bool {
    matches!(entries, [TimeEntry { timestamp: 0, relative: 0 }])
}

impl Here<'_> {
    /// Entries that point into damage, which was told already; those before it were compared.
    fn excuse(&mut self, range: &BadRange, next: Option<Offset>) {
        while self.index.next.is_some_and(|it| u64::from(it.position) < range.to) {
            self.index.advance();
        }
        let is_within =
            |it: TimeEntry| next.is_none_or(|next| self.base.plus(i64::from(it.relative)) < next);
        while self.times.next.is_some_and(is_within) {
            self.times.advance();
        }
    }

    /// Entries that point at this batch must say what it says; those that point before it point at nothing.
    fn compare_hints(&mut self, found: &Found, is_native: bool) {
        let header = &found.batch.header;
        let offset = |relative: u32| self.base.plus(i64::from(relative));
        self.largest = self.largest.max(header.max_timestamp);
        while let Some(entry) =
            self.index.next.filter(|it| u64::from(it.position) <= found.position)
        {
            let here = u64::from(entry.position) == found.position;
            let last = offset(entry.relative);
            let same =
                if is_native { last == header.last_offset() } else { last >= header.base_offset };
            self.index.wrong += u64::from(!(here && same));
            self.index.advance();
        }
        while let Some(entry) =
            self.times.next.filter(|it| offset(it.relative) <= header.last_offset())
        {
            // Kafka's entries name a record within the batch.
            let here = if is_native {
                offset(entry.relative) == header.last_offset()
            } else {
                offset(entry.relative) >= header.base_offset
            };
            let same = entry.timestamp == self.largest.get();
            self.times.wrong += u64::from(!(here && same));
            self.times.advance();
        }
    }
}

/// The files of a folder by what their names say, without those that only wait to be removed.
pub(super) fn named(files: &[PathBuf]) -> BTreeMap<(i64, FileKind), PathBuf> {
    let parsed = files.iter().filter_map(|path| {
        let name = FileName::parse(path.file_name()?.to_str()?)?;
        (!name.deleted).then(|| ((name.offset.get(), name.kind), path.clone()))
    });
    parsed.collect()
}
