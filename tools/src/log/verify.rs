//! `thalweg log verify`: every checksum, every record, every hint; damage ends with exit code 1.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use thalweg_protocol::Offset;
use thalweg_storage::{EpochTable, FileKind, FolderName, Identity, PartitionMetadata};

use super::checkpoints::{self, Kind};
use super::files::{self, What};
use super::findings::{Finding, Findings, Sum};
use super::metadata::{self, Content};
use super::partition::{self, Partition};
use super::producers;
use crate::console::{Console, Paint};
use crate::failure::Failure;
use crate::table::Table;
use crate::values;

/// Checks everything that the paths mean.
pub(super) fn verify(paths: &[PathBuf], console: &mut Console) -> Result<(), Failure> {
    let mut folders: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for path in paths {
        for file in files::below(path)? {
            let folder = file.parent().unwrap_or(Path::new(".")).to_owned();
            folders.entry(folder).or_default().push(file);
        }
    }
    let all: Vec<&PathBuf> = folders.values().flatten().collect();
    if all.is_empty() {
        return Err(Failure::failed("there is no file to check"));
    }
    let mut findings = Findings { files: all.len() as u64, ..Findings::default() };
    findings.bytes = all.iter().map(|path| files::length(path)).sum();
    let bar = progress(console, &all);
    for (folder, files) in &folders {
        check_folder(folder, files, &mut findings, &|bytes| bar.inc(bytes))?;
    }
    bar.finish_and_clear();
    tell(&findings, console)
}

fn progress(console: &Console, files: &[&PathBuf]) -> ProgressBar {
    if !console.errors_are_terminal() {
        return ProgressBar::hidden();
    }
    let is_segment = |path: &&&PathBuf| matches!(files::what(path), What::Named(FileKind::Log, _));
    let bar =
        ProgressBar::new(files.iter().filter(is_segment).map(|path| files::length(path)).sum());
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30} {percent:>3}%  {binary_bytes_per_sec}  {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

fn check_folder(
    folder: &Path,
    files: &[PathBuf],
    findings: &mut Findings,
    progress: &dyn Fn(u64),
) -> Result<(), Failure> {
    for file in files {
        check_file(file, findings)?;
    }
    let is_segment = |path: &PathBuf| matches!(files::what(path), What::Named(FileKind::Log, _));
    let segments: Vec<&PathBuf> = files.iter().filter(|path| is_segment(path)).collect();
    if segments.is_empty() {
        return Ok(());
    }
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let native = FolderName::parse(name);
    if let Some(name) = native {
        check_identity(folder, name, files, findings);
    }
    let mut named = partition::named(files);
    // A single file that somebody copied under another name.
    if named.keys().all(|(_, kind)| *kind != FileKind::Log) {
        named.extend(segments.into_iter().map(|path| ((0, FileKind::Log), path.clone())));
    }
    let partition = Partition {
        files: named,
        is_native: native.is_some(),
        recovery_point: native.and_then(|name| recovery_point(folder, name)),
        epochs: epochs(files),
    };
    let failed = |error| Failure::failed(format!("cannot read {}: {error}", folder.display()));
    partition.check(folder, findings, progress).map_err(failed)
}

/// Everything but segments and indexes, which are checked together.
fn check_file(path: &Path, findings: &mut Findings) -> Result<(), Failure> {
    let what = files::what(path);
    let bytes = match what {
        What::Named(FileKind::Snapshot, _)
        | What::MetadataLog
        | What::MetadataSnapshot
        | What::Epochs
        | What::PartitionMetadata
        | What::Identity => files::read_small(path)?,
        _ => Vec::new(),
    };
    let (result, is_vital) = match what {
        What::Named(FileKind::Snapshot, _) => {
            (producers::rows(&bytes).map(drop).map_err(|error| error.to_string()), false)
        }
        What::Epochs => {
            (EpochTable::decode(&bytes).map(drop).map_err(|error| error.to_string()), false)
        }
        What::PartitionMetadata => {
            (PartitionMetadata::decode(&bytes).map(drop).map_err(|error| error.to_string()), true)
        }
        What::Identity if is_kafkas(&bytes) => (Ok(()), false),
        What::Identity => (Identity::decode(&bytes).map(drop), true),
        What::Checkpoint => match Kind::of(path) {
            Some(kind) => (checkpoints::rows(path, kind).map(drop), kind.is_vital()),
            None => (Ok(()), false),
        },
        What::MetadataSnapshot => (whole(&metadata::snapshot(&bytes)), true),
        What::MetadataLog => {
            check_metadata_log(path, &bytes, findings);
            (Ok(()), true)
        }
        _ => (Ok(()), false),
    };
    if let Err(reason) = result {
        let target = if is_vital { &mut findings.damages } else { &mut findings.notes };
        target.push(Finding::of_file(path, reason));
    }
    Ok(())
}

/// Kafka's file of the same name has no checksum.
pub(super) fn is_kafkas(identity: &[u8]) -> bool {
    !String::from_utf8_lossy(identity).contains("crc32=")
}

fn whole(content: &Content) -> Result<(), String> {
    content.trouble.clone().map_or(Ok(()), |(_, reason)| Err(reason))
}

/// An entry is written only after the one before was synced: bad bytes are a torn tail if they are the last.
fn check_metadata_log(path: &Path, bytes: &[u8], findings: &mut Findings) {
    if let Some((position, reason)) = metadata::log(bytes).trouble {
        let finding = Finding::of_bytes(path, position as u64, bytes.len() as u64, reason);
        let is_damage = position == 0 || metadata::goes_on_behind(bytes, position);
        let target = if is_damage { &mut findings.damages } else { &mut findings.notes };
        target.push(finding);
    }
}

fn epochs(files: &[PathBuf]) -> Option<EpochTable> {
    let file = files.iter().find(|path| files::what(path) == What::Epochs)?;
    EpochTable::decode(&files::read_small(file).ok()?).ok()
}

/// A partition's folder says twice whose it is.
fn check_identity(folder: &Path, name: FolderName, files: &[PathBuf], findings: &mut Findings) {
    let file = files.iter().find(|path| files::what(path) == What::PartitionMetadata);
    let metadata = file
        .and_then(|path| files::read_small(path).ok())
        .and_then(|bytes| PartitionMetadata::decode(&bytes).ok());
    let topic = name.partition.topic;
    match metadata {
        Some(metadata) if metadata.topic != topic => {
            let what = format!(
                "partition.metadata says topic {}, the folder's name {topic}",
                metadata.topic
            );
            findings.damages.push(Finding::of_file(folder, what));
        }
        None if files.len() > 1 && file.is_none() => {
            findings.damages.push(Finding::of_file(folder, "partition.metadata is missing"));
        }
        _ => {}
    }
}

/// Where a torn tail may begin: the recovery point, unless the last stop was clean.
fn recovery_point(folder: &Path, name: FolderName) -> Option<Offset> {
    let dir = folder.parent()?;
    if dir.join("clean-stop").exists() {
        return None;
    }
    let rows =
        checkpoints::rows(&dir.join("recovery-point.checkpoint"), Kind::RecoveryPoint).ok()?;
    let row = rows.iter().find(|row| row.partition == name.partition);
    // A log directory without a row for it has never synced it.
    dir.join("meta.properties").exists().then(|| Offset::new(row.map_or(0, |row| row.value)))
}

fn tell(findings: &Findings, console: &mut Console) -> Result<(), Failure> {
    if console.is_json() {
        console.json(findings)?;
    } else {
        table(findings, console)?;
    }
    match findings.damages.len() {
        0 => Ok(()),
        // The ranges were told above.
        1 => Err(Failure::failed("1 place is damaged")),
        count => Err(Failure::failed(format!("{count} places are damaged"))),
    }
}

fn table(findings: &Findings, console: &mut Console) -> Result<(), Failure> {
    if !findings.partitions.is_empty() {
        let heads = ["partition", "#segments", "#batches", "#records", "#size", "#offsets"];
        let mut table = Table::new(&heads);
        findings.partitions.iter().for_each(|sum| table.row(row(sum)));
        console.table(&table)?;
        console.line("")?;
    }
    for note in &findings.notes {
        let mark = console.paint(Paint::Dim, "note   ");
        console.line(&format!("{mark} {}", note.text()))?;
    }
    for damage in &findings.damages {
        let mark = console.paint(Paint::Red, "DAMAGED");
        console.line(&format!("{mark} {}", damage.text()))?;
    }
    let (files, size) = (values::grouped(findings.files), values::size(findings.bytes));
    if findings.damages.is_empty() {
        let good = console.paint(Paint::Green, "everything is as it was written");
        console.line(&format!("checked {files} files, {size}: {good}"))?;
    }
    Ok(console.flush()?)
}

fn row(sum: &Sum) -> [String; 6] {
    let folder = Path::new(&sum.folder).file_name().map(|name| name.to_string_lossy().into_owned());
    let offsets = sum.offsets.map(|(first, end)| format!("{first} – {}", end - 1));
    [
        folder.unwrap_or_else(|| sum.folder.clone()),
        values::grouped(sum.segments),
        values::grouped(sum.batches),
        values::grouped(sum.records),
        values::size(sum.bytes),
        offsets.unwrap_or_else(|| "-".to_owned()),
    ]
}
