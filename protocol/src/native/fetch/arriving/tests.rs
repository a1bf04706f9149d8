//! Whatever pieces an answer comes in: what is told of it is what the whole answer says, and as early as can be.

use super::*;
use crate::batch::{BatchBuilder, Compression, patched_head};
use crate::frame::{LENGTH_BYTES, response_frame};
use crate::native::{FetchResponse, FetchedPartition, FetchedTopic};
use crate::{ErrorCode, TimestampMs};

/// A batch of one record at `offset`, of a little more than `bytes` bytes.
fn batch(offset: i64, bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None, 1 << 24);
    builder.try_append(TimestampMs::new(1), None, Some(&vec![7; bytes]), &[]).unwrap();
    let mut batch = builder.build_unsequenced().to_vec();
    let head = patched_head(&batch, Offset::new(offset), LeaderEpoch::new(3));
    batch[..head.len()].copy_from_slice(&head);
    batch
}

fn partition(number: i32, records: Vec<u8>) -> FetchedPartition {
    FetchedPartition {
        partition: PartitionIndex::new(number),
        error: None,
        high_watermark: Offset::new(100),
        log_start: Offset::ZERO,
        next_good: Offset::NONE,
        diverging: None,
        leader: None,
        records: records.into(),
    }
}

fn refused(number: i32, message: &str) -> FetchedPartition {
    let error = Some(ApiError::new(ErrorCode::LogTruncated, message));
    let diverging = Some(EpochEnd { epoch: LeaderEpoch::new(1), end: Offset::new(9) });
    FetchedPartition { error, diverging, ..partition(number, Vec::new()) }
}

/// The frame of an answer, without its length.
fn answer(topics: Vec<Vec<FetchedPartition>>) -> (Vec<u8>, Vec<TopicId>) {
    let ids: Vec<TopicId> = topics.iter().map(|_| TopicId::random()).collect();
    let topics = ids.iter().zip(topics);
    let topics = topics.map(|(topic, partitions)| FetchedTopic { topic: *topic, partitions });
    let body = FetchResponse { topics: topics.collect() };
    let frame = response_frame(&ResponseHeader::ok(7), Some(&body)).concat();
    (frame[LENGTH_BYTES..].to_vec(), ids)
}

/// Has the frame arrive in pieces of `step` bytes; how much was there when something was seen, and what.
fn look_through(frame: &[u8], step: usize) -> (usize, Look) {
    let mut arriving = Arriving::default();
    let ends = (step..frame.len()).step_by(step).chain([frame.len()]);
    for end in ends {
        let look = arriving.look(&frame[..end], frame.len());
        if look != Look::TooEarly {
            return (end, look);
        }
    }
    (frame.len(), Look::TooEarly)
}

fn goes_on(topic: TopicId, number: i32, next: i64) -> GoesOn {
    GoesOn {
        topic,
        partition: PartitionIndex::new(number),
        next: Offset::new(next),
        epoch: LeaderEpoch::new(3),
    }
}

#[test]
fn where_a_partition_goes_on_is_known_with_the_head_of_its_last_batch() {
    let last = batch(42, 100_000);
    let records = [batch(40, 300), batch(41, 9_000), last.clone()].concat();
    let (frame, ids) = answer(vec![vec![partition(5, records)]]);
    let head_end = frame.len() - last.len() + HEADER_BYTES;
    for step in [1, 7, 61, 1000, 50_000] {
        let (seen_at, look) = look_through(&frame, step);
        assert_eq!(look, Look::Known(vec![goes_on(ids[0], 5, 43)]), "pieces of {step}");
        assert_eq!(seen_at, head_end.next_multiple_of(step).min(frame.len()));
    }
}

#[test]
fn partitions_without_records_are_not_waited_for() {
    let (frame, ids) = answer(vec![
        vec![refused(0, "cut"), partition(1, batch(10, 80_000)), partition(2, Vec::new())],
        vec![partition(0, batch(20, 90_000)), refused(1, "cut"), partition(2, Vec::new())],
    ]);
    let (seen_at, look) = look_through(&frame, 1);
    assert_eq!(look, Look::Known(vec![goes_on(ids[0], 1, 11), goes_on(ids[1], 0, 21)]));
    assert!(seen_at < 80_000 + 2_000, "at {seen_at} of {}", frame.len());
}

#[test]
fn a_batch_that_is_cut_off_at_the_end_does_not_count() {
    let mut records = [batch(40, 70_000), batch(41, 200)].concat();
    records.truncate(records.len() - 1);
    let (frame, ids) = answer(vec![vec![partition(0, records)]]);
    let (_, look) = look_through(&frame, 10);
    assert_eq!(look, Look::Known(vec![goes_on(ids[0], 0, 41)]));
}

#[test]
fn answers_without_records_and_failed_ones_are_given_up() {
    for topics in [
        vec![],
        vec![vec![]],
        vec![vec![partition(0, Vec::new()), refused(1, "cut")]],
        vec![vec![refused(0, &"long".repeat(200)), partition(1, batch(0, 100))]],
        vec![vec![partition(0, vec![1; 40])]],
    ] {
        let (frame, _) = answer(topics);
        let (_, look) = look_through(&frame, 1);
        assert!(matches!(look, Look::Hopeless | Look::TooEarly), "{look:?}");
    }
    let error = ApiError::new(ErrorCode::Overloaded, "later");
    let frame = crate::frame::error_frame(&ResponseHeader::failed(7, error)).concat();
    assert_eq!(look_through(&frame[LENGTH_BYTES..], 1).1, Look::Hopeless);
}

/// What a broken broker sends may be anything; every byte of a good answer is set to a few others.
#[test]
fn an_answer_that_is_no_answer_is_looked_through_without_harm() {
    let records = [batch(40, 300), batch(41, 200)].concat();
    let (good, _) = answer(vec![vec![refused(0, "cut"), partition(1, records)]]);
    for place in 0..good.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut frame = good.clone();
            frame[place] = value;
            let (_, all_at_once) = look_through(&frame, frame.len());
            let (_, in_pieces) = look_through(&frame, 9);
            // A head that is cut off looks like one that has not arrived.
            if in_pieces != Look::TooEarly {
                assert_eq!(all_at_once, in_pieces, "byte {place} set to {value}");
            }
        }
    }
}
