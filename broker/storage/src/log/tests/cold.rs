//! Reads that must not wait for the disk: what would wait is told, and nobody waits.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// Counts the reads that wait for the disk, which is cold from now on.
fn count_waits(disk: &SimDisk) -> Arc<AtomicU64> {
    let waits = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&waits);
    disk.during_cold_read(move || _ = counted.fetch_add(1, Ordering::Relaxed));
    disk.set_cold(true);
    waits
}

impl Fixture {
    fn read_now(&self, from: i64) -> Option<Read> {
        let reader = self.reader();
        reader.read_now(offset(from), usize::MAX, reader.log_end(), true).unwrap()
    }
}

#[test]
fn looking_for_a_batch_never_waits_for_the_disk() {
    let mut it = Fixture::new();
    for _ in 0..50 {
        it.append(1);
    }
    let waits = count_waits(&it.disk);
    assert!(it.read_now(20).is_none());
    assert_eq!(waits.load(Ordering::Relaxed), 0);
    let waited = it.read(20).unwrap();
    assert!(waits.load(Ordering::Relaxed) > 0, "vacuous: the disk was not cold");
    assert_eq!(it.read_now(20).unwrap().into_bytes(), waited);
}

#[test]
fn a_file_that_is_not_open_is_opened_by_who_may_wait() {
    let mut it = Fixture::new();
    it.append(3);
    it.reader().sync().unwrap();
    it.reopen(3);
    assert!(it.read_now(0).is_none(), "opening may wait for the disk, too");
    let waited = it.read(0).unwrap();
    assert_eq!(it.read_now(0).unwrap().into_bytes(), waited);
}

#[test]
fn an_index_file_is_not_waited_for_either() {
    let options = LogOptions { index_interval_bytes: 0, ..LogOptions::default() };
    let mut it = Fixture::with(options);
    for _ in 0..1_000 {
        it.append(1);
    }
    count_waits(&it.disk);
    // Warms the log's file, but not the index: that one is opened for each look.
    let (early, late) = (it.read(100).unwrap(), it.read(990).unwrap());
    assert_eq!(it.read_now(990).unwrap().into_bytes(), late, "the newest entries are in memory");
    assert!(it.read_now(100).is_none());
    it.disk.set_cold(false);
    assert_eq!(it.read_now(100).unwrap().into_bytes(), early);
}

/// What follows damage is found by reading all of it: no work for a thread that serves others.
#[test]
fn damage_is_looked_at_by_who_may_wait() {
    let mut it = Fixture::new();
    for _ in 0..20 {
        it.append(1);
    }
    it.disk.flip_bit(&it.path(0, FileKind::Log), 10 * 170, 3).unwrap();
    let at = |it: &Fixture, from| it.reader().read_now(offset(from), usize::MAX, offset(20), true);
    assert!(at(&it, 0).unwrap().is_none(), "vacuous: the damage was not met");
    let before = it.reader().read(offset(0), usize::MAX, offset(20), true).unwrap();
    assert_eq!(before.next(), offset(10));
    // Now it is known, and costs nothing to tell.
    assert_eq!(at(&it, 0).unwrap().unwrap().bytes(), before.bytes());
    let told = at(&it, 10).map(|read| read.is_some());
    assert!(matches!(told, Err(ReadError::Corrupt { .. })), "{told:?}");
}
