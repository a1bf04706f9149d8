//! The folder reopened, torn, damaged, incomplete, full, and after a failed sync.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use thalweg_broker::cluster::{FileMetadataLog, MetadataIndex, MetadataLog, MetadataLogError};
use thalweg_storage::fs::FileSystem;
use thalweg_storage::fs::sim::{Crash, SimDisk};

use crate::sample::{cluster, disk, every_kind, folder, open, registered, topic};

const NEVER: u64 = 1 << 40;

fn log_file(base: u64) -> PathBuf {
    folder().join(format!("{base:020}.log"))
}

fn snapshot_file(base: u64) -> PathBuf {
    folder().join(format!("{base:020}.snapshot"))
}

/// A disk with the entries of every kind in one log, and where each entry ends.
fn written() -> (SimDisk, Vec<u64>) {
    let disk = disk(1);
    let mut log = open(&disk, NEVER).unwrap();
    let mut ends = Vec::new();
    for records in every_kind() {
        log.propose(&records).unwrap();
        ends.push(disk.open(&log_file(0)).unwrap().length().unwrap());
    }
    (disk, ends)
}

fn names(disk: &SimDisk) -> Vec<String> {
    let paths = disk.list(&folder()).unwrap();
    paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn a_reopened_log_has_the_same_image_with_and_without_snapshots() {
    for snapshot_log_bytes in [1, 200, 1000, NEVER] {
        let disk = disk(1);
        let mut expected = None;
        for (number, records) in every_kind().iter().enumerate() {
            let mut log = open(&disk, snapshot_log_bytes).unwrap();
            if let Some(expected) = expected {
                assert_eq!(log.image(), expected, "before entry {number}");
            }
            let index = log.propose(records).unwrap();
            assert_eq!(index, MetadataIndex::new(u64::try_from(number).unwrap() + 1));
            assert_eq!(log.image().index(), index);
            expected = Some(log.image());
        }
        let pair = names(&disk);
        assert_eq!(pair.len(), if snapshot_log_bytes == NEVER { 1 } else { 2 }, "{pair:?}");
    }
}

#[test]
fn the_subscriber_hears_of_each_index_once_and_before_the_answer() {
    let disk = disk(1);
    let mut log = open(&disk, 300).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = Arc::clone(&heard);
    log.subscribe(Box::new(move |image| ears.lock().unwrap().push(image.index().get())));
    for (number, records) in every_kind().iter().enumerate() {
        let index = log.propose(records).unwrap().get();
        assert_eq!(*heard.lock().unwrap(), (1..=index).collect::<Vec<_>>());
        assert_eq!(index, u64::try_from(number).unwrap() + 1);
    }
}

#[test]
fn a_proposal_that_does_not_fit_the_image_changes_nothing() {
    let disk = disk(1);
    let mut log = open(&disk, NEVER).unwrap();
    log.propose(&[cluster()]).unwrap();
    let writes = disk.writes();
    let refused = log.propose(&[registered(1), cluster()]);
    assert!(matches!(refused, Err(MetadataLogError::Replay { .. })), "{refused:?}");
    assert_eq!((log.image().index(), disk.writes()), (MetadataIndex::new(1), writes));
    assert_eq!(log.image().brokers().len(), 0);
    log.propose(&[registered(1)]).unwrap();
}

#[test]
fn a_tail_that_is_cut_at_any_byte_loses_the_last_entry_only() {
    let (disk, ends) = written();
    let (last_but_one, end) = (ends[ends.len() - 2], ends[ends.len() - 1]);
    drop(disk);
    for cut in last_but_one..=end {
        let (disk, _) = written();
        disk.open(&log_file(0)).unwrap().set_length(cut).unwrap();
        let mut log = open(&disk, NEVER).unwrap();
        let index = if cut == end { 12 } else { 11 };
        assert_eq!(log.image().index(), MetadataIndex::new(index), "cut at {cut}");
        let length = disk.open(&log_file(0)).unwrap().length().unwrap();
        assert_eq!(length, if cut == end { end } else { last_but_one });
        let next = log.propose(&[topic(9, "next")]).unwrap();
        assert_eq!(open(&disk, NEVER).unwrap().image().index(), next);
    }
}

#[test]
fn damage_below_the_last_entry_is_refused_and_nothing_is_changed() {
    let (_, ends) = written();
    let last = usize::try_from(ends[ends.len() - 2]).unwrap();
    for position in 0..last {
        let (disk, _) = written();
        disk.flip_bit(&log_file(0), position, u8::try_from(position % 8).unwrap()).unwrap();
        let before = disk.read_small(&log_file(0), 1 << 20).unwrap();
        let error = open(&disk, NEVER).unwrap_err();
        match &error {
            MetadataLogError::Corrupt { path, position: at, .. } => {
                assert_eq!(*path, log_file(0));
                assert!(*at <= u64::try_from(position).unwrap(), "{error}");
            }
            other => panic!("bit flip at {position}: {other}"),
        }
        assert_eq!(disk.read_small(&log_file(0), 1 << 20).unwrap(), before);
    }
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let (disk, _) = written();
    open(&disk, NEVER).unwrap().snapshot().unwrap();
    let bytes = disk.read_small(&snapshot_file(12), 1 << 20).unwrap().len();
    for position in 0..bytes {
        disk.flip_bit(&snapshot_file(12), position, 3).unwrap();
        let error = open(&disk, NEVER).unwrap_err();
        assert!(matches!(error, MetadataLogError::Corrupt { .. }), "{position}: {error}");
        disk.flip_bit(&snapshot_file(12), position, 3).unwrap();
    }
    assert_eq!(open(&disk, NEVER).unwrap().image().index(), MetadataIndex::new(12));
}

#[test]
fn a_folder_that_lacks_a_file_is_refused_and_names_it() {
    let (disk, _) = written();
    let mut log = open(&disk, NEVER).unwrap();
    log.snapshot().unwrap();
    log.propose(&[topic(9, "next")]).unwrap();
    drop(log);
    let missing = |removed: PathBuf| {
        let bytes = disk.read_small(&removed, 1 << 20).unwrap();
        disk.remove(&removed).unwrap();
        match open(&disk, NEVER).unwrap_err() {
            MetadataLogError::Missing { path, .. } => assert_eq!(path, removed),
            other => panic!("{other}"),
        }
        disk.create(&removed).unwrap().write_at(0, &[&bytes]).unwrap();
    };
    missing(log_file(12));
    missing(snapshot_file(12));
    assert_eq!(open(&disk, NEVER).unwrap().image().index(), MetadataIndex::new(13));
}

#[test]
fn a_later_format_is_refused_as_such() {
    let (disk, _) = written();
    // Format 3 with its checksum: what a later release would write.
    let mut head = disk.read_small(&log_file(0), 1 << 20).unwrap();
    head.truncate(24);
    head[9] = 3;
    let checksum = crc32fast::hash(&head[..20]);
    head[20..].copy_from_slice(&checksum.to_be_bytes());
    disk.open(&log_file(0)).unwrap().write_at(0, &[&head]).unwrap();
    let error = open(&disk, NEVER).unwrap_err();
    assert!(matches!(error, MetadataLogError::Format { found: 3, .. }), "{error}");
}

#[test]
fn after_a_failed_sync_nothing_is_written_any_more_and_the_sync_is_not_tried_again() {
    let disk = disk(1);
    let mut log = open(&disk, NEVER).unwrap();
    log.propose(&[cluster()]).unwrap();
    disk.fail_sync(1);
    let failed = log.propose(&[registered(1)]);
    assert!(matches!(failed, Err(MetadataLogError::Io { action: "sync", .. })), "{failed:?}");
    assert_eq!(log.image().index(), MetadataIndex::new(1));
    let (syncs, writes) = (disk.syncs(), disk.writes());
    for _ in 0..2 {
        let again = log.propose(&[registered(1)]);
        assert!(matches!(again, Err(MetadataLogError::Failed { .. })), "{again:?}");
        assert!(log.snapshot().is_err());
    }
    assert_eq!((disk.syncs(), disk.writes()), (syncs, writes));
    assert_eq!(disk.stats().syncs_failed, 1);
}

/// A sync fails, the process dies, its successor reads the entry from the page cache, which counts as clean:
/// unless it writes the entry again, the next power cut takes it from below entries that were answered.
#[test]
fn what_a_restart_found_in_the_page_cache_survives_the_next_power_cut() {
    let mut found = 0;
    for seed in 0..100 {
        let disk = disk(seed);
        let mut log = open(&disk, NEVER).unwrap();
        log.propose(&[cluster()]).unwrap();
        disk.fail_sync(1);
        // Several sectors: the next entry must not rewrite its bytes by chance.
        let many: Vec<_> = (10..16).map(|number| topic(number, &format!("t{number}"))).collect();
        log.propose(&[&[registered(1)], many.as_slice()].concat()).unwrap_err();
        disk.kill();
        let mut log = open(&disk, NEVER).unwrap();
        found += u32::from(log.image().index() == MetadataIndex::new(2));
        let mut next = vec![topic(1, "t")];
        if log.image().brokers().len() == 0 {
            next.insert(0, registered(1));
        }
        let answered = log.propose(&next).unwrap();
        let image = log.image();
        disk.crash(Crash::seeded(seed));
        let reopened = open(&disk, NEVER).unwrap();
        assert_eq!((reopened.image().index(), reopened.image()), (answered, image), "seed {seed}");
    }
    assert!(found > 10, "vacuous: only {found} entries were found in the page cache");
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let disk = disk(1);
    let mut log = open(&disk, 4096).unwrap();
    log.propose(&[cluster(), registered(1)]).unwrap();
    disk.set_capacity(Some(130 * 1024));
    let mut refused = None;
    for number in 0..2000_u32 {
        if let Err(error) = propose_topic(&mut log, number) {
            refused = Some(error);
            break;
        }
    }
    let refused = refused.expect("the disk fills up");
    assert!(matches!(refused, MetadataLogError::Full { .. }), "{refused}");
    assert!(disk.stats().refused_as_full > 0);
    let image = log.image();
    disk.set_capacity(None);
    propose_topic(&mut log, 5000).unwrap();
    let reopened = open(&disk, 4096).unwrap();
    assert_eq!(reopened.image().index(), image.index().next());
    assert_eq!(reopened.image(), log.image());
}

fn propose_topic(log: &mut FileMetadataLog, number: u32) -> Result<(), MetadataLogError> {
    let mut record = topic(0, &format!("t{number}"));
    if let thalweg_broker::cluster::Record::TopicCreated(created) = &mut record {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        created.topic = thalweg_protocol::TopicId::from_bytes(id);
    }
    log.propose(&[record]).map(drop)
}
