//! The files as each release wrote them: they open, they mean the same, and this release writes them so.
//!
//! `tests/golden/metadata/1/log` holds the entries of [`every_kind`] in one log file; `…/1/snapshot` the
//! folder after a snapshot of the first seven and the other five behind it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use thalweg_broker::cluster::{Image, MetadataIndex, MetadataLog, Term};
use thalweg_storage::fs::OsFileSystem;

use crate::sample::{every_kind, open_at};

const ENTRIES_BEFORE_SNAPSHOT: usize = 7;

/// Larger than all that the tests write: a snapshot comes when it is asked for.
const NEVER: u64 = 1 << 40;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/metadata/1").join(name)
}

fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(Result::unwrap);
    files
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect()
}

fn replayed() -> Image {
    let mut image = Image::default();
    for records in every_kind() {
        image = image.with_entry(image.index().next(), Term::FIRST, &records).unwrap();
    }
    image
}

/// What this release writes.
fn write(folder: &Path, snapshot: bool) {
    let mut log = open_at(&OsFileSystem, folder, NEVER).unwrap();
    for (number, records) in every_kind().iter().enumerate() {
        if snapshot && number == ENTRIES_BEFORE_SNAPSHOT {
            assert_eq!(log.snapshot().unwrap(), MetadataIndex::new(7));
        }
        log.propose(records).unwrap();
    }
}

fn check(name: &str, snapshot: bool) {
    let temp = tempfile::tempdir().unwrap();
    let (written, copied) = (temp.path().join("written"), temp.path().join("copied"));
    write(&written, snapshot);
    let expected = content(&golden(name));
    assert_eq!(content(&written), expected, "the files differ: {}", written.display());

    fs::create_dir(&copied).unwrap();
    for (file, bytes) in &expected {
        fs::write(copied.join(file), bytes).unwrap();
    }
    let log = open_at(&OsFileSystem, &copied, NEVER).unwrap();
    assert_eq!(*log.image(), replayed());
    assert_eq!(content(&copied), expected, "opening changes nothing");
}

#[test]
fn a_log_is_as_the_golden_one() {
    check("log", false);
}

#[test]
fn a_snapshot_with_a_log_is_as_the_golden_one() {
    check("snapshot", true);
}
