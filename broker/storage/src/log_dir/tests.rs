use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use thalweg_protocol::{
    BrokerId, ClusterId, Offset, PartitionIndex, TimestampMs, TopicId, TopicPartition,
};

use super::*;
use crate::defects::{Defect, plant};
use crate::folder::PartitionMetadata;
use crate::fs::sim::{Crash, SimDisk, Survivors};
use crate::fs::{FileSystem, OsFileSystem};
use crate::open_files::OpenFiles;

const DIR: &str = "/data";
const FLOOR: u64 = 1 << 20;

fn cluster() -> ClusterId {
    "f0e0d0c0-0000-4000-8000-000000000001".parse().unwrap()
}

fn owner() -> Owner {
    Owner { node: BrokerId::new(1), cluster: Some(cluster()) }
}

fn options() -> LogDirOptions {
    LogDirOptions { free_bytes_min: FLOOR, reserve_bytes: 64 << 10, open_files: OpenFiles::new(16) }
}

fn open(disk: &SimDisk) -> Result<Arc<LogDir>, OpenDirError> {
    LogDir::open(Arc::new(disk.clone()), Path::new(DIR), &owner(), options())
}

fn partition(number: i32) -> TopicPartition {
    let topic: TopicId = "00010203-0405-0607-0809-0a0b0c0d0e0f".parse().unwrap();
    TopicPartition::new(topic, PartitionIndex::new(number))
}

fn metadata() -> PartitionMetadata {
    PartitionMetadata { topic: partition(0).topic, name: "events".to_owned() }
}

fn mark(number: i32, synced_end: i64) -> RecoveryMark {
    let (synced_end, log_end) = (Offset::new(synced_end), Offset::new(synced_end + 10));
    RecoveryMark { partition: partition(number), synced_end, log_end }
}

fn put(disk: &SimDisk, path: &str, bytes: &[u8]) {
    let file = disk.create(Path::new(path)).unwrap();
    file.write_at(0, &[bytes]).unwrap();
}

/// A power cut that keeps what was synced and nothing else.
fn cut_power(disk: &SimDisk) {
    disk.crash(Crash::seeded(1).leaving(Survivors::Nothing));
}

#[test]
fn an_empty_folder_becomes_a_log_directory_and_keeps_its_id() {
    let disk = SimDisk::new(1);
    let dir = open(&disk).unwrap();
    assert!(dir.is_new() && !dir.was_clean());
    let id = dir.directory_id();
    drop(dir);
    cut_power(&disk);
    let dir = open(&disk).unwrap();
    assert_eq!((dir.is_new(), dir.directory_id()), (false, id));
    assert_eq!(dir.identity().cluster, Some(cluster()));
}

#[test]
fn a_crash_at_any_sync_of_the_first_start_leaves_a_folder_that_opens() {
    for nth in 1..20 {
        for seed in 0..20 {
            let disk = SimDisk::new(seed);
            disk.crash_at_sync(nth);
            let done = open(&disk).is_ok();
            disk.crash(Crash::seeded(seed));
            let dir = open(&disk).unwrap_or_else(|error| panic!("sync {nth}: {error}"));
            assert!(!dir.is_new() || !done, "sync {nth}: the identity was lost");
        }
    }
}

#[test]
fn the_cluster_may_be_set_on_first_use_and_only_once() {
    let disk = SimDisk::new(1);
    let nobody = Owner { cluster: None, ..owner() };
    let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
    let dir = LogDir::open(fs, Path::new(DIR), &nobody, options()).unwrap();
    assert_eq!(dir.identity().cluster, None);
    dir.set_cluster(Some(cluster())).unwrap();
    let other = dir.set_cluster(Some(ClusterId::random())).unwrap_err();
    assert!(matches!(other, OpenDirError::OtherCluster { .. }));
    drop(dir);
    cut_power(&disk);
    assert_eq!(open(&disk).unwrap().identity().cluster, Some(cluster()));
}

#[test]
fn a_start_that_knows_the_cluster_makes_it_known_to_the_directory() {
    let disk = SimDisk::new(1);
    let open_as = |cluster| {
        let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
        LogDir::open(fs, Path::new(DIR), &Owner { cluster, ..owner() }, options()).unwrap()
    };
    drop(open_as(None));
    drop(open_as(Some(cluster())));
    assert_eq!(open_as(None).identity().cluster, Some(cluster()));
}

#[test]
fn a_folder_of_somebody_else_is_refused_and_says_whose_it_is() {
    let disk = SimDisk::new(1);
    drop(open(&disk).unwrap());
    let open_as = |owner: Owner| {
        let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
        LogDir::open(fs, Path::new(DIR), &owner, options()).unwrap_err().to_string()
    };
    let error = open_as(Owner { cluster: Some(ClusterId::random()), ..owner() });
    assert!(error.contains(&format!("belongs to cluster {}", cluster())), "{error}");
    let error = open_as(Owner { node: BrokerId::new(2), ..owner() });
    assert!(error.contains("belongs to broker 1, this is broker 2"), "{error}");
}

#[test]
fn a_folder_with_other_files_is_refused_and_left_as_it_was() {
    let disk = SimDisk::new(1);
    disk.create_folder(Path::new(DIR)).unwrap();
    put(&disk, "/data/holiday.jpg", b"x");
    let error = open(&disk).unwrap_err().to_string();
    assert!(error.contains("holiday.jpg") && error.contains("empty folder"), "{error}");
    assert_eq!(disk.list(Path::new(DIR)).unwrap(), [PathBuf::from("/data/holiday.jpg")]);
}

#[test]
fn partitions_without_an_identity_are_somebody_elses() {
    let disk = SimDisk::new(1);
    disk.create_folder(&Path::new(DIR).join(partition(0).to_string())).unwrap();
    assert!(matches!(open(&disk).unwrap_err(), OpenDirError::NotOurs { .. }));
}

#[test]
fn the_root_of_a_fresh_file_system_counts_as_empty() {
    let disk = SimDisk::new(1);
    disk.create_folder(Path::new("/data/lost+found")).unwrap();
    assert!(open(&disk).unwrap().folders().unwrap().strangers.is_empty());
}

#[test]
fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
        LogDir::open(fs, folder.path(), &owner(), LogDirOptions { free_bytes_min: 0, ..options() })
    };
    let first = open().unwrap();
    let error = open().unwrap_err();
    assert!(matches!(error, OpenDirError::Locked { .. }), "{error}");
    drop(first);
    assert!(!open().unwrap().is_new());
}

#[test]
fn a_file_where_the_folder_should_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    std::fs::write(&path, "x").unwrap();
    let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
    let error = LogDir::open(fs, &path, &owner(), options()).unwrap_err();
    assert!(matches!(error, OpenDirError::Unusable { .. }), "{error}");
}

#[test]
fn the_clean_mark_is_gone_for_good_before_the_first_write() {
    let disk = SimDisk::new(1);
    open(&disk).unwrap().close_clean().unwrap();
    cut_power(&disk);
    let dir = open(&disk).unwrap();
    assert!(dir.was_clean());
    drop(dir);
    // Nothing was written: the next start is clean, too.
    let dir = open(&disk).unwrap();
    assert!(dir.was_clean());
    dir.before_write().unwrap();
    cut_power(&disk);
    assert!(!open(&disk).unwrap().was_clean());
}

#[test]
fn a_deletion_removes_the_clean_mark_too() {
    let disk = SimDisk::new(1);
    open(&disk).unwrap().close_clean().unwrap();
    open(&disk).unwrap().before_delete().unwrap();
    cut_power(&disk);
    assert!(!open(&disk).unwrap().was_clean());
}

#[test]
fn the_planted_defect_keep_clean_mark_is_seen() {
    let disk = SimDisk::new(1);
    open(&disk).unwrap().close_clean().unwrap();
    let _planted = plant(Defect::KeepCleanMark);
    open(&disk).unwrap().before_write().unwrap();
    cut_power(&disk);
    assert!(open(&disk).unwrap().was_clean(), "the defect did nothing");
}

#[test]
fn a_clean_mark_of_another_directory_or_a_damaged_one_counts_as_none() {
    let disk = SimDisk::new(1);
    open(&disk).unwrap().close_clean().unwrap();
    disk.flip_bit(Path::new("/data/clean-stop"), 30, 0).unwrap();
    assert!(!open(&disk).unwrap().was_clean());
}

#[test]
fn a_directory_whose_clean_mark_cannot_be_removed_takes_no_write() {
    let disk = SimDisk::new(1);
    open(&disk).unwrap().close_clean().unwrap();
    let dir = open(&disk).unwrap();
    disk.fail_sync(1);
    assert!(matches!(dir.before_write(), Err(DirRefusal::Offline { .. })));
    assert!(matches!(dir.before_write(), Err(DirRefusal::Offline { .. })), "for good");
}

#[test]
fn low_space_stops_writes_and_more_space_resumes_them() {
    let disk = SimDisk::new(1);
    disk.set_capacity(Some(4 * FLOOR));
    let dir = open(&disk).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    dir.subscribe(Box::new(move |state| ear.lock().unwrap().push(state.clone())));
    dir.before_write().unwrap();

    let file = disk.create(Path::new("/filler")).unwrap();
    file.preallocate(3 * FLOOR).unwrap();
    let free = dir.check_space().unwrap();
    assert!(free < FLOOR);
    let refused = dir.before_write().unwrap_err();
    assert!(matches!(refused, DirRefusal::StorageFull { floor: FLOOR, .. }));
    assert!(refused.code().is_retriable());
    assert!(refused.to_string().contains("resumes by itself above 1153433"), "{refused}");
    dir.before_delete().expect("deletes go on");

    // Just above the floor is not enough, so that it does not flap.
    drop(file);
    disk.remove(Path::new("/filler")).unwrap();
    let all = dir.check_space().unwrap();
    assert_eq!(dir.state(), DirState::Online);
    let file = disk.create(Path::new("/filler")).unwrap();
    file.preallocate(all - FLOOR / 2).unwrap();
    dir.check_space();
    file.set_length(0).unwrap();
    file.preallocate(all - FLOOR - FLOOR / 20).unwrap();
    drop(file);
    let free = dir.check_space().unwrap();
    assert!((FLOOR..FLOOR + FLOOR / 10).contains(&free), "{free}");
    assert!(matches!(dir.state(), DirState::ReadOnly { .. }));
    disk.remove(Path::new("/filler")).unwrap();
    dir.check_space();
    dir.before_write().unwrap();

    let heard = heard.lock().unwrap();
    let kinds: Vec<bool> = heard.iter().map(|state| *state == DirState::Online).collect();
    assert_eq!(kinds, [false, true, false, true], "{heard:?}");
}

#[test]
fn offline_is_for_good() {
    let disk = SimDisk::new(1);
    let dir = open(&disk).unwrap();
    let heard = Arc::new(Mutex::new(0));
    let ear = Arc::clone(&heard);
    dir.subscribe(Box::new(move |_| *ear.lock().unwrap() += 1));
    dir.fail("the sync of 00000000000000000000.log failed");
    dir.fail("another");
    dir.check_space();
    assert_eq!(*heard.lock().unwrap(), 1);
    let refused = dir.before_write().unwrap_err();
    assert!(refused.to_string().contains("the sync of 0000"), "{refused}");
    assert!(
        !refused.code().is_retriable() || refused.code() == dir.before_delete().unwrap_err().code()
    );
    dir.close_clean().unwrap();
    drop(dir);
    assert!(!open(&disk).unwrap().was_clean(), "a failed directory never stops cleanly");
}

#[test]
fn checkpoints_read_back_after_a_power_cut() {
    let disk = SimDisk::new(1);
    let dir = open(&disk).unwrap();
    dir.write_recovery_points(|| [mark(0, 7), mark(1, 0)]).unwrap();
    dir.write_log_starts([(partition(1), Offset::new(3))]).unwrap();
    dir.write_high_watermarks([(partition(0), Offset::new(5))]).unwrap();
    let append = |base, ms| SegmentAppend {
        base_offset: Offset::new(base),
        last_append: TimestampMs::new(ms),
    };
    dir.write_last_appends([(partition(0), vec![append(0, 11), append(4, 22)])]).unwrap();
    dir.write_last_appends([(partition(0), vec![append(4, 33)])]).unwrap();
    drop(dir);
    cut_power(&disk);

    let dir = open(&disk).unwrap();
    let recovery = [0, 1, 2].map(|number| dir.recovery_point(partition(number)));
    assert_eq!(recovery, [Some(Offset::new(7)), Some(Offset::ZERO), None]);
    assert_eq!(dir.log_start(partition(1)), Some(Offset::new(3)));
    assert_eq!(dir.log_start(partition(0)), None);
    assert_eq!(dir.high_watermark(partition(0)), Some(Offset::new(5)));
    assert_eq!(dir.last_appends(partition(0)), [append(4, 33)]);
}

#[test]
fn a_checkpoint_that_did_not_change_is_not_written() {
    let disk = SimDisk::new(1);
    let dir = open(&disk).unwrap();
    dir.write_recovery_points(|| [mark(0, 7)]).unwrap();
    let syncs = disk.syncs();
    dir.write_recovery_points(|| [mark(0, 7)]).unwrap();
    dir.write_recovery_points(|| []).unwrap();
    assert_eq!(disk.syncs(), syncs);
}

#[test]
fn the_recovery_point_never_passes_what_is_synced() {
    let disk = SimDisk::new(1);
    let written = |dir: &LogDir| {
        dir.write_recovery_points(|| [mark(0, 7)]).unwrap();
        dir.recovery_point(partition(0)).unwrap().get()
    };
    let dir = open(&disk).unwrap();
    assert_eq!(written(&dir), 7);
    let _planted = plant(Defect::CheckpointBeforeSync);
    assert_eq!(written(&dir), 17, "the defect did nothing");
}

#[test]
fn a_lowered_recovery_point_is_durable_before_the_cut() {
    let disk = SimDisk::new(1);
    let dir = open(&disk).unwrap();
    dir.write_recovery_points(|| [mark(0, 7)]).unwrap();
    dir.lower_recovery_point(partition(0), Offset::new(9)).unwrap();
    assert_eq!(dir.recovery_point(partition(0)), Some(Offset::new(7)));
    dir.lower_recovery_point(partition(0), Offset::new(4)).unwrap();
    drop(dir);
    cut_power(&disk);
    assert_eq!(open(&disk).unwrap().recovery_point(partition(0)), Some(Offset::new(4)));
}

#[test]
fn a_crash_at_any_sync_leaves_the_old_checkpoint_or_the_new_one() {
    for nth in 1..=2 {
        for seed in 0..200 {
            let disk = SimDisk::new(seed);
            let dir = open(&disk).unwrap();
            dir.write_log_starts([(partition(0), Offset::new(1))]).unwrap();
            disk.crash_at_sync(nth);
            assert!(dir.write_log_starts([(partition(0), Offset::new(2))]).is_err());
            drop(dir);
            disk.crash(Crash::seeded(seed));
            let found = open(&disk).unwrap().log_start(partition(0)).unwrap().get();
            assert!([1, 2].contains(&found), "sync {nth}, seed {seed}: {found}");
        }
    }
}

#[test]
fn a_failed_sync_of_a_checkpoint_takes_the_directory_offline() {
    let disk = SimDisk::new(1);
    let dir = open(&disk).unwrap();
    disk.fail_sync(1);
    assert!(dir.write_recovery_points(|| [mark(0, 7)]).is_err());
    assert!(matches!(dir.state(), DirState::Offline { .. }));
    let again = dir.write_recovery_points(|| [mark(0, 7)]).unwrap_err();
    assert!(again.to_string().contains("offline"), "a failed sync is never tried again: {again}");
}

#[test]
fn a_damaged_recovery_point_or_log_start_is_refused_and_the_others_are_done_without() {
    for (name, refused) in [
        ("recovery-point", true),
        ("log-start", true),
        ("high-watermark", false),
        ("last-append", false),
    ] {
        let disk = SimDisk::new(1);
        let dir = open(&disk).unwrap();
        dir.write_recovery_points(|| [mark(0, 7)]).unwrap();
        dir.write_log_starts([(partition(0), Offset::ZERO)]).unwrap();
        dir.write_high_watermarks([(partition(0), Offset::ZERO)]).unwrap();
        let append = SegmentAppend { base_offset: Offset::ZERO, last_append: TimestampMs::new(1) };
        dir.write_last_appends([(partition(0), vec![append])]).unwrap();
        drop(dir);
        disk.flip_bit(&Path::new(DIR).join(format!("{name}.checkpoint")), 25, 3).unwrap();
        match open(&disk) {
            Err(error) => {
                assert!(refused && error.to_string().contains("checksum"), "{name}: {error}");
            }
            Ok(dir) => {
                assert!(!refused, "{name}");
                assert_eq!(dir.ignored().len(), 1, "{name}");
                assert_eq!(dir.recovery_point(partition(0)), Some(Offset::new(7)));
            }
        }
    }
}

#[test]
fn the_reserve_lets_a_checkpoint_through_on_a_full_disk() {
    let disk = SimDisk::new(1);
    disk.set_capacity(Some(4 * FLOOR));
    let dir = open(&disk).unwrap();
    let free = disk.space(Path::new(DIR)).unwrap().free;
    let filler = disk.create(Path::new("/filler")).unwrap();
    filler.preallocate(free).unwrap();
    assert_eq!(disk.space(Path::new(DIR)).unwrap().free, 0);
    dir.write_recovery_points(|| [mark(0, 7)]).expect("the reserve makes room");
    assert!(matches!(dir.state(), DirState::ReadOnly { .. }));
    assert!(matches!(dir.before_write(), Err(DirRefusal::StorageFull { .. })));
    dir.before_delete().unwrap();
    drop(filler);
    disk.remove(Path::new("/filler")).unwrap();
    dir.check_space();
    dir.before_write().expect("there is room again");
    assert!(disk.exists(Path::new("/data/.reserve")), "the reserve is filled again");
}

#[test]
fn a_partition_that_was_committed_and_is_missing_is_never_made_again() {
    let disk = SimDisk::new(1);
    let dir = open(&disk).unwrap();
    let error = dir.existing_folder(partition(0)).unwrap_err();
    assert!(matches!(error, FolderError::Missing { .. }));
    assert!(error.to_string().contains("must not become an empty partition"), "{error}");
    assert!(dir.folders().unwrap().partitions.is_empty());
    let _planted = plant(Defect::RecreateMissingFolder);
    let made = dir.existing_folder(partition(0)).expect("the defect did nothing");
    assert!(disk.exists(&made));
}

#[test]
fn a_new_partition_is_durable_and_made_once() {
    let disk = SimDisk::new(1);
    let dir = open(&disk).unwrap();
    let folder = dir.create_folder(partition(3), &metadata()).unwrap();
    let again = dir.create_folder(partition(3), &metadata()).unwrap_err();
    assert!(matches!(again, FolderError::Exists { .. }));
    drop(dir);
    cut_power(&disk);
    let dir = open(&disk).unwrap();
    assert_eq!(dir.existing_folder(partition(3)).unwrap(), folder);
    let text = disk.read_small(&folder.join("partition.metadata"), 4096).unwrap();
    assert_eq!(PartitionMetadata::decode(&text), Ok(metadata()));
}

#[test]
fn a_crash_while_a_partition_is_made_can_be_made_good() {
    for nth in 1..=4 {
        for seed in 0..100 {
            let disk = SimDisk::new(seed);
            let dir = open(&disk).unwrap();
            disk.crash_at_sync(nth);
            let made = dir.create_folder(partition(3), &metadata()).is_ok();
            drop(dir);
            disk.crash(Crash::seeded(seed));
            let dir = open(&disk).unwrap();
            let found = dir.existing_folder(partition(3));
            assert!(found.is_err() || disk.exists(&found.unwrap().join("partition.metadata")));
            let there = match dir.create_folder(partition(3), &metadata()) {
                Ok(_) => false,
                Err(FolderError::Exists { .. }) => true,
                Err(error) => panic!("sync {nth}, seed {seed}: {error}"),
            };
            assert!(there || !made, "sync {nth}, seed {seed}: what was made is gone");
            let file = dir.existing_folder(partition(3)).unwrap().join("partition.metadata");
            let text = disk.read_small(&file, 4096).unwrap();
            assert_eq!(PartitionMetadata::decode(&text), Ok(metadata()));
        }
    }
}

#[test]
fn a_deleted_partition_waits_under_another_name_and_its_points_are_forgotten() {
    let disk = SimDisk::new(1);
    let dir = open(&disk).unwrap();
    let folder = dir.create_folder(partition(3), &metadata()).unwrap();
    dir.write_recovery_points(|| [mark(3, 7)]).unwrap();
    dir.write_log_starts([(partition(3), Offset::new(5))]).unwrap();
    let gone = dir.delete_folder(partition(3)).unwrap().unwrap();
    assert_eq!(gone.to_string_lossy(), format!("{}.deleted", folder.display()));
    drop(dir);
    cut_power(&disk);

    let dir = open(&disk).unwrap();
    let found = dir.folders().unwrap();
    assert!(found.partitions.is_empty());
    assert_eq!(found.deleted, [gone.as_path()]);
    assert_eq!((dir.recovery_point(partition(3)), dir.log_start(partition(3))), (None, None));
    dir.create_folder(partition(3), &metadata()).expect("it may come back");
    let again = dir.delete_folder(partition(3)).unwrap().expect("and leave once more");
    dir.remove_folder(&again).unwrap();
    assert_eq!(dir.folders().unwrap(), FoundFolders::default());
    assert_eq!(dir.delete_folder(partition(3)).unwrap(), None, "gone is gone");
}

#[test]
fn a_deletion_is_durable_also_of_a_partition_without_points() {
    let disk = SimDisk::new(1);
    let dir = open(&disk).unwrap();
    dir.create_folder(partition(3), &metadata()).unwrap();
    dir.delete_folder(partition(3)).unwrap();
    drop(dir);
    cut_power(&disk);
    assert!(open(&disk).unwrap().folders().unwrap().partitions.is_empty());
}

#[test]
#[should_panic(expected = "is in use")]
fn a_folder_in_use_is_not_removed() {
    let disk = SimDisk::new(1);
    let dir = open(&disk).unwrap();
    let folder = dir.create_folder(partition(3), &metadata()).unwrap();
    drop(dir.remove_folder(&folder));
}

#[test]
fn strangers_are_reported_and_left_alone() {
    let disk = SimDisk::new(1);
    let dir = open(&disk).unwrap();
    dir.create_folder(partition(0), &metadata()).unwrap();
    put(&disk, "/data/notes.txt", b"x");
    dir.write_log_starts([(partition(0), Offset::ZERO)]).unwrap();
    dir.close_clean().unwrap();
    let found = dir.folders().unwrap();
    assert_eq!(found.strangers, [PathBuf::from("/data/notes.txt")]);
    assert_eq!(found.partitions.keys().copied().collect::<Vec<_>>(), [partition(0)]);
}

#[test]
fn a_write_costs_no_lock_and_no_disk_when_all_is_well() {
    let disk = SimDisk::new(1);
    let dir = open(&disk).unwrap();
    let (syncs, writes) = (disk.syncs(), disk.writes());
    for _ in 0..1000 {
        dir.before_write().unwrap();
    }
    assert_eq!((disk.syncs(), disk.writes()), (syncs, writes));
}
