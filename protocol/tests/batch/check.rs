//! Each rule for produced batches, broken alone: the error names it, and its code tells the client.

use thalweg_protocol::batch::{
    Attributes, BatchBuilder, BatchError, BatchHeader, BatchLimits, Compression, HEADER_BYTES,
    NO_HEADERS, RecordFault, Scratch, check_produced,
};
use thalweg_protocol::{
    ErrorCode, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs,
};

use crate::sample::{self, Plain, varint_of};

fn check(batch: &[u8]) -> Result<BatchHeader, BatchError> {
    check_produced(batch, &sample::limits(), &mut Scratch::new())
}

/// Checks that exactly this error comes, with this code, and that its text bears these words.
fn refuse(batch: &[u8], error: &BatchError, code: ErrorCode, words: &[&str]) {
    let found = check(batch).unwrap_err();
    assert_eq!(found, *error);
    assert_eq!(found.code(), code);
    let text = found.to_string();
    for word in words {
        assert!(text.contains(word), "{text:?} lacks {word:?}");
    }
}

fn plain_batch() -> Vec<u8> {
    sample::batch_of(&sample::three(), Compression::None)
}

fn with_header(change: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
    sample::with_header(&plain_batch(), change)
}

#[test]
fn a_good_batch_passes_with_every_codec() {
    for codec in Compression::ALL {
        let batch = sample::batch_of(&sample::three(), codec);
        let header = check(&batch).unwrap();
        assert_eq!(header, BatchHeader::decode(&batch).unwrap());
    }
}

#[test]
fn the_leader_epoch_of_a_producer_does_not_matter() {
    check(&with_header(|header| header.leader_epoch = LeaderEpoch::new(12))).unwrap();
}

#[test]
fn a_batch_above_the_limit_is_refused() {
    let batch = plain_batch();
    let mut limits = sample::limits();
    limits.batch_bytes_max = batch.len();
    check_produced(&batch, &limits, &mut Scratch::new()).unwrap();
    limits.batch_bytes_max = batch.len() - 1;
    let error = check_produced(&batch, &limits, &mut Scratch::new()).unwrap_err();
    let (found, batch_bytes_max) = (batch.len(), batch.len() - 1);
    assert_eq!(error, BatchError::TooLarge { found, batch_bytes_max });
    assert_eq!(error.code(), ErrorCode::BatchTooLarge);
}

#[test]
fn another_format_is_refused() {
    for magic in [0, 1, 3, 255] {
        let error = BatchError::Magic { found: magic };
        let batch = with_header(|header| header.magic = 2);
        let mut other = batch.clone();
        other[16] = magic;
        refuse(&other, &error, ErrorCode::CorruptBatch, &["magic", &magic.to_string()]);
    }
}

#[test]
fn a_length_that_holds_no_header_is_refused() {
    for length in [i32::MIN, -1, 0, 48] {
        let mut batch = plain_batch();
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        let error = BatchError::Length { found: length };
        refuse(&batch, &error, ErrorCode::CorruptBatch, &[&length.to_string(), "49"]);
    }
}

#[test]
fn bytes_behind_the_batch_or_missing_from_it_are_refused() {
    let batch = plain_batch();
    let announced = batch.len();
    let longer = [batch.as_slice(), &[0]].concat();
    let error = BatchError::Size { announced, found: announced + 1 };
    refuse(&longer, &error, ErrorCode::CorruptBatch, &[&announced.to_string()]);
    let error = BatchError::Size { announced, found: announced - 1 };
    refuse(&batch[..announced - 1], &error, ErrorCode::CorruptBatch, &[]);
    let twice = batch.repeat(2);
    let error = BatchError::Size { announced, found: 2 * announced };
    refuse(&twice, &error, ErrorCode::CorruptBatch, &[]);
    let error = BatchError::Short { needed: HEADER_BYTES, found: 60 };
    refuse(&batch[..60], &error, ErrorCode::CorruptBatch, &["61", "60"]);
}

#[test]
fn a_wrong_checksum_is_refused() {
    let mut batch = plain_batch();
    let expected = BatchHeader::decode(&batch).unwrap().crc;
    *batch.last_mut().unwrap() ^= 1;
    let found = thalweg_protocol::batch::checksum(&batch);
    let error = BatchError::Checksum { expected, found };
    refuse(&batch, &error, ErrorCode::CorruptBatch, &[&format!("{expected:#010x}")]);
}

#[test]
fn an_unknown_codec_is_refused() {
    for codec in 5..8 {
        let batch = with_header(|header| header.attributes = Attributes::new(codec));
        let error = BatchError::Codec { found: u8::try_from(codec).unwrap() };
        refuse(&batch, &error, ErrorCode::UnsupportedCodec, &["zstd"]);
    }
}

#[test]
fn control_batches_are_refused() {
    let batch = with_header(|header| header.attributes = header.attributes.with_control());
    refuse(&batch, &BatchError::Control, ErrorCode::InvalidRecord, &["control"]);
}

#[test]
fn transactional_batches_are_refused() {
    let batch = with_header(|header| header.attributes = header.attributes.with_transactional());
    refuse(&batch, &BatchError::Transactional, ErrorCode::InvalidRequest, &["not supported yet"]);
}

#[test]
fn the_brokers_own_timestamp_type_is_refused() {
    let batch = with_header(|header| header.attributes = header.attributes.with_log_append_time());
    refuse(&batch, &BatchError::TimestampType, ErrorCode::InvalidTimestamp, &["LogAppendTime"]);
}

#[test]
fn attribute_bits_that_are_not_for_producers_are_refused() {
    for bit in 6..16 {
        let bits = 1_u16.rotate_left(bit).cast_signed();
        let batch = with_header(|header| header.attributes = Attributes::new(bits));
        refuse(&batch, &BatchError::Attributes { bits }, ErrorCode::CorruptBatch, &["producers"]);
    }
}

#[test]
fn a_base_offset_is_refused() {
    for offset in [-1, 1, i64::MAX] {
        let batch = with_header(|header| header.base_offset = Offset::new(offset));
        let error = BatchError::BaseOffset { found: offset };
        refuse(&batch, &error, ErrorCode::CorruptBatch, &[&offset.to_string()]);
    }
}

#[test]
fn a_count_that_does_not_fit_the_last_delta_is_refused() {
    for (count, delta) in [(0, -1), (0, 0), (-1, -2), (3, 3), (3, 1), (i32::MIN, i32::MAX), (1, -1)]
    {
        let batch = with_header(|header| {
            header.record_count = count;
            header.last_offset_delta = delta;
        });
        let error = BatchError::Count { record_count: count, last_offset_delta: delta };
        refuse(&batch, &error, ErrorCode::CorruptBatch, &[&count.to_string(), &delta.to_string()]);
    }
}

fn with_count(count: i32) -> Vec<u8> {
    with_header(|header| {
        header.record_count = count;
        header.last_offset_delta = count - 1;
    })
}

#[test]
fn fewer_records_than_announced_are_refused_whatever_the_number() {
    for count in [4, 5, 200_000_000, i32::MAX] {
        let error = BatchError::Missing { record_count: count, found: 3 };
        refuse(
            &with_count(count),
            &error,
            ErrorCode::CorruptBatch,
            &["after 3", &count.to_string()],
        );
    }
}

#[test]
fn more_records_than_announced_are_refused() {
    let found = check(&with_count(2)).unwrap_err();
    assert!(
        matches!(found, BatchError::Trailing { record_count: 2, left } if left > 300),
        "{found}"
    );
}

#[test]
fn one_byte_behind_the_last_record_is_refused() {
    let batch = plain_batch();
    let data = [&batch[HEADER_BYTES..], &[0]].concat();
    let error = BatchError::Trailing { record_count: 3, left: 1 };
    refuse(&sample::with_data(&batch, &data), &error, ErrorCode::CorruptBatch, &["1 bytes"]);
}

#[test]
fn offset_deltas_count_from_zero_without_gaps() {
    // Batches of three records with other offset deltas, made of one-record batches.
    let deltas = |deltas: [i64; 3]| {
        let mut data = Vec::new();
        for delta in deltas {
            let fields = [vec![0, 0], varint_of(delta), vec![1, 1, 0]].concat();
            data.extend(varint_of(i64::try_from(fields.len()).unwrap()));
            data.extend(fields);
        }
        let records = [(); 3].map(|()| Plain::new(5, None, None));
        sample::with_data(&sample::batch_of(&records, Compression::None), &data)
    };
    check(&deltas([0, 1, 2])).unwrap();
    let cases = [
        ([0, 1, 3], 2, 3),
        ([0, 0, 1], 1, 0),
        ([1, 2, 3], 0, 1),
        ([0, 2, 1], 1, 2),
        ([0, 1, -2], 2, -2),
    ];
    for (found, index, delta) in cases {
        let position = 7 * usize::try_from(index).unwrap();
        let fault = RecordFault::OffsetDelta { found: delta, expected: index };
        let error = BatchError::Record { index, position, fault };
        refuse(&deltas(found), &error, ErrorCode::CorruptBatch, &["offset delta"]);
    }
}

#[test]
fn a_largest_timestamp_that_is_not_the_largest_is_refused() {
    for (expected, found) in [(1_700_000_000_249, 1_700_000_000_250), (i64::MAX, 1_700_000_000_250)]
    {
        let batch = with_header(|header| header.max_timestamp = TimestampMs::new(expected));
        let error = BatchError::MaxTimestamp { expected, found };
        refuse(&batch, &error, ErrorCode::CorruptBatch, &["timestamp"]);
    }
}

#[test]
fn timestamps_outside_of_the_limits_are_refused() {
    let batch = plain_batch();
    let check = |min: i64, max: i64| {
        let (timestamp_min, timestamp_max) = (TimestampMs::new(min), TimestampMs::new(max));
        let limits = BatchLimits { timestamp_min, timestamp_max, ..sample::limits() };
        check_produced(&batch, &limits, &mut Scratch::new())
    };
    let (min, max) = (1_699_999_999_999, 1_700_000_000_250);
    check(min, max).unwrap();
    let error = check(min, max - 1).unwrap_err();
    assert_eq!(
        error,
        BatchError::Timestamp { index: 1, found: max, timestamp_min: min, timestamp_max: max - 1 }
    );
    assert_eq!(error.code(), ErrorCode::InvalidTimestamp);
    let error = check(min + 1, max).unwrap_err();
    assert_eq!(
        error,
        BatchError::Timestamp { index: 2, found: min, timestamp_min: min + 1, timestamp_max: max }
    );
}

#[test]
fn no_timestamp_at_all_is_allowed() {
    let batch = sample::batch_of(&[Plain::new(-1, None, Some("v"))], Compression::None);
    let limits = BatchLimits {
        timestamp_min: TimestampMs::new(1_000),
        timestamp_max: TimestampMs::new(2_000),
        ..sample::limits()
    };
    check_produced(&batch, &limits, &mut Scratch::new()).unwrap();
}

#[test]
fn a_timestamp_beyond_the_range_is_refused() {
    for (base, delta) in [(i64::MAX, 1), (-1, i64::MIN), (i64::MIN, -1)] {
        let fields = [vec![0], varint_of(delta), vec![0, 1, 1, 0]].concat();
        let batch = sample::with_header(&sample::with_one_record(&fields), |header| {
            header.base_timestamp = TimestampMs::new(base);
        });
        let fault = RecordFault::TimestampDelta { found: delta };
        let error = BatchError::Record { index: 0, position: 0, fault };
        refuse(&batch, &error, ErrorCode::CorruptBatch, &["timestamp delta"]);
    }
}

#[test]
fn a_record_without_a_key_is_refused_where_keys_are_required() {
    for codec in [Compression::None, Compression::Lz4] {
        let batch = sample::batch_of(&sample::three(), codec);
        let limits = BatchLimits { keys_required: true, ..sample::limits() };
        let error = check_produced(&batch, &limits, &mut Scratch::new()).unwrap_err();
        assert_eq!(error, BatchError::KeyMissing { index: 1 });
        assert_eq!(error.code(), ErrorCode::InvalidRecord);
        let keyed = sample::batch_of(&sample::three()[2..], codec);
        check_produced(&keyed, &limits, &mut Scratch::new()).unwrap();
    }
}

#[test]
fn producer_epoch_and_sequence_come_together_or_not_at_all() {
    let with = |producer, epoch, sequence| {
        with_header(|header| {
            header.producer = ProducerId::new(producer);
            header.producer_epoch = ProducerEpoch::new(epoch);
            header.base_sequence = Sequence::new(sequence);
        })
    };
    for (producer, epoch, sequence) in [(-1, -1, -1), (0, 0, 0), (i64::MAX, i16::MAX, i32::MAX)] {
        check(&with(producer, epoch, sequence)).unwrap();
    }
    let broken = [
        (-1, -1, 0),
        (-1, 0, -1),
        (0, -1, -1),
        (-1, 0, 0),
        (0, -1, 0),
        (0, 0, -1),
        (-2, 0, 0),
        (0, -2, 0),
        (0, 0, -2),
        (-2, -2, -2),
    ];
    for (producer, epoch, sequence) in broken {
        let error = BatchError::Producer { producer, epoch, sequence };
        refuse(&with(producer, epoch, sequence), &error, ErrorCode::CorruptBatch, &["producer"]);
    }
}

#[test]
fn records_inside_compressed_batches_are_checked_as_well() {
    for codec in Compression::ALL {
        let batch = sample::batch_of(&sample::three(), codec);
        let batch = sample::with_header(&batch, |header| {
            header.record_count = 4;
            header.last_offset_delta = 3;
        });
        let error = BatchError::Missing { record_count: 4, found: 3 };
        refuse(&batch, &error, ErrorCode::CorruptBatch, &[]);
    }
}

#[test]
fn a_batch_named_after_another_codec_is_refused() {
    for written in Compression::ALL {
        for named in Compression::ALL {
            if written == named {
                continue;
            }
            let batch = sample::batch_of(&sample::three(), written);
            let batch = sample::with_header(&batch, |header| {
                header.attributes = header.attributes.with_compression(named);
            });
            let error = check(&batch).unwrap_err();
            assert_eq!(error.code(), ErrorCode::CorruptBatch, "{written} as {named}: {error}");
        }
    }
}

#[test]
fn damaged_compressed_data_is_refused_and_the_scratch_stays_good() {
    let mut scratch = Scratch::new();
    for codec in Compression::ALL.into_iter().skip(1) {
        let good = sample::batch_of(&sample::three(), codec);
        let bad = sample::with_data(&good, b"this is not what the codec writes");
        let error = check_produced(&bad, &sample::limits(), &mut scratch).unwrap_err();
        assert!(
            matches!(error, BatchError::Compressed { codec: found, compressed: 33, .. } if found == codec),
            "{error}"
        );
        check_produced(&good, &sample::limits(), &mut scratch).unwrap();
    }
}

#[test]
fn inflating_keeps_to_the_limit_to_the_byte() {
    let records = [Plain::new(0, None, Some(&"x".repeat(10_000)))];
    for codec in Compression::ALL.into_iter().skip(1) {
        let batch = sample::batch_of(&records, codec);
        let raw = sample::batch_of(&records, Compression::None).len() - HEADER_BYTES;
        let at = |inflated_bytes_max| {
            let limits = BatchLimits { inflated_bytes_max, ..sample::limits() };
            check_produced(&batch, &limits, &mut Scratch::new())
        };
        at(raw).unwrap();
        let error = at(raw - 1).unwrap_err();
        let compressed = batch.len() - HEADER_BYTES;
        assert_eq!(error, BatchError::Inflated { codec, compressed, inflated_bytes_max: raw - 1 });
        assert_eq!(error.code(), ErrorCode::BatchTooLarge);
    }
}

#[test]
fn the_largest_sequence_wraps() {
    let mut builder = BatchBuilder::new(Compression::None, 4096);
    for _ in 0..3 {
        builder.try_append(TimestampMs::new(0), None, None, NO_HEADERS).unwrap();
    }
    let batch =
        builder.build(ProducerId::new(1), ProducerEpoch::new(0), Sequence::new(i32::MAX - 1));
    assert_eq!(check(&batch).unwrap().last_sequence(), Sequence::new(0));
}
