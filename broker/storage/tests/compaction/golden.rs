//! A compacted log, byte for byte as `docs/disk-format.md` draws it: a hole, a header alone, a batch with a horizon.
//!
//! `tests/golden/compacted/` holds its data file and its checkpoint. `THALWEG_WRITE_GOLDEN=1` writes them anew:
//! only an ADR may ask for that.

use std::path::{Path, PathBuf};
use std::{env, fs};

use thalweg_protocol::batch::{BatchHeader, HEADER_BYTES};
use thalweg_storage::COMPACTION_FILE;
use thalweg_storage::fs::FileSystem;

use crate::lives::Life;
use crate::model::Sequenced;
use crate::stories::{asked, record};
use crate::world::{World, partition};

const LOG: &str = "00000000000000000000.log";

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/compacted")
}

/// Two batches that become a hole, one whose producer needs it, a tombstone, and what keeps nothing.
fn written() -> World {
    let mut world = World::new(1);
    world.is_plain = true;
    world.start().unwrap();
    let now = world.now;
    let values = |value: &str| vec![record("a", Some(value), now), record("b", Some(value), now)];
    world.append_batch(values("1"), None).unwrap();
    world.append_batch(values("2"), None).unwrap();
    let sequenced = Sequenced { producer: 0, epoch: 0, first: 0 };
    world.append_batch(values("3"), Some(sequenced)).unwrap();
    world.append_batch(vec![record("a", None, now), record("b", Some("4"), now)], None).unwrap();
    world.roll().unwrap();
    world.sync().unwrap();
    assert_eq!(asked(&mut world).removed_records, 6);
    world
}

#[test]
fn a_compacted_log_is_written_byte_for_byte() {
    let world = written();
    let folder = world.dir().folder(partition());
    for name in [LOG, COMPACTION_FILE] {
        let found = world.disk.read_small(&folder.join(name), usize::MAX).unwrap();
        let golden = golden_folder().join(name);
        if env::var_os("THALWEG_WRITE_GOLDEN").is_some() {
            fs::create_dir_all(golden_folder()).unwrap();
            fs::write(&golden, &found).unwrap();
        }
        let expected = fs::read(&golden).unwrap_or_else(|error| panic!("{golden:?}: {error}"));
        assert!(found == expected, "{name} is not what {golden:?} holds");
    }
}

#[test]
fn the_golden_log_holds_a_hole_a_header_and_a_batch_with_a_horizon() {
    let bytes = fs::read(golden_folder().join(LOG)).unwrap();
    let mut left = bytes.as_slice();
    let mut found = Vec::new();
    while !left.is_empty() {
        let header = BatchHeader::decode(left).unwrap();
        let (base, last) = (header.base_offset.get(), header.last_offset().get());
        let has_horizon = header.attributes.has_delete_horizon();
        found.push((base, last, header.record_count, header.producer.get(), has_horizon));
        left = &left[header.total_bytes()..];
    }
    assert_eq!(
        found,
        [(0, 3, 0, -1, false), (4, 5, 0, 0, false), (6, 7, 2, -1, true)],
        "a hole, a header alone, a batch"
    );
    assert_eq!(BatchHeader::decode(&bytes).unwrap().total_bytes(), HEADER_BYTES);
}
