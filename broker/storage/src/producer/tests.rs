use std::collections::HashMap;

use thalweg_protocol::{Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use super::batch::{before, distance};
use super::*;
use crate::defects::{Defect, plant};

mod room;

const NOW: TimestampMs = TimestampMs::new(6);

/// More producers than a test has.
const MANY: usize = 1_000;

const LIMITS: ProducerLimits = ProducerLimits { producers_max: 3, expiration_ms: 1000 };

fn batch(producer: i64, epoch: i16, first: i32, last: i32) -> ProducerBatch {
    ProducerBatch {
        producer: ProducerId::new(producer),
        epoch: ProducerEpoch::new(epoch),
        first: Sequence::new(first),
        last: Sequence::new(last),
    }
}

/// A table after batches of one producer, whose offsets are their sequences plus 100.
fn table(batches: &[(i16, i32, i32)]) -> ProducerTable {
    let mut table = ProducerTable::new();
    for &(epoch, first, last) in batches {
        let batch = batch(7, epoch, first, last);
        assert_eq!(table.check(&batch, &LIMITS, NOW), Ok(SequenceCheck::New), "{batch:?}");
        table.record(&batch, Offset::new(i64::from(last) + 100), TimestampMs::new(5), MANY);
    }
    table
}

fn check(
    table: &ProducerTable,
    epoch: i16,
    first: i32,
    last: i32,
) -> Result<SequenceCheck, String> {
    table.check(&batch(7, epoch, first, last), &LIMITS, NOW).map_err(|error| error.to_string())
}

fn duplicate(base_offset: i64, last_offset: i64) -> SequenceCheck {
    SequenceCheck::Duplicate(Duplicate {
        base_offset: Offset::new(base_offset),
        last_offset: Offset::new(last_offset),
        appended: TimestampMs::new(5),
    })
}

fn forgotten(below: i64) -> SequenceCheck {
    SequenceCheck::Forgotten { below: Offset::new(below) }
}

#[test]
fn batches_follow_each_other_without_a_gap() {
    let table = table(&[(0, 0, 4), (0, 5, 5), (0, 6, 9)]);
    assert_eq!(check(&table, 0, 10, 12), Ok(SequenceCheck::New));
    let error = check(&table, 0, 11, 12).unwrap_err();
    assert_eq!(error, "producer 7 epoch 0: sequence 11 where 10 was expected");
}

#[test]
fn each_of_the_last_five_batches_is_recognised() {
    let table = table(&[(0, 0, 0), (0, 1, 2), (0, 3, 3), (0, 4, 6), (0, 7, 7), (0, 8, 9)]);
    for (first, last) in [(1, 2), (3, 3), (4, 6), (7, 7), (8, 9)] {
        let (base, end) = (i64::from(first) + 100, i64::from(last) + 100);
        assert_eq!(check(&table, 0, first, last), Ok(duplicate(base, end)));
    }
    assert_eq!(check(&table, 0, 0, 0), Ok(forgotten(101)), "stored, somewhere below the oldest");
}

#[test]
fn a_batch_that_overlaps_stored_ones_is_out_of_order() {
    let table = table(&[(0, 0, 4), (0, 5, 9)]);
    for (first, last) in [(0, 9), (5, 8), (4, 5), (8, 12), (9, 9)] {
        let error = check(&table, 0, first, last).unwrap_err();
        assert!(error.contains("where 10 was expected"), "{first} to {last}: {error}");
    }
}

#[test]
fn a_new_epoch_begins_with_sequence_zero_and_fences_the_old_one() {
    let mut table = table(&[(0, 0, 4)]);
    assert!(check(&table, 1, 5, 6).unwrap_err().contains("where 0 was expected"));
    assert_eq!(check(&table, 1, 0, 4), Ok(SequenceCheck::New), "no duplicate of the old epoch");
    table.record(&batch(7, 1, 0, 4), Offset::new(109), TimestampMs::new(6), MANY);
    assert_eq!(check(&table, 0, 5, 6).unwrap_err(), "producer 7: epoch 0 is fenced by epoch 1");
    assert_eq!(check(&table, 1, 5, 6), Ok(SequenceCheck::New));
}

#[test]
fn an_unknown_producer_begins_with_sequence_zero() {
    let table = ProducerTable::new();
    assert_eq!(check(&table, 3, 0, 4), Ok(SequenceCheck::New));
    assert!(check(&table, 3, 1, 4).unwrap_err().contains("not known here"));
}

#[test]
fn sequences_wrap_from_the_largest_to_zero() {
    let mut table = ProducerTable::new();
    let max = i32::MAX;
    table.record(&batch(7, 0, max - 9, max - 5), Offset::new(4), TimestampMs::new(5), MANY);
    table.record(&batch(7, 0, max - 4, 4), Offset::new(14), TimestampMs::new(5), MANY);
    assert_eq!(check(&table, 0, 5, 9), Ok(SequenceCheck::New));
    assert_eq!(check(&table, 0, max - 4, 4), Ok(duplicate(5, 14)));
    assert_eq!(check(&table, 0, max - 9, max - 5), Ok(duplicate(0, 4)));
    assert!(check(&table, 0, 6, 9).unwrap_err().contains("where 5 was expected"));
    assert_eq!(check(&table, 0, max - 12, max - 10), Ok(forgotten(0)));
}

#[test]
fn idle_producers_expire_and_are_then_unknown() {
    let mut table = table(&[(0, 0, 4)]);
    table.record(&batch(8, 0, 0, 0), Offset::new(105), TimestampMs::new(900), MANY);
    assert_eq!(table.expire(TimestampMs::new(1004), &LIMITS), 0);
    assert_eq!(table.expire(TimestampMs::new(1005), &LIMITS), 1);
    assert!(check(&table, 0, 5, 6).unwrap_err().contains("not known here"));
    assert_eq!(table.len(), 1);
}

#[test]
fn a_cut_that_touches_no_batch_changes_nothing() {
    let mut table = table(&[(0, 0, 4), (0, 5, 9)]);
    let whole = table.clone();
    assert_eq!(table.truncate_to(Offset::new(110)), AfterTruncation::Unchanged);
    assert_eq!(table, whole);
}

#[test]
fn a_cut_through_a_batch_asks_for_a_rebuild() {
    let mut table = table(&[(0, 0, 4), (0, 5, 9)]);
    assert_eq!(table.truncate_to(Offset::new(109)), AfterTruncation::Rebuild);
    assert!(table.is_empty(), "half a table would call a repeated batch unknown or new");
}

#[test]
fn a_snapshot_reads_back_as_the_live_table() {
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..300 {
        let mut table = ProducerTable::new();
        let mut next: HashMap<i64, (i16, Sequence)> = HashMap::new();
        let mut offset = 0;
        for _ in 0..random.usize(0..60) {
            let producer = random.i64(0..6);
            let start = if random.bool() { 0 } else { i32::MAX - random.i32(0..20) };
            let (epoch, first) = next.get(&producer).copied().unwrap_or((0, Sequence::new(start)));
            let (epoch, first) =
                if random.u8(0..10) == 0 { (epoch + 1, Sequence::FIRST) } else { (epoch, first) };
            let records = random.i32(1..20);
            let last = first.plus(records - 1);
            offset += i64::from(records);
            let batch = batch(producer, epoch, first.get(), last.get());
            table.record(&batch, Offset::new(offset - 1), TimestampMs::new(random.i64(..)), MANY);
            next.insert(producer, (epoch, last.plus(1)));
        }
        let bytes = table.encode_snapshot();
        assert_eq!(ProducerTable::decode_snapshot(&bytes), Ok(table), "round {round}");
    }
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_snapshot_is_noticed() {
    let good = table(&[(0, 0, 4), (0, 5, 9)]).encode_snapshot();
    assert_eq!(good.len(), 10 + 2 * 46);
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(ProducerTable::decode_snapshot(&bytes).is_err(), "bit {bit}");
    }
    for length in 0..good.len() {
        assert!(ProducerTable::decode_snapshot(&good[..length]).is_err(), "length {length}");
    }
}

#[test]
fn values_that_no_producer_has_are_refused_whatever_the_checksum_says() {
    let forged = |at: usize, value: u8| {
        let mut bytes = table(&[(0, 0, 4)]).encode_snapshot();
        bytes[at] = value;
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &bytes[6..]);
        bytes[2..6].copy_from_slice(&u32::try_from(crc).unwrap().to_be_bytes());
        ProducerTable::decode_snapshot(&bytes).unwrap_err().to_string()
    };
    assert!(forged(6, 0x80).contains("count"));
    assert!(
        forged(6, 0x7f).contains("expected"),
        "a count is not believed before the bytes are there"
    );
    for (at, what) in [(10, "producer id"), (18, "epoch"), (20, "last sequence"), (32, "delta")] {
        assert!(forged(at, 0x80).contains(what), "{what}");
    }
    assert!(forged(24, 0x80).contains("last offset"));
}

/// Whether a batch was found to be stored and forgotten, below one of these offsets.
fn is_forgotten(found: Result<SequenceCheck, SequenceError>, last: std::ops::Range<i64>) -> bool {
    matches!(found, Ok(SequenceCheck::Forgotten { below }) if last.contains(&(below.get() - 1)))
}

/// The live decision against a plain list of all that was ever appended, over random sends, retries, gaps,
/// reloads from a snapshot and cuts with a rebuild.
#[test]
fn no_history_of_retries_stores_a_batch_twice_or_leaves_a_gap() {
    let limits = ProducerLimits { producers_max: 100, expiration_ms: i64::MAX };
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut table = ProducerTable::new();
        // The log: (batch, base offset, last offset).
        let mut log: Vec<(ProducerBatch, i64, i64)> = Vec::new();
        for _ in 0..200 {
            let producer = random.i64(0..3);
            let own: Vec<_> = log.iter().filter(|it| it.0.producer.get() == producer).collect();
            let newest = own.last().map_or(batch(producer, 0, 0, -1), |it| it.0);
            let next = if own.is_empty() { Sequence::FIRST } else { newest.last.plus(1) };
            let end = log.last().map_or(0, |it| it.2 + 1);
            match random.u8(0..20) {
                // A retry of any batch of the current epoch.
                0..6 if !own.is_empty() => {
                    let again = own[random.usize(0..own.len())];
                    let back = own.iter().rev().position(|it| it.0 == again.0).unwrap();
                    let found = table.check(&again.0, &limits, NOW);
                    if again.0.epoch < newest.epoch {
                        assert!(matches!(found, Err(SequenceError::FencedEpoch { .. })));
                    } else if back < 5 {
                        let Ok(SequenceCheck::Duplicate(original)) = found else {
                            panic!("seed {seed}: {again:?} gives {found:?}")
                        };
                        let offsets = (original.base_offset.get(), original.last_offset.get());
                        assert_eq!(offsets, (again.1, again.2), "seed {seed}");
                    } else {
                        assert!(is_forgotten(found, again.2..end), "seed {seed}: {found:?}");
                    }
                }
                // A gap.
                6 => {
                    let ahead = next.plus(random.i32(1..50));
                    let gap = batch(producer, newest.epoch.get(), ahead.get(), ahead.get());
                    assert!(table.check(&gap, &limits, NOW).is_err(), "seed {seed}");
                }
                // A restart from a snapshot.
                7 => table = ProducerTable::decode_snapshot(&table.encode_snapshot()).unwrap(),
                // A cut, and a rebuild from the whole log.
                8 if !log.is_empty() => {
                    log.truncate(random.usize(0..=log.len()));
                    let end = log.last().map_or(0, |it| it.2 + 1);
                    if table.truncate_to(Offset::new(end)) == AfterTruncation::Rebuild {
                        for (batch, _, last) in &log {
                            table.record(batch, Offset::new(*last), TimestampMs::new(1), MANY);
                        }
                    }
                }
                kind => {
                    let (epoch, first) = match kind {
                        9 if !own.is_empty() => (newest.epoch.get() + 1, Sequence::FIRST),
                        _ => (newest.epoch.get(), next),
                    };
                    let records = random.i32(1..9);
                    let last = first.plus(records - 1);
                    let batch = batch(producer, epoch, first.get(), last.get());
                    assert_eq!(
                        table.check(&batch, &limits, NOW),
                        Ok(SequenceCheck::New),
                        "seed {seed}"
                    );
                    let last_offset = end + i64::from(records) - 1;
                    table.record(&batch, Offset::new(last_offset), TimestampMs::new(1), MANY);
                    log.push((batch, end, last_offset));
                }
            }
        }
    }
}

#[test]
fn distances_go_round_the_circle() {
    let max = Sequence::new(i32::MAX);
    assert_eq!(distance(max, Sequence::FIRST), 1);
    assert_eq!(distance(Sequence::FIRST, max), i64::from(i32::MAX));
    assert_eq!(before(Sequence::FIRST, 1), max);
    assert_eq!(before(Sequence::new(3), 3), Sequence::FIRST);
    assert_eq!(before(Sequence::new(3), i32::MAX), Sequence::new(4));
}

#[test]
fn the_planted_defects_of_this_room_are_seen() {
    let table = table(&[(0, 0, 4)]);
    {
        let _planted = plant(Defect::IgnoreSequenceGap);
        assert_eq!(check(&table, 0, 9, 9), Ok(SequenceCheck::New));
    }
    let _planted = plant(Defect::ForgetProducerState);
    let reloaded = ProducerTable::decode_snapshot(&table.encode_snapshot()).unwrap();
    assert_eq!(check(&reloaded, 0, 0, 4), Ok(SequenceCheck::New), "stored twice");
}
