//! `thalweg log dump`: every file, entry by entry.

use std::io;
use std::path::Path;

use thalweg_protocol::batch::Scratch;
use thalweg_storage::{EpochTable, FileKind, Identity, PartitionMetadata};

use super::checkpoints::{self, Kind};
use super::files::{self, What};
use super::indexes;
use super::item::{BatchItem, Item, RecordItem};
use super::metadata::{self, Content};
use super::producers;
use super::segment::{Found, Segment, Step};
use super::verify::is_kafkas;
use crate::console::Console;
use crate::failure::Failure;

/// The most that one batch may inflate to.
const INFLATED_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Prints files.
pub(super) struct Dump<'a> {
    console: &'a mut Console,
    /// Also records.
    deep: bool,
    scratch: Scratch,
}

impl<'a> Dump<'a> {
    /// Prints to the console; `deep` prints records, too.
    pub(super) fn new(console: &'a mut Console, deep: bool) -> Self {
        Self { console, deep, scratch: Scratch::new() }
    }

    /// Prints a file, or all below a folder.
    pub(super) fn path(&mut self, path: &Path) -> Result<(), Failure> {
        let files = files::below(path)?;
        if files.is_empty() {
            return Err(Failure::failed(format!("{} holds no file", path.display())));
        }
        files.iter().try_for_each(|file| self.file(file))
    }

    fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let what = files::what(path);
        let bytes = files::length(path);
        self.item(&Item::File { path: path.display().to_string(), what: name(what, path), bytes })?;
        match what {
            What::Named(FileKind::Log | FileKind::Cut, _) => self.segment(path),
            What::Named(kind, base) => self.named(path, kind, base.unwrap_or(0)),
            What::MetadataLog => self.metadata(&metadata::log(&files::read_small(path)?), bytes),
            What::MetadataSnapshot => {
                self.metadata(&metadata::snapshot(&files::read_small(path)?), bytes)
            }
            What::Epochs => self.epochs(path),
            What::Checkpoint => self.checkpoint(path, bytes),
            What::PartitionMetadata | What::Identity => self.identity(path, what),
            What::KafkaText => self.lines(path),
            What::Unknown => Ok(()),
        }
    }

    fn item(&mut self, item: &Item) -> Result<(), Failure> {
        if self.console.is_json() {
            self.console.json(item)
        } else {
            Ok(self.console.line(&item.text())?)
        }
    }

    fn damaged(&mut self, reason: String, bytes: u64) -> Result<(), Failure> {
        self.item(&Item::Damage { position: 0, end: bytes, reason })
    }

    fn segment(&mut self, path: &Path) -> Result<(), Failure> {
        let failed =
            |error: io::Error| Failure::failed(format!("cannot read {}: {error}", path.display()));
        let mut segment = Segment::open(path).map_err(failed)?;
        while let Some(step) = segment.step().map_err(failed)? {
            match step {
                Step::Batch(found) => self.batch(&found)?,
                Step::Bad(range) => self.item(&Item::damage(&range))?,
            }
        }
        Ok(())
    }

    fn batch(&mut self, found: &Found) -> Result<(), Failure> {
        self.item(&Item::Batch(BatchItem::new(found.position, &found.batch.header)))?;
        if !self.deep {
            return Ok(());
        }
        let bytes = u64::try_from(found.batch.bytes().len()).unwrap_or(u64::MAX);
        let damage =
            |reason| Item::Damage { position: found.position, end: found.position + bytes, reason };
        let records = match found.batch.records_within(INFLATED_BYTES_MAX, &mut self.scratch) {
            Ok(records) => records,
            Err(error) => return self.item(&damage(error.to_string())),
        };
        for record in &records {
            match record {
                Ok(record) => self.item(&Item::Record(RecordItem::new(&record)))?,
                Err(error) => self.item(&damage(error.to_string()))?,
            }
        }
        Ok(())
    }

    /// Indexes and snapshots.
    fn named(&mut self, path: &Path, kind: FileKind, base: i64) -> Result<(), Failure> {
        let bytes = files::read_small(path)?;
        let offset = |relative: u32| base.saturating_add(i64::from(relative));
        let (items, spare): (Vec<Item>, usize) = match kind {
            FileKind::OffsetIndex => {
                let (entries, spare) = indexes::offsets(&bytes);
                let item = |it: &indexes::OffsetEntry| Item::OffsetEntry {
                    last_offset: offset(it.relative),
                    position: it.position,
                };
                (entries.iter().map(item).collect(), spare)
            }
            FileKind::TimeIndex => {
                let (entries, spare) = indexes::times(&bytes);
                let item = |it: &indexes::TimeEntry| Item::TimeEntry {
                    timestamp: it.timestamp,
                    last_offset: offset(it.relative),
                };
                (entries.iter().map(item).collect(), spare)
            }
            FileKind::TransactionIndex => {
                let (entries, spare) = indexes::transactions(&bytes);
                let item = |it: &indexes::TransactionEntry| Item::TransactionEntry {
                    producer: it.producer,
                    first_offset: it.first,
                    last_offset: it.last,
                    last_stable_offset: it.last_stable,
                };
                (entries.iter().map(item).collect(), spare)
            }
            FileKind::Snapshot => return self.snapshot(&bytes),
            FileKind::Log | FileKind::Cut => (Vec::new(), 0),
        };
        items.iter().try_for_each(|item| self.item(item))?;
        if spare > 0 {
            self.item(&Item::Line { text: format!("{spare} bytes behind the last entry") })?;
        }
        Ok(())
    }

    fn snapshot(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let rows = match producers::rows(bytes) {
            Ok(rows) => rows,
            Err(error) => return self.damaged(error.to_string(), bytes.len() as u64),
        };
        rows.iter().try_for_each(|row| {
            self.item(&Item::Producer {
                producer: row.producer,
                epoch: row.epoch,
                last_sequence: row.last_sequence,
                last_offset: row.last_offset,
                records: row.records(),
                appended: row.appended,
            })
        })
    }

    fn metadata(&mut self, content: &Content, bytes: u64) -> Result<(), Failure> {
        for it in &content.entries {
            let records = it.records.clone();
            self.item(&Item::Metadata {
                position: it.position,
                index: it.index,
                term: it.term,
                records,
            })?;
        }
        if let Some((position, reason)) = &content.trouble {
            let (position, reason) = (*position as u64, reason.clone());
            self.item(&Item::Damage { position, end: bytes, reason })?;
        }
        Ok(())
    }

    fn epochs(&mut self, path: &Path) -> Result<(), Failure> {
        let bytes = files::read_small(path)?;
        let table = match EpochTable::decode(&bytes) {
            Ok(table) => table,
            Err(error) => return self.damaged(error.to_string(), bytes.len() as u64),
        };
        table.entries().iter().try_for_each(|entry| {
            let (leader_epoch, first_offset) = (entry.epoch.get(), entry.start.get());
            self.item(&Item::LeaderEpoch { leader_epoch, first_offset })
        })
    }

    fn checkpoint(&mut self, path: &Path, bytes: u64) -> Result<(), Failure> {
        let Some(kind) = Kind::of(path) else { return Ok(()) };
        let rows = match checkpoints::rows(path, kind) {
            Ok(rows) => rows,
            Err(reason) => return self.damaged(reason, bytes),
        };
        rows.iter().try_for_each(|row| {
            let (segment, value) = (row.segment, row.value);
            self.item(&Item::Checkpoint { partition: row.partition.to_string(), segment, value })
        })
    }

    /// Texts with a meaning: checked, then shown line by line.
    fn identity(&mut self, path: &Path, what: What) -> Result<(), Failure> {
        let bytes = files::read_small(path)?;
        let checked = match what {
            What::Identity if is_kafkas(&bytes) => Ok(()),
            What::Identity => Identity::decode(&bytes).map(drop),
            _ => PartitionMetadata::decode(&bytes).map(drop).map_err(|error| error.to_string()),
        };
        self.lines(path)?;
        match checked {
            Ok(()) => Ok(()),
            Err(reason) => self.damaged(reason, bytes.len() as u64),
        }
    }

    fn lines(&mut self, path: &Path) -> Result<(), Failure> {
        let bytes = files::read_small(path)?;
        let text = String::from_utf8_lossy(&bytes);
        text.lines().try_for_each(|line| self.item(&Item::Line { text: line.to_owned() }))
    }
}

fn name(what: What, path: &Path) -> &'static str {
    match what {
        What::Named(FileKind::Log, _) => "segment",
        What::Named(FileKind::OffsetIndex, _) => "offset index",
        What::Named(FileKind::TimeIndex, _) => "time index",
        What::Named(FileKind::TransactionIndex, _) => "transaction index",
        What::Named(FileKind::Snapshot, _) => "producer snapshot",
        What::Named(FileKind::Cut, _) => "what a recovery cut off",
        What::MetadataLog => "metadata log",
        What::MetadataSnapshot => "metadata snapshot",
        What::Epochs => "leader epochs",
        What::PartitionMetadata => "partition metadata",
        What::Identity => "identity of a log directory",
        What::Checkpoint => Kind::of(path).map_or("not a file of ours", Kind::name),
        What::KafkaText => "checkpoint of Kafka",
        What::Unknown => "not a file of ours",
    }
}
