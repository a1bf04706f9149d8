//! What the simulated disk loses, and what it must not lose.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::{Crash, SimDisk, Survivors};
use crate::fs::{File, FileSystem};

const NOTHING: Crash = Crash::seeded(1).leaving(Survivors::Nothing);
const EVERYTHING: Crash = Crash::seeded(1).leaving(Survivors::Everything);

fn path() -> &'static Path {
    Path::new("/a")
}

/// A disk with one file whose bytes and name are durable.
fn with_synced(bytes: &[u8]) -> (SimDisk, Arc<dyn File>) {
    let disk = SimDisk::new(1);
    let file = disk.create(path()).unwrap();
    file.write_at(0, &[bytes]).unwrap();
    file.sync().unwrap();
    disk.sync_folder(Path::new("/")).unwrap();
    (disk, file)
}

fn left(disk: &SimDisk) -> Vec<u8> {
    disk.read_small(path(), usize::MAX).unwrap()
}

#[test]
fn what_was_synced_survives_every_crash() {
    for seed in 0..200 {
        let (disk, file) = with_synced(&[1; 10_000]);
        file.write_at(10_000, &[&[2; 10_000]]).unwrap();
        disk.crash(Crash::seeded(seed));
        assert_eq!(left(&disk)[..10_000], [1; 10_000]);
    }
}

#[test]
fn what_was_not_synced_is_lost_or_kept_as_the_crash_says() {
    let (disk, file) = with_synced(b"synced");
    file.write_at(6, &[b", not"]).unwrap();
    assert_eq!(disk.durable_bytes(path()).unwrap(), b"synced");
    disk.crash(NOTHING);
    assert_eq!(left(&disk), b"synced");

    let (disk, file) = with_synced(b"synced");
    file.write_at(6, &[b", not"]).unwrap();
    disk.crash(EVERYTHING);
    assert_eq!(left(&disk), b"synced, not");
    disk.crash(NOTHING);
    assert_eq!(left(&disk), b"synced, not", "what a crash left is durable");
}

#[test]
fn crashes_lose_any_subset_of_pages_and_any_change_of_length() {
    let mut seen = [0; 5];
    for seed in 0..1000 {
        let (disk, file) = with_synced(&[1; 4096]);
        file.write_at(4096, &[&vec![2; 5 * 4096]]).unwrap();
        disk.crash(Crash::seeded(seed));
        let bytes = left(&disk);
        assert_eq!(bytes[..4096], [1; 4096]);
        let first = bytes.get(4096).copied().unwrap_or(1);
        let last = bytes.get(6 * 4096 - 1).copied();
        seen[0] += usize::from(bytes.len() == 4096);
        seen[1] += usize::from(bytes.len() > 4096 && bytes.len() < 6 * 4096);
        seen[2] += usize::from(first == 0 && last == Some(2));
        seen[3] += usize::from(first == 2 && last == Some(0));
        seen[4] += usize::from(bytes == [vec![1; 4096], vec![2; 5 * 4096]].concat());
    }
    assert!(seen.iter().all(|times| *times >= 5), "{seen:?}");
}

#[test]
fn a_page_is_torn_at_any_byte() {
    let mut torn = Vec::new();
    for seed in 0..400 {
        let (disk, file) = with_synced(&[]);
        file.write_at(0, &[&[2; 4096]]).unwrap();
        disk.crash(Crash::seeded(seed).by_pages());
        let bytes = left(&disk);
        let kept = bytes.iter().take_while(|byte| **byte == 2).count();
        if bytes.len() == 4096 && kept > 0 && kept < 4096 {
            assert!(disk.stats().pages_torn == 1);
            torn.push(kept);
        }
    }
    torn.dedup();
    assert!(torn.len() > 20, "{torn:?}");
}

#[test]
fn a_cut_is_undone_unless_synced() {
    let (disk, file) = with_synced(&[1; 2000]);
    file.set_length(100).unwrap();
    disk.crash(NOTHING);
    assert_eq!(left(&disk), [1; 2000]);

    let (disk, file) = with_synced(&[1; 2000]);
    file.set_length(100).unwrap();
    file.sync().unwrap();
    file.set_length(2000).unwrap();
    file.sync().unwrap();
    disk.crash(NOTHING);
    assert_eq!(left(&disk), [[1; 100].as_slice(), &[0; 1900]].concat());
}

#[test]
fn names_are_durable_only_after_the_folder_was_synced() {
    let (disk, file) = with_synced(b"old");
    let new = disk.create(Path::new("/new")).unwrap();
    new.write_at(0, &[b"new"]).unwrap();
    new.sync().unwrap();
    disk.remove(path()).unwrap();
    drop((file, new));
    disk.crash(NOTHING);
    assert!(!disk.exists(Path::new("/new")), "its file was synced, its name was not");
    assert_eq!(left(&disk), b"old");

    let new = disk.create(Path::new("/new")).unwrap();
    new.write_at(0, &[b"new"]).unwrap();
    new.sync().unwrap();
    disk.rename(Path::new("/new"), path()).unwrap();
    disk.sync_folder(Path::new("/")).unwrap();
    disk.crash(NOTHING);
    assert!(!disk.exists(Path::new("/new")));
    assert_eq!(left(&disk), b"new");
}

#[test]
fn a_rename_happens_as_a_whole_or_not_at_all() {
    let mut seen = [0; 2];
    for seed in 0..200 {
        let (disk, _file) = with_synced(b"old");
        let new = disk.create(Path::new("/new")).unwrap();
        new.write_at(0, &[b"new"]).unwrap();
        new.sync().unwrap();
        disk.rename(Path::new("/new"), path()).unwrap();
        disk.crash(Crash::seeded(seed));
        match &left(&disk)[..] {
            b"old" => seen[0] += 1,
            b"new" => {
                assert!(!disk.exists(Path::new("/new")));
                seen[1] += 1;
            }
            other => panic!("neither old nor new: {other:?}"),
        }
    }
    assert!(seen.iter().all(|times| *times > 20), "{seen:?}");
}

#[test]
fn changes_of_different_names_survive_in_any_order() {
    let mut seen = [0; 4];
    for seed in 0..200 {
        let disk = SimDisk::new(1);
        disk.create(Path::new("/1")).unwrap();
        disk.create(Path::new("/2")).unwrap();
        disk.crash(Crash::seeded(seed));
        let exist = [Path::new("/1"), Path::new("/2")].map(|path| disk.exists(path));
        seen[usize::from(exist[0]) * 2 + usize::from(exist[1])] += 1;
    }
    assert!(seen.iter().all(|times| *times > 5), "{seen:?}");
}

#[test]
fn a_later_change_of_a_name_never_survives_without_the_earlier() {
    for seed in 0..200 {
        let (disk, _file) = with_synced(b"first");
        disk.rename(path(), Path::new("/b")).unwrap();
        disk.rename(Path::new("/b"), Path::new("/c")).unwrap();
        disk.create(path()).unwrap();
        disk.crash(Crash::seeded(seed));
        let firsts = disk.list(Path::new("/")).unwrap();
        let firsts = firsts.iter().filter(|path| disk.read_small(path, 10).unwrap() == b"first");
        assert_eq!(firsts.count(), 1, "seed {seed}: the file is lost or there twice");
    }
}

#[test]
fn a_failed_sync_reports_once_and_never_writes() {
    let (disk, file) = with_synced(b"old");
    file.write_at(3, &[b", lost"]).unwrap();
    disk.fail_sync(1);
    assert!(file.sync().is_err());
    file.sync().expect("the pages count as clean");
    assert_eq!(left(&disk), b"old, lost", "the page cache still has it");
    disk.crash(EVERYTHING);
    assert_eq!(left(&disk), b"old\0\0\0\0\0\0", "the length was synced, the bytes were not");
    assert_eq!(disk.stats().syncs_failed, 1);
    assert_eq!(disk.stats().sectors_lost_by_failed_sync, 1);
}

#[test]
fn what_is_written_again_after_a_failed_sync_is_durable() {
    let (disk, file) = with_synced(b"old");
    file.write_at(3, &[b", kept"]).unwrap();
    disk.fail_sync(1);
    assert!(file.sync().is_err());
    file.write_at(3, &[b", kept"]).unwrap();
    file.sync().unwrap();
    disk.crash(NOTHING);
    assert_eq!(left(&disk), b"old, kept");
}

#[test]
fn a_kill_keeps_the_page_cache_but_may_drop_what_a_failed_sync_lost() {
    let mut evicted = 0;
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let file = disk.create(path()).unwrap();
        file.write_at(0, &[b"cached"]).unwrap();
        disk.kill();
        assert_eq!(left(&disk), b"cached");
        assert!(file.read_at(0, &mut [0]).is_err(), "the file is of the dead process");
        let file = disk.open(path()).unwrap();
        disk.fail_sync(1);
        assert!(file.sync().is_err());
        disk.kill();
        evicted += disk.stats().sectors_evicted;
        let expected = if disk.stats().sectors_evicted == 1 { [0; 6] } else { *b"cached" };
        assert_eq!(left(&disk), expected);
    }
    assert!(evicted > 5 && evicted < 45, "{evicted}");
}

#[test]
fn a_sync_does_not_cover_what_is_written_while_it_runs() {
    let (disk, file) = with_synced(b"a");
    file.write_at(1, &[b"b"]).unwrap();
    let other = Arc::clone(&file);
    disk.during_sync(move || other.write_at(2, &[b"c"]).unwrap());
    file.sync().unwrap();
    disk.clear_hook();
    assert_eq!(left(&disk), b"abc");
    assert_eq!(disk.durable_bytes(path()).unwrap(), b"ab");
    file.sync().unwrap();
    assert_eq!(disk.durable_bytes(path()).unwrap(), b"abc");
}

#[test]
fn an_older_sync_that_ends_later_takes_nothing_back() {
    let (disk, file) = with_synced(b"a");
    file.write_at(0, &[b"b"]).unwrap();
    let inner = (disk.clone(), Arc::clone(&file));
    disk.during_sync(move || {
        inner.0.clear_hook();
        inner.1.write_at(0, &[b"c"]).unwrap();
        inner.1.sync().unwrap();
    });
    file.sync().unwrap();
    assert_eq!(disk.durable_bytes(path()).unwrap(), b"c");
}

#[test]
fn a_crash_is_planned_by_the_number_of_the_sync() {
    let (disk, file) = with_synced(b"old");
    disk.crash_at_sync(2);
    file.write_at(3, &[b"1"]).unwrap();
    file.sync().unwrap();
    file.write_at(4, &[b"2"]).unwrap();
    assert!(file.sync().is_err());
    assert!(disk.is_down());
    assert!(file.length().is_err() && disk.open(path()).is_err() && !disk.exists(path()));
    disk.crash(NOTHING);
    assert!(!disk.is_down());
    assert_eq!(left(&disk), b"old1");
}

#[test]
fn a_crash_or_failure_in_a_write_leaves_any_part_of_it() {
    let mut lengths = Vec::new();
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let file = disk.create(path()).unwrap();
        let crashes = seed % 2 == 0;
        if crashes {
            disk.crash_at_write(2);
        } else {
            disk.fail_write(2);
        }
        file.write_at(0, &[b"whole"]).unwrap();
        assert!(file.write_at(5, &[b"01234", b"56789"]).is_err());
        assert_eq!(disk.is_down(), crashes);
        disk.kill();
        let bytes = left(&disk);
        assert!(b"whole0123456789".starts_with(&bytes) && bytes.len() >= 5);
        lengths.push(bytes.len());
    }
    lengths.sort_unstable();
    lengths.dedup();
    assert!(lengths.len() > 8, "{lengths:?}");
}

#[test]
fn a_full_disk_refuses_new_blocks_and_room_comes_back() {
    let (disk, file) = with_synced(&[1; 4096]);
    disk.set_capacity(Some(4 * 4096));
    assert_eq!(disk.space(path()).unwrap().free, 3 * 4096);
    file.preallocate(3 * 4096).unwrap();
    assert_eq!(disk.space(path()).unwrap().free, 4096);
    let other = disk.create(Path::new("/b")).unwrap();
    let refused = other.write_at(0, &[&[2; 5000]]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::StorageFull);
    assert_eq!(other.length().unwrap(), 4096, "the part that fits was written");
    assert_eq!(file.preallocate(4 * 4096).unwrap_err().kind(), ErrorKind::StorageFull);
    file.write_at(4096, &[&[1; 8192]]).expect("blocks that were reserved are there");
    disk.remove(Path::new("/b")).unwrap();
    assert_eq!(disk.space(path()).unwrap().free, 0, "an open file keeps its blocks");
    drop(other);
    assert_eq!(disk.space(path()).unwrap().free, 4096);
    file.set_length(100).unwrap();
    assert_eq!(disk.space(path()).unwrap().free, 3 * 4096);
    assert_eq!(disk.stats().refused_as_full, 2);
}

#[test]
fn a_flipped_bit_is_on_the_disk_and_in_the_cache() {
    let (disk, _file) = with_synced(&[0; 10]);
    disk.flip_bit(path(), 3, 1).unwrap();
    assert!(disk.flip_bit(path(), 10, 1).is_err());
    assert_eq!(left(&disk)[3], 2);
    disk.crash(NOTHING);
    assert_eq!(left(&disk), [0, 0, 0, 2, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn locks_and_maps_end_with_the_process() {
    let (disk, file) = with_synced(b"0123");
    let lock = disk.lock(Path::new("/.lock")).unwrap();
    disk.kill();
    let next = disk.lock(Path::new("/.lock")).unwrap();
    drop(lock);
    assert!(disk.lock(Path::new("/.lock")).is_err(), "an old guard frees nothing");
    drop((next, file));
    disk.set_cold(true);
    disk.fail_list();
    assert!(disk.list(Path::new("/")).is_err());
    disk.fail_removal();
    assert!(disk.remove(path()).is_err());
    let map = disk.open(path()).unwrap().map(100).unwrap();
    assert!(!map.is_resident(0, 4));
    map.populate(0, 4).unwrap();
    assert!(map.is_resident(0, 4));
}

#[test]
fn one_seed_gives_one_history() {
    let run = |seed| {
        let (disk, file) = with_synced(&[1; 5000]);
        for round in 0..10_u8 {
            disk.create(&Path::new("/").join(round.to_string())).unwrap();
            file.write_at(u64::from(round) * 3000, &[&[round; 3000]]).unwrap();
        }
        disk.crash(Crash::seeded(seed));
        (left(&disk), disk.list(Path::new("/")).unwrap(), disk.stats())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}
