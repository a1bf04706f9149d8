//! Plain tests: one rule each, and each bug that a seed has found.

use std::cell::RefCell;

use thalweg_protocol::{Offset, TimestampMs};
use thalweg_storage::fs::FileSystem;
use thalweg_storage::fs::sim::{Crash, Survivors};
use thalweg_storage::{
    COMPACTION_FILE, CompactionError, CompactionRequest, DirState, Log, compact,
};

use crate::lives::Life;
use crate::model::{Fields, Sequenced};
use crate::world::{World, partition};

const DAY_MS: i64 = 86_400_000;

pub(crate) fn record(key: &str, value: Option<&str>, timestamp: i64) -> Fields {
    let bytes = |text: &str| text.as_bytes().to_vec();
    Fields { timestamp, key: Some(bytes(key)), value: value.map(bytes), headers: Vec::new() }
}

/// Appends each record in a batch of its own, then closes the segment, synced.
fn segment(world: &mut World, records: Vec<Fields>) {
    for record in records {
        world.append_batch(vec![record], None).unwrap();
    }
    world.roll().unwrap();
    world.sync().unwrap();
}

pub(crate) fn asked(world: &mut World) -> thalweg_storage::Compacted {
    let high_watermark = world.model.synced;
    let done = world.compact_as(true, 1 << 20, high_watermark, false);
    world.check().unwrap();
    done.unwrap().expect("the disk is well")
}

fn started() -> World {
    let mut world = World::new(1);
    world.start().unwrap();
    world
}

/// How long a tombstone stays was once taken from the time of its segment's file, which every rewrite renews and
/// every restore from a backup forgets; and from the records' times, with which old events lose their
/// tombstones at once. The horizon is set by the first run and lies in the batch.
#[test]
fn a_tombstone_stays_for_its_time_after_the_first_run_whatever_its_own_time() {
    let mut world = started();
    let old = world.now - 10_000 * DAY_MS;
    segment(&mut world, vec![record("a", Some("1"), old), record("a", None, old)]);
    let first = asked(&mut world);
    assert_eq!((first.removed_records, first.removed_tombstones), (1, 0));
    // Further runs, merges and restarts change nothing about the horizon.
    world.now += 4_999;
    segment(&mut world, vec![record("b", Some("1"), old)]);
    assert_eq!(asked(&mut world).removed_tombstones, 0);
    world.crash(Crash::seeded(1)).unwrap();
    world.now += 1;
    assert_eq!(asked(&mut world).removed_tombstones, 1);
    assert_eq!(world.seen.tombstones_missing, 1);
}

/// A tombstone whose older records lie behind the budget of memory gets its horizon only when they are gone.
#[test]
fn a_small_budget_of_memory_makes_more_passes_and_the_same_log() {
    let mut world = started();
    for round in 0..4 {
        let now = world.now;
        let value = round.to_string();
        let records = (0..100)
            .map(|key| record(&format!("k{key}"), (key % 3 > 0).then_some(value.as_str()), now));
        let records = records.collect();
        segment(&mut world, records);
    }
    let high_watermark = world.model.synced;
    let done = world.compact_as(true, 0, high_watermark, false).unwrap().unwrap();
    assert!(done.passes > 3, "{done:?}");
    world.check().unwrap();
    assert_eq!(world.reader().cleaned_end().get(), high_watermark);
    assert_eq!(done.removed_records, 300);
}

/// The batches that stay for their producer were once those that its state at the log's end was made of: the power
/// went, the tail was lost, and of the older ones that count then two had become a hole. (The schedule with a
/// crash at every sync, seed 4.)
#[test]
fn the_state_of_producers_is_kept_for_every_end_that_the_log_may_come_to() {
    let mut world = started();
    let now = world.now;
    let write = |world: &mut World, first| {
        let sequenced = Sequenced { producer: 0, epoch: 0, first };
        world.append_batch(vec![record("k", Some("v"), now)], Some(sequenced)).unwrap();
    };
    (0..8).for_each(|first| write(&mut world, first));
    world.roll().unwrap();
    world.sync().unwrap();
    world.checkpoint().unwrap();
    (8..14).for_each(|first| write(&mut world, first));
    assert_eq!(asked(&mut world).removed_records, 7);
    let folder = world.dir().folder(partition());
    for path in world.disk.list(&folder).unwrap() {
        if path.extension().is_some_and(|it| it == "snapshot") {
            world.disk.remove(&path).unwrap();
        }
    }
    world.disk.sync_folder(&folder).unwrap();
    world.crash(Crash::seeded(1).leaving(Survivors::Nothing)).unwrap();
    assert_eq!(world.model.end(), 8);
}

/// A hole reached over both log start and recovery point, which lie between batches otherwise: the restart held its
/// epoch against an epoch that began, by the file, at the log start, and called the hole damage. (The random
/// lives, seed 124.)
#[test]
fn a_hole_may_reach_over_log_start_and_recovery_point() {
    let mut world = started();
    let now = world.now;
    let write = |world: &mut World| {
        world.append_batch(vec![record("k", Some("v"), now)], None).unwrap();
    };
    (0..5).for_each(|_| write(&mut world));
    world.sync().unwrap();
    world.checkpoint().unwrap();
    (5..10).for_each(|_| write(&mut world));
    world.roll().unwrap();
    world.delete_below(3).unwrap();
    world.sync().unwrap();
    assert_eq!(asked(&mut world).removed_records, 9);
    world.crash(Crash::seeded(1).leaving(Survivors::Everything)).unwrap();
    assert_eq!((world.model.start, world.model.end()), (3, 10));
}

/// A topic was deleted while its log was compacted: the next file could not be made, and the whole directory went
/// offline for it.
#[test]
fn a_log_that_is_closed_and_deleted_meanwhile_ends_the_run_and_nothing_else() {
    for after in [1, 30, 101, 105, 120] {
        let mut world = started();
        let now = world.now;
        for round in 0..20 {
            let value = "v".repeat(600);
            let records = (0..5).map(|_| record(&format!("k{}", round % 2), Some(&value), now));
            let records = records.collect();
            segment(&mut world, records);
        }
        let (dir, reader) = (world.dir(), world.reader());
        let request = CompactionRequest {
            high_watermark: reader.log_end(),
            now: world.clock(),
            memory_bytes_max: 1 << 20,
            is_asked: true,
        };
        let log = RefCell::new(world.log.take());
        let with_log =
            |with: &mut dyn FnMut(&mut Log)| log.borrow_mut().as_mut().map(with).is_some();
        let mut batches = 0;
        let mut pace = |_| {
            batches += 1;
            if batches == after {
                log.borrow_mut().take().unwrap().close().unwrap();
                dir.delete_folder(partition()).unwrap();
            }
            true
        };
        let ended = compact(&reader, &with_log, &request, &mut pace);
        assert!(matches!(ended, Err(CompactionError::Closed)), "after {after}: {ended:?}");
        assert_eq!(dir.state(), DirState::Online, "after {after}");
    }
}

/// A log was cut below the end that a run had come to, when the run had nothing more to exchange: it then wrote down an
/// end below which nobody had looked, and of what was written there afterwards older records would have stayed for ever.
#[test]
fn a_run_whose_log_is_cut_behind_its_back_does_not_call_it_compacted() {
    let mut cuts = 0;
    for after in 1..40 {
        let mut world = started();
        world.is_plain = true;
        let now = world.now;
        for round in 0..3 {
            let one = |name| record(&format!("k{round} {name}"), Some(&"v".repeat(1500)), now);
            segment(&mut world, vec![one("one"), one("other")]);
        }
        let reader = world.reader();
        let request = CompactionRequest {
            high_watermark: reader.log_end(),
            now: world.clock(),
            memory_bytes_max: 1 << 20,
            is_asked: true,
        };
        let log = RefCell::new(world.log.take().unwrap());
        let with_log = |with: &mut dyn FnMut(&mut Log)| {
            with(&mut log.borrow_mut());
            true
        };
        let mut batches = 0;
        let mut pace = |_| {
            batches += 1;
            if batches == after {
                log.borrow_mut().truncate(Offset::new(2), request.now).unwrap();
                cuts += 1;
            }
            true
        };
        let ended = compact(&reader, &with_log, &request, &mut pace);
        let cleaned = reader.cleaned_end();
        assert!(
            batches < after || cleaned <= Offset::new(2),
            "after {after}: {cleaned}, {ended:?}"
        );
    }
    assert!((6..39).contains(&cuts), "{cuts} runs were cut");
}

/// The file that says how far a log was compacted could not be removed, and the log was cut all the same: after a
/// restart the file would have been believed of the records that came later.
#[test]
fn a_cut_that_cannot_take_back_how_far_the_log_was_compacted_changes_nothing() {
    let mut world = started();
    let now = world.now;
    segment(&mut world, vec![record("a", Some("1"), now), record("a", Some("2"), now)]);
    asked(&mut world);
    assert_eq!(world.reader().cleaned_end().get(), 2);
    world.disk.fail_removal();
    let clock = world.clock();
    let cut = world.log().truncate(Offset::new(1), clock);
    assert!(cut.unwrap_err().to_string().contains(COMPACTION_FILE));
    assert_eq!((world.reader().log_end().get(), world.reader().cleaned_end().get()), (2, 2));
    world.crash(Crash::seeded(1).leaving(Survivors::Everything)).unwrap();
    assert_eq!((world.reader().log_end().get(), world.reader().cleaned_end().get()), (2, 2));
}

/// A crash within a cut brought the file back: it spoke of offsets that the log had no more, and would have been
/// believed as soon as the log had them again.
#[test]
fn what_is_said_of_offsets_beyond_the_log_is_forgotten_for_good() {
    let mut world = started();
    let now = world.now;
    segment(&mut world, vec![record("a", Some("1"), now), record("b", Some("2"), now)]);
    asked(&mut world);
    let file = world.dir().folder(partition()).join(COMPACTION_FILE);
    let bytes = world.disk.read_small(&file, 1 << 10).unwrap();
    world.log().truncate(Offset::new(1), TimestampMs::new(now)).unwrap();
    world.model.cut(1);
    world.disk.create(&file).unwrap().write_at(0, &[&bytes]).unwrap();
    world.crash(Crash::seeded(1).leaving(Survivors::Everything)).unwrap();
    assert_eq!(world.reader().cleaned_end().get(), 0);
    for _ in 0..3 {
        world.append_batch(vec![record("a", Some("3"), now)], None).unwrap();
    }
    world.sync().unwrap();
    world.crash(Crash::seeded(1).leaving(Survivors::Nothing)).unwrap();
    assert_eq!(world.reader().cleaned_end().get(), 0);
}

#[test]
fn closed_segments_become_one_up_to_the_segment_size() {
    let mut world = started();
    for round in 0..8 {
        let now = world.now;
        segment(&mut world, vec![record(&format!("k{round}"), Some("some value"), now)]);
    }
    assert_eq!(world.reader().segment_count(), 9);
    let done = asked(&mut world);
    assert_eq!((done.groups, done.removed_records), (1, 0));
    assert_eq!(world.reader().segment_count(), 2);
    world.crash(Crash::seeded(1)).unwrap();
    assert_eq!(world.reader().segment_count(), 2);
}

#[test]
fn a_run_that_changes_nothing_writes_nothing() {
    let mut world = started();
    let now = world.now;
    let value = "v".repeat(1500);
    for round in 0..3 {
        let key = format!("k{round}");
        let (one, other) = (format!("{key} one"), format!("{key} other"));
        segment(
            &mut world,
            vec![record(&one, Some(&value), now), record(&other, Some(&value), now)],
        );
    }
    asked(&mut world);
    let before = world.disk.writes();
    let again = asked(&mut world);
    assert_eq!(again.groups, 0);
    assert!(world.disk.writes() - before <= 3, "it copies and throws away what is the same");
}
