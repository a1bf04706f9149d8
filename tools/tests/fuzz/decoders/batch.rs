//! Record batches: the leader's check, reading them back, and each codec by itself.

use std::cell::RefCell;

use bytes::Bytes;
use thalweg_protocol::TimestampMs;
use thalweg_protocol::batch::control::ControlRecord;
use thalweg_protocol::batch::{
    Batch, BatchLimits, BatchReader, Compression, HEADER_BYTES, Scratch, check_produced, checksum,
};

use super::{Decoder, golden};

/// What a batch may inflate to here.
const INFLATED_BYTES_MAX: usize = 1024 * 1024;

/// What a codec's own state, an inflated batch and its copy may hold.
const fn heap_bytes_max(length: usize) -> usize {
    16 * 1024 * 1024 + 48 * length
}

pub(super) fn all() -> Vec<Decoder> {
    let decoder =
        |name, seeds, run| Decoder { heap_bytes_max, ..Decoder::quick(name, seeds, mend, run) };
    vec![
        decoder("batch, the leader's check", batches("batch"), produced),
        decoder("batch, reading", batches("batch"), read),
        decoder("gzip", batches("gzip"), inflate::<1>),
        decoder("snappy", batches("snappy"), inflate::<2>),
        decoder("lz4", batches("lz4"), inflate::<3>),
        decoder("zstd", batches("zstd"), inflate::<4>),
    ]
}

/// Golden batches of all producers whose names hold `part`; those that a mutation can get through in no time.
fn batches(part: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for producer in ["java", "python", "thalweg"] {
        for entry in std::fs::read_dir(golden::folder("protocol/tests/golden/batch")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let path_is_batch = path.extension().is_some_and(|end| end == "batch");
            if name.starts_with(producer) && path_is_batch && name.contains(part) {
                found.push((name, std::fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    let small = found.into_iter().map(|(_, bytes)| bytes).filter(|bytes| bytes.len() < 40_000);
    let small: Vec<_> = small.collect();
    assert!(!small.is_empty(), "no golden batch is named {part}");
    small
}

/// Sets length and checksum to what they should be.
#[expect(clippy::ptr_arg, reason = "others mend by making inputs shorter")]
fn mend(bytes: &mut Vec<u8>) {
    if bytes.len() < HEADER_BYTES {
        return;
    }
    let length = u32::try_from(bytes.len() - 12).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = checksum(bytes);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

fn produced(bytes: &[u8]) -> bool {
    let limits = BatchLimits {
        batch_bytes_max: INFLATED_BYTES_MAX,
        inflated_bytes_max: INFLATED_BYTES_MAX,
        ratio_max: 1032,
        timestamp_max: TimestampMs::new(i64::MAX),
        timestamp_min: TimestampMs::new(0),
        keys_required: false,
    };
    SCRATCH.with_borrow_mut(|scratch| {
        let Ok(header) = check_produced(bytes, &limits, scratch) else { return false };
        // What the leader lets in, a reader can read.
        let batch = Batch::decode(&Bytes::copy_from_slice(bytes)).unwrap();
        let records = batch.records_within(INFLATED_BYTES_MAX, scratch).unwrap();
        let count = records.iter().map(Result::unwrap).count();
        assert_eq!(i32::try_from(count), Ok(header.record_count));
        true
    })
}

fn read(bytes: &[u8]) -> bool {
    let mut good = 0;
    for batch in BatchReader::new(Bytes::copy_from_slice(bytes)) {
        let Ok(batch) = batch else { return false };
        if batch.verify_checksum().is_ok() && walk(&batch) {
            good += 1;
        }
    }
    good > 0
}

fn walk(batch: &Batch) -> bool {
    let is_control = batch.header.attributes.is_control();
    SCRATCH.with_borrow_mut(|scratch| {
        let Ok(records) = batch.records_within(INFLATED_BYTES_MAX, scratch) else { return false };
        for record in &records {
            let Ok(record) = record else { return false };
            assert!(record.headers.iter().count() <= record.headers.len());
            if is_control && ControlRecord::decode(record.key, record.value).is_err() {
                return false;
            }
        }
        true
    })
}

/// What lies behind the header, as the codec's.
fn inflate<const CODEC: u8>(bytes: &[u8]) -> bool {
    let Some((head, data)) = bytes.split_first_chunk::<HEADER_BYTES>() else { return false };
    let mut whole = [&head[..], data].concat();
    whole[16] = 2;
    whole[22] = whole[22] & !7 | CODEC;
    mend(&mut whole);
    let Ok(batch) = Batch::decode(&whole.into()) else { return false };
    assert_ne!(batch.header.attributes.compression(), Ok(Compression::None));
    SCRATCH.with_borrow_mut(|scratch| match batch.records_within(INFLATED_BYTES_MAX, scratch) {
        Ok(records) => {
            assert!(records.data_bytes() <= INFLATED_BYTES_MAX);
            true
        }
        Err(_) => false,
    })
}
