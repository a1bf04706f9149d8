//! Records to build batches from, and a batch taken apart so that a test can break one thing of it.

use thalweg_protocol::batch::{
    BatchBuilder, BatchHeader, BatchLimits, Compression, HEADER_BYTES, Record, RecordRef, checksum,
};
use thalweg_protocol::codec::varint;
use thalweg_protocol::{ProducerEpoch, ProducerId, Sequence, TimestampMs};

/// A record as a test writes it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Plain {
    pub(crate) fn new(timestamp: i64, key: Option<&str>, value: Option<&str>) -> Self {
        let bytes = |text: &str| text.as_bytes().to_vec();
        Self { timestamp, key: key.map(bytes), value: value.map(bytes), headers: Vec::new() }
    }

    pub(crate) fn header(mut self, key: &str, value: Option<&str>) -> Self {
        self.headers.push((key.to_owned(), value.map(|value| value.as_bytes().to_vec())));
        self
    }
}

impl From<RecordRef<'_>> for Plain {
    fn from(record: RecordRef<'_>) -> Self {
        let headers = record.headers.iter();
        Self {
            timestamp: record.timestamp.get(),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: headers
                .map(|header| (header.key_text().into_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }
}

impl From<Record> for Plain {
    fn from(record: Record) -> Self {
        let headers = record.headers.iter();
        let headers = headers
            .map(|header| (header.key_text().into_owned(), header.value.map(<[u8]>::to_vec)))
            .collect();
        Self {
            timestamp: record.timestamp.get(),
            key: record.key.map(|key| key.to_vec()),
            value: record.value.map(|value| value.to_vec()),
            headers,
        }
    }
}

/// Three records with all that a record may have.
pub(crate) fn three() -> Vec<Plain> {
    vec![
        Plain::new(1_700_000_000_000, Some("key"), Some("value"))
            .header("trace", Some("a"))
            .header("trace", Some("b"))
            .header("empty", Some(""))
            .header("null", None),
        Plain::new(1_700_000_000_250, None, None),
        Plain::new(1_699_999_999_999, Some(""), Some(&"abc".repeat(100))),
    ]
}

pub(crate) fn append_all(builder: &mut BatchBuilder, records: &[Plain]) {
    for (index, record) in records.iter().enumerate() {
        let delta = builder.try_append_with(
            TimestampMs::new(record.timestamp),
            record.key.as_deref(),
            record.value.as_deref(),
            &record.headers,
        );
        assert_eq!(delta, i32::try_from(index).ok());
    }
}

/// A batch of `records` from an idempotent producer.
pub(crate) fn batch_of(records: &[Plain], codec: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec, usize::MAX);
    append_all(&mut builder, records);
    builder.build(ProducerId::new(9), ProducerEpoch::new(1), Sequence::new(40)).to_vec()
}

/// Limits that allow everything that has a bound at all.
pub(crate) fn limits() -> BatchLimits {
    BatchLimits {
        batch_bytes_max: 1 << 20,
        inflated_bytes_max: 8 << 20,
        ratio_max: 1032,
        timestamp_max: TimestampMs::new(i64::MAX),
        timestamp_min: TimestampMs::new(i64::MIN),
        keys_required: false,
    }
}

/// `batch` with a changed header: length and checksum are set right again.
pub(crate) fn with_header(batch: &[u8], change: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
    let mut header = BatchHeader::decode(batch).unwrap();
    change(&mut header);
    assemble(header, &batch[HEADER_BYTES..])
}

/// `batch` with other record data: length and checksum are set right again.
pub(crate) fn with_data(batch: &[u8], data: &[u8]) -> Vec<u8> {
    assemble(BatchHeader::decode(batch).unwrap(), data)
}

fn assemble(mut header: BatchHeader, data: &[u8]) -> Vec<u8> {
    header.length = u32::try_from(49 + data.len()).unwrap();
    let mut batch = header.encode().to_vec();
    batch.extend_from_slice(data);
    header.crc = checksum(&batch);
    batch[..HEADER_BYTES].copy_from_slice(&header.encode());
    batch
}

/// A batch with one record whose fields, after the length, are `fields`.
pub(crate) fn with_one_record(fields: &[u8]) -> Vec<u8> {
    let mut data = varint_of(i64::try_from(fields.len()).unwrap());
    data.extend_from_slice(fields);
    with_data(&batch_of(&[Plain::new(0, None, None)], Compression::None), &data)
}

/// The bytes of a zigzag-coded number.
pub(crate) fn varint_of(value: i64) -> Vec<u8> {
    let mut bytes = [0; varint::I64_BYTES_MAX];
    let length = varint::put_i64(&mut bytes, value);
    bytes[..length].to_vec()
}
