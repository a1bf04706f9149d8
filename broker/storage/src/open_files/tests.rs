use std::path::Path;
use std::thread;

use super::*;
use crate::fs::sim::SimDisk;

fn disk() -> Arc<dyn FileSystem> {
    Arc::new(SimDisk::new(1))
}

/// Slots for `count` files that hold their number, all closed.
fn slots(table: &Arc<OpenFiles>, fs: &Arc<dyn FileSystem>, count: u8) -> Vec<Arc<Slot>> {
    (0..count)
        .map(|number| {
            let path = PathBuf::from(format!("/{number}"));
            fs.create(&path).unwrap().write_at(0, &[&[number]]).unwrap();
            table.slot(fs, path, 1)
        })
        .collect()
}

fn content(slot: &Arc<Slot>) -> u8 {
    let mut byte = [0];
    slot.file().unwrap().read_at(0, &mut byte).unwrap();
    byte[0]
}

fn open(slots: &[Arc<Slot>]) -> Vec<usize> {
    let open = slots.iter().enumerate().filter(|(_, slot)| slot.is_open());
    open.map(|(at, _)| at).collect()
}

#[test]
fn the_file_used_longest_ago_is_closed_first() {
    let (table, fs) = (OpenFiles::new(3), disk());
    let slots = slots(&table, &fs, 6);
    for slot in &slots[..3] {
        content(slot);
    }
    content(&slots[0]);
    content(&slots[3]);
    assert_eq!(open(&slots), [0, 2, 3]);
    slots[2].map().unwrap();
    content(&slots[4]);
    assert_eq!(open(&slots), [2, 3, 4]);
    let counts = table.counts();
    assert_eq!((counts.open, counts.opened_total, counts.evicted_total), (3, 5, 2));
}

#[test]
fn a_closed_file_opens_again_by_itself() {
    let (table, fs) = (OpenFiles::new(1), disk());
    let slots = slots(&table, &fs, 3);
    for _ in 0..3 {
        for (number, slot) in (0..).zip(&slots) {
            assert_eq!(content(slot), number);
            assert_eq!(slot.map().unwrap().slice(0, 1), [number].as_slice());
        }
    }
    assert_eq!(open(&slots), [2]);
}

#[test]
fn a_file_with_unsynced_bytes_stays_open_with_the_descriptor_that_wrote_them() {
    let (table, fs) = (OpenFiles::new(2), disk());
    let slots = slots(&table, &fs, 8);
    slots[0].pin();
    let written_through = slots[0].file().unwrap();
    for slot in &slots[1..] {
        content(slot);
    }
    assert!(Arc::ptr_eq(&written_through, &slots[0].file().unwrap()));
    slots[0].unpin();
    for slot in &slots[1..] {
        content(slot);
    }
    assert!(!slots[0].is_open());
}

#[test]
fn pinned_files_may_pass_the_bound_and_that_is_counted() {
    let (table, fs) = (OpenFiles::new(2), disk());
    let slots = slots(&table, &fs, 4);
    for slot in &slots {
        slot.pin();
        content(slot);
    }
    assert_eq!(open(&slots), [0, 1, 2, 3]);
    assert_eq!(table.counts().passed_total, 2);
    for slot in &slots {
        slot.unpin();
    }
    content(&slots[0]);
    slots[1].close();
    content(&slots[1]);
    assert_eq!(table.counts().open, 2, "the next opening makes room");
}

#[test]
fn a_created_file_is_open_and_pinned() {
    let (table, fs) = (OpenFiles::new(2), disk());
    let slot = table.create(&fs, PathBuf::from("/new"), 4096).unwrap();
    assert!(slot.is_open() && slot.is_pinned());
    slot.file().unwrap().write_at(0, &[b"x"]).unwrap();
    assert_eq!(slot.map().unwrap().slice(0, 1), b"x".as_slice());
    assert!(table.create(&fs, PathBuf::from("/new"), 4096).is_err());
}

#[test]
fn closed_renamed_and_dropped_slots_leave_the_table() {
    let (table, fs) = (OpenFiles::new(4), disk());
    let mut slots = slots(&table, &fs, 3);
    for slot in &slots {
        content(slot);
    }
    slots[0].close();
    assert_eq!(table.counts().open, 2);
    slots[0].rename(Path::new("/elsewhere")).unwrap();
    assert_eq!(content(&slots[0]), 0);
    slots.clear();
    assert_eq!(table.counts().open, 0);
}

#[test]
fn a_map_covers_what_it_was_told_last() {
    let (table, fs) = (OpenFiles::new(4), disk());
    let slot = table.create(&fs, PathBuf::from("/new"), 2).unwrap();
    slot.file().unwrap().write_at(0, &[b"abcd"]).unwrap();
    let old = slot.map().unwrap();
    slot.remap(4);
    assert_eq!(slot.map().unwrap().slice(0, 4), b"abcd".as_slice());
    assert_eq!(old.slice(0, 2), b"ab".as_slice());
}

#[test]
fn a_missing_file_is_an_error_and_no_open_slot() {
    let (table, fs) = (OpenFiles::new(4), disk());
    let slot = table.slot(&fs, PathBuf::from("/missing"), 1);
    assert_eq!(slot.file().unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(slot.map().is_err());
    assert_eq!(table.counts().open, 0);
}

#[test]
fn the_bound_follows_the_limit_of_the_process() {
    let bound = |descriptors| OpenFiles::for_descriptors(descriptors).counts().open_max;
    assert_eq!(bound(20_000), 9744);
    assert_eq!(bound(256), SLOTS_MIN);
    assert_eq!(bound(u64::MAX), SLOTS_MAX);
}

#[test]
fn many_threads_share_few_open_files() {
    let (table, fs) = (OpenFiles::new(4), disk());
    let slots = slots(&table, &fs, 32);
    thread::scope(|scope| {
        for seed in 0..8 {
            let slots = &slots;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..2000 {
                    let number = random.u8(0..32);
                    let slot = &slots[usize::from(number)];
                    match random.u8(0..10) {
                        0 => {
                            slot.pin();
                            let file = slot.file().unwrap();
                            assert!(Arc::ptr_eq(&file, &slot.file().unwrap()));
                            slot.unpin();
                        }
                        1 => assert_eq!(slot.map().unwrap().slice(0, 1), [number].as_slice()),
                        _ => assert_eq!(content(slot), number),
                    }
                }
            });
        }
    });
    for slot in &slots {
        content(slot);
    }
    let open = open(&slots).len();
    assert!(open <= 4, "{open}");
    assert_eq!(table.counts().open, open);
}
