//! How the number of producers stays within its bound.

use super::*;

/// The time at which the test's producers have appended.
const THEN: TimestampMs = TimestampMs::new(5);

/// Producers 0, 1 and 2, each with one batch at the offset of its id: as many as [`LIMITS`] allows.
fn full() -> ProducerTable {
    let mut table = ProducerTable::new();
    for producer in 0..3 {
        table.record(&batch(producer, 0, 0, 0), Offset::new(producer), THEN, 3);
    }
    table
}

fn known(table: &ProducerTable) -> Vec<i64> {
    (0..10).filter(|id| table.batches(ProducerId::new(*id)).is_some()).collect()
}

#[test]
fn one_more_takes_the_place_of_the_one_that_is_idle_longest() {
    let (mut table, later) = (full(), THEN.plus(PRODUCER_KEPT_MS));
    table.record(&batch(0, 0, 1, 1), Offset::new(3), later, 3);
    assert_eq!(table.check(&batch(9, 0, 0, 0), &LIMITS, later), Ok(SequenceCheck::New));
    table.record(&batch(9, 0, 0, 0), Offset::new(4), later, 3);
    assert_eq!(known(&table), [0, 2, 9]);
}

#[test]
fn one_that_has_just_appended_makes_no_room() {
    let table = full();
    let soon = THEN.plus(PRODUCER_KEPT_MS - 1);
    let error = table.check(&batch(9, 0, 0, 0), &LIMITS, soon).unwrap_err();
    assert!(matches!(error, SequenceError::TooMany { producers_max: 3, .. }));
    assert!(error.code().is_retriable());
    assert_eq!(table.check(&batch(2, 0, 1, 1), &LIMITS, soon), Ok(SequenceCheck::New));
    let late = THEN.plus(PRODUCER_KEPT_MS);
    assert_eq!(table.check(&batch(9, 0, 0, 0), &LIMITS, late), Ok(SequenceCheck::New));
}

#[test]
fn one_that_made_room_is_unknown_and_begins_anew() {
    let (mut table, later) = (full(), THEN.plus(PRODUCER_KEPT_MS));
    table.record(&batch(9, 0, 0, 0), Offset::new(3), later, 3);
    let again = later.plus(PRODUCER_KEPT_MS);
    let error = table.check(&batch(0, 0, 1, 1), &LIMITS, again).unwrap_err();
    assert_eq!(error.code(), thalweg_protocol::ErrorCode::UnknownProducer);
    // As a client does that knows the fate of all it has sent.
    assert_eq!(table.check(&batch(0, 1, 0, 0), &LIMITS, again), Ok(SequenceCheck::New));
}

#[test]
fn a_lower_limit_is_kept_from_the_next_new_producer_on() {
    let (mut table, later) = (full(), THEN.plus(PRODUCER_KEPT_MS));
    let fewer = ProducerLimits { producers_max: 1, ..LIMITS };
    assert_eq!(table.check(&batch(1, 0, 1, 1), &fewer, later), Ok(SequenceCheck::New));
    table.record(&batch(1, 0, 1, 1), Offset::new(3), later, 1);
    assert_eq!(known(&table), [0, 1, 2]);
    table.record(&batch(9, 0, 0, 0), Offset::new(4), later, 1);
    assert_eq!(known(&table), [9]);
}

/// A restart reads a snapshot from anywhere in the log, or none, and the batches behind it.
#[test]
fn a_restart_remembers_the_same_producers_as_the_life_before() {
    let mut evicted = 0;
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let limits = ProducerLimits { producers_max: random.usize(1..6), expiration_ms: i64::MAX };
        let mut live = ProducerTable::new();
        let (mut log, mut snapshots) = (Vec::new(), vec![(0, live.encode_snapshot())]);
        let mut now = THEN;
        for _ in 0..random.usize(1..120) {
            now = now.plus(random.i64(0..PRODUCER_KEPT_MS));
            let producer = random.i64(0..9);
            let next = live.batches(ProducerId::new(producer));
            let first = next.and_then(|(_, known)| known.last()).map_or(0, |it| it.last.get() + 1);
            let batch = batch(producer, 0, first, first);
            if live.check(&batch, &limits, now).is_ok() {
                let offset = Offset::new(i64::try_from(log.len()).unwrap());
                let is_full = live.len() == limits.producers_max;
                evicted += usize::from(is_full && first == 0);
                live.record(&batch, offset, now, limits.producers_max);
                log.push((batch, offset, now));
            }
            if random.u8(0..10) == 0 {
                snapshots.push((log.len(), live.encode_snapshot()));
            }
        }
        for (from, bytes) in snapshots {
            let mut again = ProducerTable::decode_snapshot(&bytes).unwrap();
            for (batch, offset, at) in log.iter().skip(from) {
                again.record(batch, *offset, *at, limits.producers_max);
            }
            assert_eq!(again, live, "seed {seed}, from {from}");
        }
    }
    assert!(evicted > 1_000, "vacuous: {evicted} made room");
}
