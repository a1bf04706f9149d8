//! What a log costs that nobody uses: thousands of them must not hold up a start or a stop.

use super::*;

impl Fixture {
    /// Ends the process, in order or by a kill, opens the log again, closes it, and says how often that synced.
    fn syncs_of_a_life(&mut self, clean: bool) -> u64 {
        self.log = None;
        self.disk.kill();
        self.dir = open_dir(&self.disk, &self.files);
        let believed = Believed {
            recovery_point: offset(3),
            clean,
            log_start: Offset::ZERO,
            last_appends: Vec::new(),
        };
        let before = self.disk.syncs();
        let options = self.options.clone();
        let (log, _) =
            Log::open_believing(&self.dir, partition(), options, &believed, NOW).unwrap();
        log.close().unwrap();
        self.disk.syncs() - before
    }
}

#[test]
fn a_log_that_nobody_writes_to_costs_no_sync() {
    let mut it = Fixture::new();
    it.append(3);
    it.log.take().unwrap().close().unwrap();
    assert_eq!(it.syncs_of_a_life(true), 0, "after a clean stop");
    assert_eq!(it.syncs_of_a_life(false), 0, "after a kill");
}

#[test]
fn a_log_that_never_held_anything_leaves_neither_indexes_nor_producers() {
    let mut it = Fixture::new();
    it.log.take().unwrap().close().unwrap();
    let listed = it.disk.list(&it.dir.folder(partition())).unwrap();
    let names: Vec<_> = listed.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert_eq!(names, ["00000000000000000000.log", "partition.metadata"]);
}

/// A start after a kill does not sync the folder of a log in which there is nothing to keep. The segment that a roll
/// had made may then still lose its name with the power, and with it what is written next.
#[test]
fn the_name_of_a_segment_that_was_empty_at_a_kill_is_synced_before_what_comes_into_it() {
    let mut it = Fixture::new();
    it.append(3);
    it.reader().sync().unwrap();
    it.log().roll().unwrap();
    let before = it.disk.syncs();
    it.reopen(3);
    let opening = it.disk.syncs() - before;
    it.append(2);
    assert_eq!(it.reader().sync().unwrap(), offset(5));
    it.restart(5, |disk| disk.crash(Crash::seeded(1).leaving(Survivors::Nothing)));
    assert_eq!(it.bases(), [0, 3], "after {opening} syncs at the start");
}

#[test]
fn blocks_that_were_reserved_before_a_kill_are_given_back_at_the_next_start() {
    let mut it = Fixture::new();
    it.append(3);
    it.reader().sync().unwrap();
    let reserving = it.disk.used_bytes();
    it.reopen(3);
    let (used, reserved) = (it.disk.used_bytes(), 10_000_u64.next_multiple_of(4096) - 4096);
    assert_eq!(used + reserved, reserving);
}
