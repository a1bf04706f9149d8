//! What was built is what is read: any records, any codec, borrowed and shared, one batch or many.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use thalweg_protocol::batch::{
    Batch, BatchBuilder, BatchHeader, BatchReader, BatchRewriter, Compression, HEADER_BYTES,
    NO_HEADERS, Scratch, TimestampType, check_produced, patched_head, stamped_head,
    verify_checksum,
};
use thalweg_protocol::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use crate::sample::{self, Plain};

fn plain() -> impl Strategy<Value = Plain> {
    let bytes = || option::of(vec(any::<u8>(), 0..200));
    let name = prop_oneof![Just("a".to_owned()), Just("b".to_owned()), "\\PC{0,12}"];
    let header = (name, option::of(vec(any::<u8>(), 0..20)));
    let timestamp =
        prop_oneof![0..2_000_000_000_000_i64, -1..10_i64, any::<i32>().prop_map(i64::from)];
    (timestamp, bytes(), bytes(), vec(header, 0..5))
        .prop_map(|(timestamp, key, value, headers)| Plain { timestamp, key, value, headers })
}

fn codec() -> impl Strategy<Value = Compression> {
    prop::sample::select(Compression::ALL.as_slice())
}

/// Reads `batch` both ways and compares with `records`, which start at `base`.
fn assert_reads_back(batch: &Batch, records: &[Plain], base: i64) {
    let read = batch.records().unwrap();
    let mut borrowed = Vec::new();
    for (offset, record) in (base..).zip(&read) {
        let record = record.unwrap();
        assert_eq!(record.offset.get(), offset);
        borrowed.push(Plain::from(record));
    }
    assert_eq!(borrowed, records);
    let shared: Vec<Plain> = read.into_iter().map(|record| record.unwrap().into()).collect();
    assert_eq!(shared, records);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_records_read_back_with_any_codec(records in vec(plain(), 1..40), codec in codec()) {
        let bytes = sample::batch_of(&records, codec);
        let header = check_produced(&bytes, &sample::limits(), &mut Scratch::new()).unwrap();
        prop_assert_eq!(header.attributes.compression(), Ok(codec));
        prop_assert_eq!(header.total_bytes(), bytes.len());
        prop_assert_eq!(header.producer, ProducerId::new(9));
        prop_assert_eq!(header.producer_epoch, ProducerEpoch::new(1));
        prop_assert_eq!(header.base_sequence, Sequence::new(40));
        let count = i32::try_from(records.len()).unwrap();
        prop_assert_eq!(header.last_sequence(), Sequence::new(39 + count));
        prop_assert_eq!(header.next_offset(), Offset::new(i64::from(count)));
        let batch = Batch::decode(&bytes.into()).unwrap();
        assert_reads_back(&batch, &records, 0);
    }

    #[test]
    fn batches_back_to_back_read_back_and_a_cut_one_is_left_out(
        batches in vec((vec(plain(), 1..5), codec()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut all = BytesMut::new();
        let mut ends = vec![0];
        let mut next = Offset::new(1000);
        for (records, codec) in &batches {
            let batch = sample::batch_of(records, *codec);
            all.extend_from_slice(&patched_head(&batch, next, LeaderEpoch::new(3)));
            all.extend_from_slice(&batch[16..]);
            ends.push(all.len());
            next = next.plus(i64::try_from(records.len()).unwrap());
        }
        let all = all.freeze();
        let cut = cut.index(all.len() + 1);
        let whole = ends.iter().filter(|end| **end > 0 && **end <= cut).count();
        let read: Result<Vec<Batch>, _> = BatchReader::new(all.slice(..cut)).collect();
        let read = read.unwrap();
        prop_assert_eq!(read.len(), whole);
        for (batch, (records, _)) in read.iter().zip(&batches) {
            batch.verify_checksum().unwrap();
            prop_assert_eq!(batch.header.leader_epoch, LeaderEpoch::new(3));
            assert_reads_back(batch, records, batch.header.base_offset.get());
        }
    }

    #[test]
    fn headers_read_back_from_their_bytes(bytes in any::<[[u8; 32]; 2]>()) {
        let mut bytes = bytes.concat()[..HEADER_BYTES].to_vec();
        bytes[16] = 2;
        bytes[8] = 0;
        bytes[9] |= 1;
        let header = BatchHeader::decode(&bytes).unwrap();
        prop_assert_eq!(header.encode().to_vec(), bytes);
    }
}

#[test]
fn large_batches_read_back_with_every_codec() {
    // More than one block of every codec, of noise and of text.
    let records: Vec<Plain> = (0..2_000)
        .map(|index: i64| {
            let noise: Vec<u8> = (0..200).map(|_| fastrand::u8(..)).collect();
            let value = if index % 3 == 0 { noise } else { b"compressible ".repeat(16) };
            Plain { value: Some(value), ..Plain::new(index, Some("k"), None) }
        })
        .collect();
    let mut scratch = Scratch::new();
    for codec in Compression::ALL {
        let bytes = sample::batch_of(&records, codec);
        check_produced(&bytes, &sample::limits(), &mut scratch).unwrap();
        assert_reads_back(&Batch::decode(&bytes.into()).unwrap(), &records, 0);
    }
}

#[test]
fn a_builder_is_used_again_and_its_batches_are_alike() {
    for codec in Compression::ALL {
        let mut builder = BatchBuilder::new(codec, 4096);
        let mut batches = Vec::new();
        for _ in 0..3 {
            sample::append_all(&mut builder, &sample::three());
            assert_eq!(builder.record_count(), 3);
            batches.push(builder.build_unsequenced());
            assert!(builder.is_empty());
            assert_eq!(builder.bytes(), HEADER_BYTES);
            assert_eq!(builder.max_timestamp(), TimestampMs::NONE);
        }
        assert_eq!(batches[0], batches[1]);
        assert_eq!(batches[0], batches[2]);
    }
}

#[test]
fn a_builder_takes_the_memory_of_batches_that_nobody_holds_any_more() {
    let mut builder = BatchBuilder::new(Compression::None, 4096);
    let places: Vec<usize> = (0..100)
        .map(|_| {
            sample::append_all(&mut builder, &sample::three());
            builder.build_unsequenced().as_ptr().addr()
        })
        .collect();
    // Ten batches of 422 bytes fit into the first buffer; then it is used from its front again.
    let (first, last) = (places.iter().min().unwrap(), places.iter().max().unwrap());
    assert!(last - first < 8192);
    assert!(places.iter().filter(|place| **place == places[0]).count() > 5);
}

#[test]
fn a_full_builder_says_so_and_keeps_its_bound() {
    let mut builder = BatchBuilder::new(Compression::None, 1000);
    let mut append = |value: &[u8]| {
        let full = builder.try_append(TimestampMs::new(1), None, Some(value), NO_HEADERS).is_none();
        (full, builder.bytes())
    };
    let mut bytes = HEADER_BYTES;
    loop {
        let (full, now) = append(&[7; 90]);
        assert!(now <= 1000);
        if full {
            assert_eq!(now, bytes);
            break;
        }
        bytes = now;
    }
    let built = builder.build_unsequenced();
    assert_eq!(built.len(), bytes);
    // A record larger than the bound has a batch of its own.
    assert_eq!(
        builder.try_append(TimestampMs::new(1), None, Some(&[7; 2000]), NO_HEADERS),
        Some(0)
    );
    assert_eq!(builder.try_append(TimestampMs::new(1), None, None, NO_HEADERS), None);
    let large = builder.build_unsequenced();
    check_produced(&large, &sample::limits(), &mut Scratch::new()).unwrap();
}

#[test]
fn a_builder_keeps_its_bound_to_the_byte() {
    let records = sample::three();
    let two = sample::batch_of(&records[..2], Compression::None).len();
    let taken = |bytes_max| {
        let mut builder = BatchBuilder::new(Compression::None, bytes_max);
        let append = |record: &Plain| {
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            let timestamp = TimestampMs::new(record.timestamp);
            builder.try_append_with(timestamp, key, value, &record.headers).is_some()
        };
        records[..2].iter().map(append).collect::<Vec<_>>()
    };
    assert_eq!(taken(two), [true, true]);
    assert_eq!(taken(two - 1), [true, false]);
}

#[test]
fn the_size_that_a_builder_tells_is_the_size_of_the_batch() {
    let mut builder = BatchBuilder::new(Compression::None, usize::MAX);
    sample::append_all(&mut builder, &sample::three());
    let told = builder.bytes();
    assert_eq!(builder.build_unsequenced().len(), told);
}

#[test]
fn cleared_records_are_gone() {
    let mut builder = BatchBuilder::new(Compression::None, 4096);
    sample::append_all(&mut builder, &sample::three());
    builder.clear();
    assert!(builder.is_empty());
    sample::append_all(&mut builder, &sample::three()[..1]);
    let batch = Batch::decode(&builder.build_unsequenced()).unwrap();
    assert_reads_back(&batch, &sample::three()[..1], 0);
}

#[test]
#[should_panic(expected = "at least one record")]
fn an_empty_builder_builds_nothing() {
    BatchBuilder::new(Compression::None, 4096).build_unsequenced();
}

#[test]
fn a_timestamp_too_far_for_a_delta_starts_the_next_batch() {
    let mut builder = BatchBuilder::new(Compression::None, 4096);
    assert!(builder.try_append(TimestampMs::new(-2), None, None, NO_HEADERS).is_some());
    assert_eq!(builder.try_append(TimestampMs::new(i64::MAX), None, None, NO_HEADERS), None);
    assert_eq!(builder.record_count(), 1);
}

#[test]
fn patching_sets_offset_and_epoch_and_keeps_the_checksum() {
    let batch = sample::batch_of(&sample::three(), Compression::Lz4);
    let head = patched_head(&batch, Offset::new(77), LeaderEpoch::new(5));
    let stored = [&head, &batch[16..]].concat();
    let header = BatchHeader::decode(&stored).unwrap();
    verify_checksum(&header, &stored).unwrap();
    assert_eq!(header.base_offset, Offset::new(77));
    assert_eq!(header.leader_epoch, LeaderEpoch::new(5));
    assert_eq!(header.last_offset(), Offset::new(79));
    assert_eq!(stored[17..], batch[17..]);
}

#[test]
fn stamping_gives_every_record_the_time_of_the_append() {
    for codec in Compression::ALL {
        let batch = sample::batch_of(&sample::three(), codec);
        let time = TimestampMs::new(1_800_000_000_000);
        let head = stamped_head(&batch, Offset::new(77), LeaderEpoch::new(5), time);
        let stored = Bytes::from([&head, &batch[HEADER_BYTES..]].concat());
        let stored = Batch::decode(&stored).unwrap();
        stored.verify_checksum().unwrap();
        assert_eq!(stored.header.attributes.timestamp_type(), TimestampType::LogAppendTime);
        assert_eq!(stored.header.attributes.compression(), Ok(codec));
        assert_eq!(stored.header.max_timestamp, time);
        let records = stored.records().unwrap();
        assert!(records.iter().all(|record| record.unwrap().timestamp == time));
        assert_eq!(records.iter().count(), 3);
    }
}

#[test]
fn records_of_a_plain_batch_are_slices_of_it() {
    let bytes = Bytes::from(sample::batch_of(&sample::three(), Compression::None));
    let range = bytes.as_ptr_range();
    for record in Batch::decode(&bytes).unwrap().records().unwrap() {
        let record = record.unwrap();
        for part in [record.key, record.value].into_iter().flatten() {
            assert!(part.is_empty() || range.contains(&part.as_ptr()));
        }
        for header in &record.headers {
            assert!(range.contains(&header.key.as_ptr()));
        }
    }
}

#[test]
fn the_last_of_equal_headers_counts() {
    let bytes = Bytes::from(sample::batch_of(&sample::three(), Compression::None));
    let record = Batch::decode(&bytes).unwrap().records().unwrap().into_iter().next();
    let headers = record.unwrap().unwrap().headers;
    assert_eq!(headers.len(), 4);
    assert_eq!(headers.last("trace"), Some(Some(b"b".as_slice())));
    assert_eq!(headers.last("null"), Some(None));
    assert_eq!(headers.last("absent"), None);
}

proptest! {
    /// What compaction does to a batch: some records go, and what stays is what it was, at its offset.
    #[test]
    fn a_rewritten_batch_keeps_offsets_times_and_the_rest_of_what_stays(
        records in vec(plain(), 1..30),
        stays in vec(any::<bool>(), 30),
        codec in codec(),
        horizon in option::of(1_600_000_000_000..1_800_000_000_000_i64),
    ) {
        let mut builder = BatchBuilder::new(codec, 1 << 20);
        sample::append_all(&mut builder, &records);
        let built = builder.build(ProducerId::new(7), ProducerEpoch::new(1), Sequence::new(5));
        let mut stored = BytesMut::from(&*built);
        let head = patched_head(&built, Offset::new(1000), LeaderEpoch::new(3));
        stored[..head.len()].copy_from_slice(&head);
        let source = Batch::decode(&stored.freeze()).unwrap();
        let mut rewriter = BatchRewriter::new();
        let horizon = horizon.map(TimestampMs::new);
        rewriter.begin(&source.header, horizon);
        for (record, stays) in source.records().unwrap().iter().zip(&stays) {
            if *stays {
                prop_assert!(rewriter.keep(&record.unwrap()));
            }
        }
        let mut bytes = Vec::new();
        let header = rewriter.finish(&mut bytes);
        let batch = Batch::decode(&Bytes::from(bytes)).unwrap();
        batch.verify_checksum().unwrap();
        prop_assert_eq!(batch.header, header);
        prop_assert_eq!(header.attributes.has_delete_horizon(), horizon.is_some());
        if let Some(horizon) = horizon {
            prop_assert_eq!(header.base_timestamp, horizon);
        }
        let same = |it: &BatchHeader| {
            (it.base_offset, it.last_offset_delta, it.leader_epoch, it.producer, it.base_sequence)
        };
        prop_assert_eq!(same(&header), same(&source.header));
        let found: Vec<_> = batch.records().unwrap().iter().map(|record| {
            let record = record.unwrap();
            (record.offset.get() - 1000, Plain::from(record))
        }).collect();
        let expected = (0..).zip(records).zip(stays).filter(|(_, stays)| *stays);
        let expected: Vec<_> = expected.map(|(record, _)| record).collect();
        prop_assert_eq!(found, expected);
    }
}
