use super::*;

const TOPIC: &str = "events";

/// Of two partitions, with room for one record of 600 bytes in a batch.
fn accumulator() -> Accumulator {
    let options = ProducerOptions { batch_bytes: 1024, ..ProducerOptions::default() };
    let accumulator = Accumulator::new(&options);
    accumulator.learn(&TopicName::new(TOPIC).unwrap(), TopicId::from_bytes([7; 16]), 2);
    accumulator
}

/// The partitions that the sender would look at.
fn touched(accumulator: &Accumulator) -> Vec<i32> {
    accumulator.take_touched().iter().map(|queue| queue.partition.get()).collect()
}

fn append(accumulator: &Accumulator, record: &Record<'_>) {
    drop(accumulator.try_append(record).unwrap().unwrap());
}

/// The sender leaves an open batch alone while it lingers, and would learn too late that it is full.
#[test]
fn a_batch_that_became_full_is_told() {
    let accumulator = accumulator();
    let record = Record::to(TOPIC).partition(1).value(&[7; 600]);
    append(&accumulator, &record);
    assert_eq!(touched(&accumulator), [1], "it has begun");
    append(&accumulator, &record);
    assert_eq!(touched(&accumulator), [1], "it is full");
    append(&accumulator, &record);
    assert!(touched(&accumulator).is_empty(), "there is one already");
}

#[test]
fn a_batch_that_became_full_is_told_though_the_next_record_goes_elsewhere() {
    let accumulator = accumulator();
    let record = Record::to(TOPIC).value(&[7; 600]);
    append(&accumulator, &record);
    let first = touched(&accumulator);
    append(&accumulator, &record);
    let mut both = touched(&accumulator);
    both.sort_unstable();
    assert_eq!((first.len(), both), (1, vec![0, 1]));
}
