//! Files that must read the same for ever: written by Kafka's Java client, by Python with the C libraries
//! of the codecs, and by our own first release. The programs that wrote them lie beside them.
//!
//! `THALWEG_BLESS=1` writes our own again; only a decision on the disk format may do that.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use thalweg_protocol::batch::control::{ControlRecord, Marker};
use thalweg_protocol::batch::{
    Batch, BatchBuilder, BatchHeader, BatchReader, Compression, NO_HEADERS, Scratch, TimestampType,
    check_produced, patched_head,
};
use thalweg_protocol::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use crate::sample::{self, Plain};

pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/batch").join(name)
}

fn golden(name: &str) -> Bytes {
    let path = path(name);
    let bytes = fs::read(&path);
    bytes.unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}

/// The one batch in a golden file, with its checksum verified.
fn batch(name: &str) -> Batch {
    let bytes = golden(name);
    let mut reader = BatchReader::new(bytes.clone());
    let batch = reader.next().unwrap().unwrap();
    assert_eq!(batch.bytes(), &bytes, "{name} holds exactly one batch");
    batch.verify_checksum().unwrap();
    batch
}

fn records(batch: &Batch) -> Vec<Plain> {
    batch.records().unwrap().into_iter().map(|record| record.unwrap().into()).collect()
}

/// The many records of the `-large` files.
fn many() -> Vec<Plain> {
    let value = |index: i64| format!("value {index} of many that are alike");
    let key = |index: i64| format!("key{}", index % 7);
    (0..3000).map(|index| Plain::new(index, Some(&key(index)), Some(&value(index)))).collect()
}

fn assert_holds(name: &str, codec: Compression, expected: &[Plain]) -> BatchHeader {
    let batch = batch(name);
    assert_eq!(batch.header.attributes.compression(), Ok(codec), "{name}");
    assert_eq!(records(&batch), expected, "{name}");
    let checked = check_produced(batch.bytes(), &sample::limits(), &mut Scratch::new());
    assert_eq!(checked, Ok(batch.header), "{name}");
    batch.header
}

#[test]
fn batches_of_the_java_client_read_back() {
    for codec in Compression::ALL {
        let header = assert_holds(&format!("java-{codec}.batch"), codec, &sample::three());
        assert_eq!(header.producer, ProducerId::new(9));
        assert_eq!(header.producer_epoch, ProducerEpoch::new(1));
        assert_eq!(header.base_sequence, Sequence::new(40));
        assert_eq!(header.leader_epoch, LeaderEpoch::UNCHECKED);
        assert_eq!(header.base_timestamp, TimestampMs::new(1_700_000_000_000));
        assert_eq!(header.max_timestamp, TimestampMs::new(1_700_000_000_250));
        if codec != Compression::None {
            assert_holds(&format!("java-{codec}-large.batch"), codec, &many());
        }
    }
}

#[test]
fn batches_by_python_and_the_c_libraries_read_back() {
    for codec in [Compression::None, Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        let header = assert_holds(&format!("python-{codec}.batch"), codec, &sample::three());
        assert!(!header.is_idempotent());
        assert_eq!(header.last_sequence(), Sequence::NONE);
    }
    for (name, codec) in [
        ("gzip-large", Compression::Gzip),
        ("snappy-raw", Compression::Snappy),
        ("lz4-linked", Compression::Lz4),
        ("lz4-4mb", Compression::Lz4),
        ("zstd-stream", Compression::Zstd),
        ("zstd-frames", Compression::Zstd),
    ] {
        assert_holds(&format!("python-{name}.batch"), codec, &many());
    }
}

#[test]
fn batches_of_our_first_release_read_back() {
    for codec in Compression::ALL {
        for (name, records) in [("", sample::three()), ("-large", many())] {
            let name = format!("thalweg-{codec}{name}.batch");
            if std::env::var_os("THALWEG_BLESS").is_some() {
                fs::write(path(&name), sample::batch_of(&records, codec)).unwrap();
            }
            assert_holds(&name, codec, &records);
        }
    }
}

#[test]
fn our_bytes_are_those_of_the_java_client() {
    let ours = sample::batch_of(&sample::three(), Compression::None);
    assert_eq!(ours, golden("thalweg-none.batch"));
    assert_eq!(ours, golden("java-none.batch"));
    let mut builder = BatchBuilder::new(Compression::None, usize::MAX);
    sample::append_all(&mut builder, &sample::three());
    let ours = builder.build_unsequenced();
    // That client writes leader epoch 0 instead of -1, which is not under the checksum.
    let head = patched_head(&ours, Offset::ZERO, LeaderEpoch::FIRST);
    assert_eq!([&head, &ours[16..]].concat(), golden("python-none.batch"));
}

#[test]
fn a_batch_of_the_brokers_time_reads_back() {
    let batch = batch("java-append-time.batch");
    assert_eq!(batch.header.attributes.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(batch.header.base_offset, Offset::new(77));
    assert_eq!(batch.header.next_offset(), Offset::new(80));
    let expected: Vec<Plain> = sample::three()
        .into_iter()
        .map(|record| Plain { timestamp: 1_800_000_000_000, ..record })
        .collect();
    assert_eq!(records(&batch), expected);
}

#[test]
fn control_batches_read_back_and_are_written_alike() {
    for (name, marker) in [("abort", Marker::Abort), ("commit", Marker::Commit)] {
        let batch = batch(&format!("java-{name}.batch"));
        assert!(batch.header.attributes.is_control() && batch.header.attributes.is_transactional());
        let read = batch.records().unwrap();
        let record = read.iter().next().unwrap().unwrap();
        let control = ControlRecord { marker, coordinator_epoch: 3 };
        assert_eq!(ControlRecord::decode(record.key, record.value), Ok(Some(control)));

        let time = TimestampMs::new(1_700_000_000_000);
        let ours = control.to_batch(ProducerId::new(9), ProducerEpoch::new(1), time);
        let head = patched_head(&ours, Offset::new(77), LeaderEpoch::new(5));
        assert_eq!([&head, &ours[16..]].concat(), *batch.bytes());
    }
}

#[test]
fn the_header_lies_where_the_drawing_says() {
    let mut builder = BatchBuilder::new(Compression::None, usize::MAX);
    builder.try_append(TimestampMs::new(7), Some(b"k"), None, NO_HEADERS).unwrap();
    builder.try_append(TimestampMs::new(9), None, Some(b"v"), &[("h", Some(b"x"))]).unwrap();
    let batch = builder.build(ProducerId::new(1), ProducerEpoch::new(2), Sequence::new(3));
    let crc = BatchHeader::decode(&batch).unwrap().crc.to_be_bytes();
    #[rustfmt::skip]
    let expected: [&[u8]; 15] = [
        &[0, 0, 0, 0, 0, 0, 0, 0], &[0, 0, 0, 69], &[0xff, 0xff, 0xff, 0xff], &[2], &crc,
        &[0, 0], &[0, 0, 0, 1], &[0, 0, 0, 0, 0, 0, 0, 7], &[0, 0, 0, 0, 0, 0, 0, 9],
        &[0, 0, 0, 0, 0, 0, 0, 1], &[0, 2], &[0, 0, 0, 3], &[0, 0, 0, 2],
        &[14, 0, 0, 0, 2, b'k', 1, 0],
        &[22, 0, 4, 2, 1, 2, b'v', 2, 2, b'h', 2, b'x'],
    ];
    assert_eq!(batch, expected.concat());
}
