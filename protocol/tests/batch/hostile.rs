//! Bytes from strangers: flipped, cut, forged and exploding. Nothing panics, nothing passes that the
//! checksum covers, nothing grows beyond its bound.

use std::io::Write;

use bytes::Bytes;
use flate2::write::GzEncoder;
use proptest::collection::vec;
use proptest::prelude::*;
use thalweg_protocol::batch::{
    Batch, BatchError, BatchLimits, BatchReader, Compression, HEADER_BYTES, RecordFault, Records,
    Scratch, check_produced,
};
use thalweg_protocol::{Offset, TimestampMs};

use crate::sample::{self, Plain, varint_of};

const MIB: usize = 1 << 20;

/// Reads everything that can be read of `bytes`, as a consumer does, to at most 1 MiB after inflating.
fn read_all(bytes: &[u8]) -> Result<Vec<Plain>, BatchError> {
    let mut scratch = Scratch::new();
    let mut read = Vec::new();
    for batch in BatchReader::new(Bytes::copy_from_slice(bytes)) {
        let records = batch?.records_within(MIB, &mut scratch)?;
        assert!(records.data_bytes() <= MIB.max(bytes.len()));
        let (_, most) = records.iter().size_hint();
        assert!(most.unwrap() <= 1 + records.data_bytes() / 7);
        for record in records {
            read.push(record?.into());
        }
    }
    assert!(scratch.held_bytes() <= MIB);
    Ok(read)
}

fn check(batch: &[u8]) -> Result<(), BatchError> {
    check_produced(batch, &sample::limits(), &mut Scratch::new()).map(drop)
}

#[test]
fn every_flipped_bit_of_a_batch_is_found() {
    for codec in Compression::ALL {
        let batch = sample::batch_of(&sample::three(), codec);
        for bit in 0..batch.len() * 8 {
            let mut flipped = batch.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let result = check(&flipped);
            match bit / 8 {
                0..8 => assert!(matches!(result, Err(BatchError::BaseOffset { .. }))),
                8..12 => assert!(matches!(
                    result,
                    Err(BatchError::Size { .. } | BatchError::Length { .. })
                )),
                // The leader sets the epoch itself.
                12..16 => assert_eq!(result, Ok(())),
                16 => assert!(matches!(result, Err(BatchError::Magic { .. }))),
                at => assert!(matches!(result, Err(BatchError::Checksum { .. })), "byte {at}"),
            }
            // A reader that skips the checksum gets something bounded, or an error.
            let _ = read_all(&flipped);
        }
    }
}

#[test]
fn flipped_bits_under_a_right_checksum_pass_no_wrong_header() {
    for codec in Compression::ALL {
        let batch = sample::batch_of(&sample::three(), codec);
        for bit in 0..(batch.len() - HEADER_BYTES) * 8 {
            let mut data = batch[HEADER_BYTES..].to_vec();
            data[bit / 8] ^= 1 << (bit % 8);
            let forged = sample::with_data(&batch, &data);
            let read = read_all(&forged);
            if check(&forged).is_ok() {
                // What the leader lets in, every reader can read: three records, the right largest time.
                let read = read.unwrap();
                assert_eq!(read.len(), 3);
                let largest = read.iter().map(|record| record.timestamp).max();
                assert_eq!(largest, Some(1_700_000_000_250));
            }
        }
    }
}

#[test]
fn a_batch_cut_anywhere_is_refused() {
    for codec in Compression::ALL {
        let batch = sample::batch_of(&sample::three(), codec);
        for cut in 0..batch.len() {
            assert!(check(&batch[..cut]).is_err());
            assert_eq!(read_all(&batch[..cut]), Ok(vec![]), "a cut batch is left out");
        }
    }
}

#[test]
fn record_data_cut_anywhere_is_refused_under_a_right_checksum() {
    for codec in Compression::ALL {
        let batch = sample::batch_of(&sample::three(), codec);
        let data = &batch[HEADER_BYTES..];
        for cut in 0..data.len() {
            let forged = sample::with_data(&batch, &data[..cut]);
            assert!(check(&forged).is_err(), "{codec} cut at {cut}");
            assert!(read_all(&forged).is_err(), "{codec} cut at {cut}");
        }
    }
}

#[test]
fn bytes_behind_compressed_data_are_refused() {
    for codec in Compression::ALL {
        let batch = sample::batch_of(&sample::three(), codec);
        let data = [&batch[HEADER_BYTES..], &[0]].concat();
        assert!(check(&sample::with_data(&batch, &data)).is_err(), "{codec}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_as_a_batch_do_no_harm(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(check(&bytes).is_err());
        let _ = read_all(&bytes);
    }

    #[test]
    fn any_bytes_as_compressed_data_do_no_harm(
        codec in prop::sample::select(Compression::ALL.as_slice()),
        keep in any::<prop::sample::Index>(),
        tail in vec(any::<u8>(), 0..200),
    ) {
        // The front of real data, so that more than the first check is reached.
        let batch = sample::batch_of(&sample::three(), codec);
        let front = &batch[HEADER_BYTES..];
        let data = [&front[..keep.index(front.len())], &tail].concat();
        let forged = sample::with_data(&batch, &data);
        let _ = check(&forged);
        let _ = read_all(&forged);
    }

    #[test]
    fn any_fields_of_a_record_do_no_harm(fields in vec(any::<u8>(), 0..40)) {
        let forged = sample::with_one_record(&fields);
        let _ = check(&forged);
        let _ = read_all(&forged);
    }

    #[test]
    fn any_numbers_in_a_record_do_no_harm(
        numbers in vec(prop_oneof![-3..40_i64, any::<i32>().prop_map(i64::from), any::<i64>()], 0..9),
    ) {
        let fields: Vec<u8> = numbers.iter().flat_map(|number| varint_of(*number)).collect();
        let forged = sample::with_one_record(&fields);
        let _ = check(&forged);
        let _ = read_all(&forged);
    }
}

/// 64 MiB of zeros by each codec, as its own encoder writes them.
fn bomb(codec: Compression) -> Vec<u8> {
    const BYTES: usize = 64 * MIB;
    let zeros = vec![0; BYTES];
    match codec {
        Compression::None => zeros,
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(&zeros).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Snappy => snap::raw::Encoder::new().compress_vec(&zeros).unwrap(),
        Compression::Lz4 => {
            let mut info = lz4_flex::frame::FrameInfo::new();
            info.block_size = lz4_flex::frame::BlockSize::Max4MB;
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(&zeros).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::bulk::compress(&zeros, 19).unwrap(),
    }
}

fn as_batch(codec: Compression, data: &[u8]) -> Vec<u8> {
    sample::with_data(&sample::batch_of(&[Plain::new(0, None, None)], codec), data)
}

#[test]
fn a_bomb_stops_at_the_limit_of_size() {
    for codec in Compression::ALL.into_iter().skip(1) {
        let data = bomb(codec);
        let batch = as_batch(codec, &data);
        let limits = BatchLimits {
            batch_bytes_max: 64 * MIB,
            inflated_bytes_max: MIB,
            ratio_max: usize::MAX,
            ..sample::limits()
        };
        let mut scratch = Scratch::new();
        let error = check_produced(&batch, &limits, &mut scratch).unwrap_err();
        let expected =
            BatchError::Inflated { codec, compressed: data.len(), inflated_bytes_max: MIB };
        assert_eq!(error, expected);
        assert!(scratch.held_bytes() <= MIB, "{codec} holds {}", scratch.held_bytes());
        assert_eq!(read_all(&batch), Err(expected));
    }
}

#[test]
fn a_bomb_stops_at_the_limit_of_ratio() {
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        let data = bomb(codec);
        let batch = as_batch(codec, &data);
        let limits = BatchLimits {
            batch_bytes_max: batch.len(),
            inflated_bytes_max: usize::MAX,
            ratio_max: 10,
            ..sample::limits()
        };
        let bound = data.len() * 10;
        let mut scratch = Scratch::new();
        let error = check_produced(&batch, &limits, &mut scratch).unwrap_err();
        assert_eq!(
            error,
            BatchError::Inflated { codec, compressed: data.len(), inflated_bytes_max: bound }
        );
        assert!(scratch.held_bytes() <= bound);
    }
}

#[test]
fn what_a_batch_may_hold_uncompressed_it_may_hold_compressed() {
    let zeros = Plain { value: Some(vec![0; MIB - 1000]), ..Plain::new(0, None, None) };
    for codec in Compression::ALL {
        let batch = sample::batch_of(std::slice::from_ref(&zeros), codec);
        let limits = BatchLimits { batch_bytes_max: MIB, ratio_max: 1, ..sample::limits() };
        check_produced(&batch, &limits, &mut Scratch::new()).unwrap();
    }
}

/// Checks that `data` is refused as damaged and that its refusal cost no memory to speak of; the bounds
/// would allow 4 MiB, which the scratch would keep.
fn refuse_cheaply(codec: Compression, data: &[u8]) -> &'static str {
    let mut scratch = Scratch::new();
    let limits =
        BatchLimits { inflated_bytes_max: 4 * MIB, ratio_max: usize::MAX, ..sample::limits() };
    let error = check_produced(&as_batch(codec, data), &limits, &mut scratch).unwrap_err();
    assert!(scratch.held_bytes() <= 128 * 1024, "{codec} holds {}", scratch.held_bytes());
    match error {
        BatchError::Compressed { problem, .. } => problem,
        other => panic!("{codec}: {other}"),
    }
}

const XERIAL: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];

#[test]
fn snappy_lengths_that_lie_cost_no_more_than_the_bytes_that_came() {
    // Raw snappy that announces 3 MiB, alone and as a block of a frame.
    let raw = [0x80, 0x80, 0xc0, 0x01, 0, b'a'];
    let problem = refuse_cheaply(Compression::Snappy, &raw);
    assert!(problem.contains("more than snappy can hold"), "{problem}");
    let frame = [XERIAL.as_slice(), &[0, 0, 0, 6], &raw].concat();
    assert_eq!(refuse_cheaply(Compression::Snappy, &frame), problem);
    // Block lengths of 2 GiB and of -1, and what is cut.
    for (behind, problem) in [
        (i32::MAX.to_be_bytes().as_slice(), "a block is cut short"),
        ((-1_i32).to_be_bytes().as_slice(), "a block length is negative"),
        (&[0, 0, 0], "a block length is cut short"),
    ] {
        let frame = [XERIAL.as_slice(), behind].concat();
        assert_eq!(refuse_cheaply(Compression::Snappy, &frame), problem);
    }
}

#[test]
fn zstd_sizes_that_lie_cost_no_more_than_the_bytes_that_came() {
    // A single-segment frame that announces its content in 8 bytes, and holds one stored byte.
    for announced in [3 << 20, 1_u64 << 60] {
        let announced = announced.to_le_bytes();
        let magic = [0x28, 0xb5, 0x2f, 0xfd, 0b1110_0000];
        refuse_cheaply(
            Compression::Zstd,
            &[&magic, announced.as_slice(), &[0x09, 0, 0, b'a']].concat(),
        );
    }
    // A frame that asks for a window of 2 TiB.
    refuse_cheaply(Compression::Zstd, &[0x28, 0xb5, 0x2f, 0xfd, 0, 0xff, 0x09, 0, 0, b'a']);
}

#[test]
fn a_gzip_header_alone_is_refused() {
    let problem = refuse_cheaply(Compression::Gzip, &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
    assert!(problem.contains("cut short"), "{problem}");
}

/// An LZ4 frame with this descriptor, which needs its one right checksum, and `behind`.
fn lz4_frame(descriptor: &[u8], behind: &[u8]) -> Vec<u8> {
    let frame =
        |checksum| [[4, 0x22, 0x4d, 0x18].as_slice(), descriptor, &[checksum], behind].concat();
    let right = |checksum: &u8| {
        refuse_cheaply(Compression::Lz4, &frame(*checksum)) != "wrong frame header checksum"
    };
    let checksums: Vec<u8> = (0..=255).filter(right).collect();
    assert_eq!(checksums.len(), 1, "one checksum is right");
    frame(checksums[0])
}

#[test]
fn lz4_sizes_that_lie_cost_no_more_than_the_bytes_that_came() {
    // Blocks of up to 4 MiB, of which one is 64 bytes of nonsense.
    let behind = [&[64, 0, 0, 0], [0xff; 64].as_slice()].concat();
    let problem = |frame: &[u8]| refuse_cheaply(Compression::Lz4, frame);
    assert_eq!(problem(&lz4_frame(&[0x60, 0x70], &behind)), "damaged block");
    // A block of 4 MiB of which one byte came; a block that is larger than the frame allows.
    let cut = lz4_frame(&[0x60, 0x70], &[0, 0, 64, 0, 0]);
    assert_eq!(problem(&cut), "the frame is cut short");
    let stored = [[1, 0, 1, 0x80].as_slice(), &vec![0; 65_537], &[0; 4]].concat();
    let large = lz4_frame(&[0x60, 0x40], &stored);
    assert_eq!(problem(&large), "a block is larger than the frame allows");
    // 2^60 bytes of content announced, none there.
    let descriptor = [[0x68, 0x40].as_slice(), &(1_u64 << 60).to_le_bytes()].concat();
    let empty = lz4_frame(&descriptor, &[0; 4]);
    assert_eq!(problem(&empty), "the content is not as long as announced");
    // Flags and sizes that no version knows, and dictionaries.
    for descriptor in [[0x20, 0x40], [0x62, 0x40], [0x60, 0xc0], [0x60, 0x41]] {
        let frame = [&[4, 0x22, 0x4d, 0x18], descriptor.as_slice(), &[0; 5]].concat();
        assert_eq!(problem(&frame), "unknown frame version or flags");
    }
    assert_eq!(
        problem(&[4, 0x22, 0x4d, 0x18, 0x61, 0x40, 0, 0, 0, 0, 0]),
        "the frame wants a dictionary"
    );
    assert_eq!(problem(&[4, 0x22, 0x4d, 0x18, 0x60, 0x30, 0, 0, 0]), "unknown block size");
}

#[test]
fn the_checksums_inside_an_lz4_frame_are_verified() {
    // Written by the C library with all three kinds of them.
    let batch = std::fs::read(crate::golden::path("python-lz4-linked.batch")).unwrap();
    let data = &batch[HEADER_BYTES..];
    let block_bytes = u32::from_le_bytes(*data[15..].first_chunk().unwrap());
    let block_checksum_at = 19 + usize::try_from(block_bytes).unwrap();
    for (at, expected) in [
        (14, "wrong frame header checksum"),
        (block_checksum_at, "wrong block checksum"),
        (data.len() - 1, "wrong content checksum"),
    ] {
        let mut flipped = data.to_vec();
        flipped[at] ^= 1;
        let error = check(&sample::with_data(&batch, &flipped)).unwrap_err();
        assert!(
            matches!(error, BatchError::Compressed { problem, .. } if problem == expected),
            "{error}"
        );
    }
}

#[test]
fn lz4_stores_what_it_cannot_compress() {
    let noise: Vec<u8> = (0..200_000).map(|_| fastrand::u8(..)).collect();
    let record = [Plain { value: Some(noise), ..Plain::new(0, None, None) }];
    let raw = sample::batch_of(&record, Compression::None).len();
    let batch = sample::batch_of(&record, Compression::Lz4);
    // Frame header and end, and a length for each of the four blocks.
    assert_eq!(batch.len(), raw + 7 + 4 + 4 * 4);
    check(&batch).unwrap();
}

#[test]
fn forged_numbers_in_a_record_are_named() {
    let number = |what| RecordFault::Number { what };
    let length = |what, found, left| RecordFault::Length { what, found, left };
    let endless = vec![0xff; 12];
    let v = varint_of;
    let zero = vec![0];
    let cases: Vec<(Vec<Vec<u8>>, RecordFault)> = vec![
        (vec![], number("attributes byte")),
        (vec![zero.clone()], number("timestamp delta")),
        (vec![zero.clone(), endless.clone()], number("timestamp delta")),
        (vec![zero.clone(), v(0)], number("offset delta")),
        (vec![zero.clone(), v(0), v(1 << 31)], number("offset delta")),
        (vec![zero.clone(), v(0), v(0)], number("key length")),
        (vec![zero.clone(), v(0), v(0), v(-2)], length("key length", -2, 0)),
        (vec![zero.clone(), v(0), v(0), v(i64::from(i32::MAX))], length("key length", i32::MAX, 0)),
        (vec![zero.clone(), v(0), v(0), v(i64::from(i32::MIN))], length("key length", i32::MIN, 0)),
        (vec![zero.clone(), v(0), v(0), v(2), v(0)], length("key length", 2, 1)),
        (vec![zero.clone(), v(0), v(0), v(-1)], number("value length")),
        (vec![zero.clone(), v(0), v(0), v(-1), v(7), v(0)], length("value length", 7, 1)),
        (vec![zero.clone(), v(0), v(0), v(-1), v(-1)], number("header count")),
        (vec![zero.clone(), v(0), v(0), v(-1), v(-1), v(-1)], length("header count", -1, 0)),
        (vec![zero.clone(), v(0), v(0), v(-1), v(-1), v(2), v(0)], length("header count", 2, 1)),
        (
            vec![zero.clone(), v(0), v(0), v(-1), v(-1), v(i64::from(i32::MAX)), vec![0; 9]],
            length("header count", i32::MAX, 9),
        ),
        (
            vec![zero.clone(), v(0), v(0), v(-1), v(-1), v(2), v(0), v(-1)],
            length("header count", 2, 2),
        ),
        (
            vec![zero.clone(), v(0), v(0), v(-1), v(-1), v(1), v(-1), v(-1)],
            length("header key length", -1, 1),
        ),
        (
            vec![zero.clone(), v(0), v(0), v(-1), v(-1), v(1), v(0), v(-2)],
            length("header value length", -2, 0),
        ),
        (
            vec![zero.clone(), v(0), v(0), v(-1), v(-1), v(1), v(5), v(0)],
            length("header key length", 5, 1),
        ),
        (
            vec![zero.clone(), v(0), v(0), v(-1), v(-1), v(0), zero.clone()],
            RecordFault::Trailing { left: 1 },
        ),
    ];
    for (fields, fault) in cases {
        let batch = sample::with_one_record(&fields.concat());
        let error = BatchError::Record { index: 0, position: 0, fault };
        assert_eq!(check(&batch), Err(error.clone()), "{fields:?}");
        assert_eq!(read_all(&batch), Err(error));
    }
}

#[test]
fn forged_record_lengths_are_named() {
    let batch = sample::batch_of(&[Plain::new(0, None, None)], Compression::None);
    for (bytes, fault) in [
        (varint_of(-1), RecordFault::Length { what: "record length", found: -1, left: 0 }),
        (
            varint_of(i64::from(i32::MAX)),
            RecordFault::Length { what: "record length", found: i32::MAX, left: 0 },
        ),
        (varint_of(1 << 31), RecordFault::Number { what: "record length" }),
        (vec![0x80], RecordFault::Number { what: "record length" }),
        (vec![0xff; 20], RecordFault::Number { what: "record length" }),
    ] {
        let error = BatchError::Record { index: 0, position: 0, fault };
        assert_eq!(check(&sample::with_data(&batch, &bytes)), Err(error));
    }
}

fn records_of(batch: Vec<u8>) -> Records {
    Batch::decode(&batch.into()).unwrap().records().unwrap()
}

/// A stored batch with records at these offset deltas, as compaction leaves them.
fn compacted(deltas: &[i64], last_offset_delta: i32) -> Records {
    let mut data = Vec::new();
    for delta in deltas {
        let fields = [vec![0, 0], varint_of(*delta), vec![1, 1, 0]].concat();
        data.extend(varint_of(i64::try_from(fields.len()).unwrap()));
        data.extend(fields);
    }
    let batch = sample::batch_of(&[Plain::new(5, None, None)], Compression::None);
    let batch = sample::with_header(&sample::with_data(&batch, &data), |header| {
        header.base_offset = Offset::new(100);
        header.last_offset_delta = last_offset_delta;
        header.record_count = i32::try_from(deltas.len()).unwrap();
    });
    records_of(batch)
}

#[test]
fn a_reader_takes_the_gaps_that_compaction_leaves() {
    let offsets = |records: &Records| {
        records
            .iter()
            .map(|record| Ok(record?.offset.get()))
            .collect::<Result<Vec<_>, BatchError>>()
    };
    assert_eq!(offsets(&compacted(&[0, 3, 9], 20)), Ok(vec![100, 103, 109]));
    assert_eq!(offsets(&compacted(&[20], 20)), Ok(vec![120]));
    assert_eq!(offsets(&compacted(&[], 20)), Ok(vec![]));
    // Offsets that go back, repeat or pass the batch's last one would lead a consumer astray.
    for (deltas, index, expected) in
        [([3, 2], 1, 4), ([3, 3], 1, 4), ([3, 21], 1, 4), ([-1, 2], 0, 0)]
    {
        let error = offsets(&compacted(&deltas, 20)).unwrap_err();
        let found = i32::try_from(deltas[usize::try_from(index).unwrap()]).unwrap();
        let fault = RecordFault::OffsetDelta { found, expected };
        let position = 7 * usize::try_from(index).unwrap();
        assert_eq!(error, BatchError::Record { index, position, fault });
    }
}

#[test]
fn an_emptied_batch_has_no_records_with_any_codec() {
    for codec in Compression::ALL {
        let batch = sample::batch_of(&sample::three(), codec);
        let batch = sample::with_header(&sample::with_data(&batch, b""), |header| {
            header.record_count = 0;
        });
        assert_eq!(records_of(batch).into_iter().count(), 0);
    }
}

#[test]
fn a_walk_ends_after_the_first_error() {
    let batch = sample::batch_of(&sample::three(), Compression::None);
    let mut data = batch[HEADER_BYTES..].to_vec();
    data.truncate(data.len() - 1);
    let records = records_of(sample::with_data(&batch, &data));
    let results: Vec<bool> = records.iter().map(|record| record.is_ok()).collect();
    assert_eq!(results, [true, true, false]);
    assert_eq!(records.into_iter().count(), 3);
}

#[test]
fn a_reader_notices_missing_and_left_over_records_once() {
    let batch = sample::batch_of(&sample::three(), Compression::None);
    let errors = |record_count: i32| {
        let records = records_of(sample::with_header(&batch, |header| {
            header.record_count = record_count;
            header.last_offset_delta = 3;
        }));
        records.iter().take(10).filter_map(Result::err).collect::<Vec<_>>()
    };
    assert_eq!(errors(3), []);
    assert_eq!(errors(4), [BatchError::Missing { record_count: 4, found: 3 }]);
    assert!(matches!(errors(2)[..], [BatchError::Trailing { record_count: 2, .. }]));
    assert!(matches!(errors(0)[..], [BatchError::Trailing { record_count: 0, .. }]));
}

#[test]
fn a_reader_stops_at_what_is_no_batch() {
    let batch = sample::batch_of(&sample::three(), Compression::None);
    let zeros = vec![0; 200];
    let mut reader = BatchReader::new(Bytes::from([batch.as_slice(), &zeros].concat()));
    assert!(reader.next().unwrap().is_ok());
    assert_eq!(reader.next(), Some(Err(BatchError::Magic { found: 0 })));
    assert_eq!(reader.next(), None);
}

#[test]
fn a_reader_keeps_what_it_leaves_out() {
    let batch = sample::batch_of(&sample::three(), Compression::None);
    let cut = &batch[..batch.len() - 1];
    let mut reader = BatchReader::new(Bytes::from([batch.as_slice(), cut].concat()));
    assert_eq!(reader.next().unwrap().unwrap().bytes().as_ref(), batch);
    assert_eq!(reader.next(), None);
    assert_eq!(reader.rest().as_ref(), cut);
}

#[test]
fn timestamps_of_a_stored_batch_never_overflow() {
    let fields = [vec![0], varint_of(1), vec![0, 1, 1, 0]].concat();
    let batch = sample::with_header(&sample::with_one_record(&fields), |header| {
        header.base_timestamp = TimestampMs::new(i64::MAX);
    });
    let first = records_of(batch).into_iter().next().unwrap().unwrap();
    assert_eq!(first.timestamp, TimestampMs::new(i64::MAX));
}
