//! The power goes at every sync and at every write: each answered proposal is there afterwards.

use std::sync::Arc;

use thalweg_broker::cluster::{Image, MetadataLog, Record};
use thalweg_storage::fs::sim::{Crash, SimDisk, SimStats};

use crate::sample::{cluster, disk, every_kind, open, topic};

/// Small enough for a change of files every few entries.
const SNAPSHOT_LOG_BYTES: u64 = 500;

const SEEDS: u64 = 25;

/// Proposes entry after entry until the disk is down or all are in. Returns the last image that was
/// answered, and the one that was on its way.
fn run(disk: &SimDisk, entries: &[Vec<Record>], known: &Arc<Image>) -> (Arc<Image>, Option<Image>) {
    let Ok(mut log) = open(disk, SNAPSHOT_LOG_BYTES) else {
        return (Arc::clone(known), None);
    };
    let mut answered = log.image();
    let begun = usize::try_from(answered.index().get()).unwrap();
    for records in &entries[begun..] {
        if log.propose(records).is_err() {
            let index = answered.index().next();
            let under_way = answered.with_entry(index, answered.term().max(TERM), records);
            return (answered, Some(under_way.unwrap()));
        }
        answered = log.image();
    }
    (answered, None)
}

const TERM: thalweg_broker::cluster::Term = thalweg_broker::cluster::Term::FIRST;

fn entries() -> Vec<Vec<Record>> {
    let mut entries = every_kind();
    for number in 0..8 {
        entries.push(vec![topic(number, &format!("more-{number}"))]);
    }
    // Longer than a page: it tears within.
    let many = (100..160).map(|number| topic(number, &format!("many-{number}"))).collect();
    entries.push(many);
    entries.push(vec![topic(99, "last")]);
    assert_eq!(entries[0][0], cluster());
    entries
}

/// Crashes at the `nth` sync or write, again and again until all entries are in; each crash keeps another
/// subset.
fn check(seed: u64, nth: u64, at_write: bool) -> SimStats {
    let disk = disk(seed);
    let entries = entries();
    let mut answered = Arc::new(Image::default());
    for round in 0.. {
        // Rounds that never get further would not end.
        let nth = nth + round;
        if at_write {
            disk.crash_at_write(nth);
        } else {
            disk.crash_at_sync(nth);
        }
        let (last, under_way) = run(&disk, &entries, &answered);
        answered = last;
        disk.crash(Crash::seeded(seed.wrapping_mul(1000) + round));
        let found = open(&disk, SNAPSHOT_LOG_BYTES)
            .unwrap_or_else(|error| panic!("seed {seed}, nth {nth}, round {round}: {error}"))
            .image();
        let is_known = found == answered || under_way.is_some_and(|image| image == *found);
        assert!(
            is_known,
            "seed {seed}, nth {nth}, round {round}: {} was answered, {} is there",
            answered.index(),
            found.index()
        );
        answered = found;
        if usize::try_from(answered.index().get()) == Ok(entries.len()) {
            break;
        }
    }
    disk.stats()
}

#[test]
fn every_answered_proposal_survives_a_power_cut_at_every_sync_and_write() {
    let mut stats = SimStats::default();
    for seed in 0..SEEDS {
        for nth in 1..=12 {
            stats += check(seed, nth, false);
            stats += check(seed + 1_000_000, nth, true);
        }
    }
    // What never happened was not survived.
    assert!(stats.crashes > 3_000, "{stats:?}");
    for count in [
        stats.pages_kept,
        stats.pages_dropped,
        stats.pages_torn,
        stats.lengths_dropped,
        stats.lengths_between,
        stats.entries_kept,
        stats.entries_dropped,
    ] {
        assert!(count > 100, "{stats:?}");
    }
}

/// Without a crash, syncs fail: the process dies by its own hand, and the next one goes on.
#[test]
fn every_answered_proposal_survives_failed_syncs_kills_and_power_cuts() {
    let mut stats = SimStats::default();
    for seed in 0..SEEDS * 4 {
        let disk = disk(seed);
        let mut rng = fastrand::Rng::with_seed(seed);
        let entries = entries();
        let mut answered = Arc::new(Image::default());
        while usize::try_from(answered.index().get()) != Ok(entries.len()) {
            match rng.u8(0..3) {
                0 => disk.fail_sync(rng.u64(1..20)),
                1 => disk.fail_write(rng.u64(1..20)),
                _ => disk.crash_at_sync(rng.u64(1..30)),
            }
            let (last, under_way) = run(&disk, &entries, &answered);
            answered = last;
            if rng.bool() {
                disk.kill();
            } else {
                disk.crash(Crash::seeded(rng.u64(..)));
            }
            let mut log = open(&disk, SNAPSHOT_LOG_BYTES);
            if log.is_err() {
                // A fault that was planned for later met the start instead.
                disk.kill();
                log = open(&disk, SNAPSHOT_LOG_BYTES);
            }
            let found = log.unwrap_or_else(|error| panic!("seed {seed}: {error}")).image();
            let is_known = found == answered || under_way.is_some_and(|image| image == *found);
            assert!(is_known, "seed {seed}: {} of {}", found.index(), answered.index());
            answered = found;
        }
        stats += disk.stats();
    }
    for count in [
        stats.kills,
        stats.crashes,
        stats.syncs_failed,
        stats.writes_failed,
        stats.sectors_lost_by_failed_sync,
        stats.sectors_evicted,
    ] {
        assert!(count > 20, "{stats:?}");
    }
}
