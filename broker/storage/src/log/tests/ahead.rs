//! What is made ready ahead of the writer: in time, too late, for nothing.

use super::*;
use crate::ahead::NEXT_SEGMENT_FILE;

const SEGMENT_BYTES: u32 = 1 << 20;

fn fixture() -> Fixture {
    Fixture::with(LogOptions { segment_bytes: SEGMENT_BYTES, ..LogOptions::default() })
}

impl Fixture {
    fn next_file(&self) -> bool {
        self.disk.exists(&self.dir.folder(partition()).join(NEXT_SEGMENT_FILE))
    }

    /// Appends about 32 KiB.
    fn append_large(&mut self) {
        self.log().append(&batch(8, 4096), LeaderEpoch::FIRST, NOW).unwrap();
    }

    fn segments(&self) -> usize {
        self.reader().segment_count()
    }

    /// Appends until a new segment has begun.
    fn append_over_a_roll(&mut self) {
        let before = self.segments();
        while self.segments() == before {
            self.append_large();
        }
    }
}

#[test]
fn an_append_makes_nothing_itself_when_the_preparation_is_in_time() {
    let mut it = fixture();
    it.append_large();
    assert_eq!(
        it.log().take_made_in_append(),
        1,
        "the first write of a partition reserves its blocks"
    );
    let mut prepared = 0;
    while it.segments() < 4 {
        if it.log().wants_preparation() {
            it.reader().prepare();
            prepared += 1;
        }
        it.append_large();
    }
    assert_eq!(it.log().take_made_in_append(), 0);
    assert!((12..40).contains(&prepared), "{prepared} preparations for three segments");
    assert_eq!(it.bases().len(), usize::try_from(it.log().log_end().get()).unwrap() / 8);
}

#[test]
fn what_comes_too_late_is_made_by_the_append() {
    let mut it = fixture();
    it.append_over_a_roll();
    assert!(it.log().wants_preparation());
    assert!(it.log().take_made_in_append() > 4);
    assert!(!it.next_file());
}

#[test]
fn the_file_that_is_ready_becomes_the_next_segment() {
    let mut it = fixture();
    while !it.next_file() {
        it.append_large();
        if it.log().wants_preparation() {
            it.reader().prepare();
        }
    }
    assert_eq!(it.segments(), 1);
    it.append_over_a_roll();
    assert!(!it.next_file());
    let end = it.log().log_end();
    it.reader().sync().unwrap();
    it.restart(end.get(), |disk| disk.crash(Crash::seeded(1).leaving(Survivors::Nothing)));
    assert_eq!(it.log().log_end(), end);
}

#[test]
fn a_file_that_nobody_needed_goes_with_the_stop_or_the_next_start() {
    for end in ["close", "kill", "crash"] {
        let mut it = Fixture::new();
        it.append(1);
        assert!(it.log().wants_preparation());
        it.reader().prepare();
        assert!(it.next_file(), "vacuous: nothing was made ready");
        it.reader().sync().unwrap();
        match end {
            "close" => drop(it.log.take().unwrap().close().unwrap()),
            "kill" => drop(it.reopen(1)),
            _ => drop(it.restart(1, |disk| {
                disk.crash(Crash::seeded(1).leaving(Survivors::Everything));
            })),
        }
        assert!(!it.next_file(), "{end}");
    }
}

/// A preparation that began before the roll must not leave blocks behind the end of the segment that it closed.
#[test]
fn a_preparation_after_the_roll_reserves_nothing_in_the_closed_segment() {
    let mut it = fixture();
    it.disk.set_capacity(Some(1 << 30));
    it.append_large();
    assert!(it.log().wants_preparation());
    it.log().roll().unwrap();
    let before = it.disk.used_bytes();
    it.reader().prepare();
    assert_eq!(it.disk.used_bytes(), before);
}

#[test]
fn a_closed_log_has_nothing_made_ready() {
    let mut it = Fixture::new();
    it.append(1);
    assert!(it.log().wants_preparation());
    let reader = it.log.take().unwrap().close().unwrap();
    reader.prepare();
    assert!(!it.next_file());
}

/// The writer meets the full disk, not whoever prepared.
#[test]
fn a_preparation_that_fails_is_left_to_the_append() {
    let mut it = fixture();
    it.append_large();
    let used = it.disk.used_bytes();
    it.disk.set_capacity(Some(used));
    assert!(it.log().wants_preparation());
    it.reader().prepare();
    assert!(matches!(it.dir.state(), DirState::Online));
    let full = (0..2).find_map(|_| it.log().append(&batch(8, 4096), LeaderEpoch::FIRST, NOW).err());
    assert!(matches!(full, Some(AppendError::StorageFull { .. })), "{full:?}");
}
