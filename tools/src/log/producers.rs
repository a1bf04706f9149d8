//! Rows of a producer snapshot, ours or Kafka's.

use thalweg_storage::{ProducerTable, SnapshotError};

/// Version, checksum, number of rows.
const HEAD_BYTES: usize = 10;

/// One batch that is remembered of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) producer: i64,
    pub(super) epoch: i16,
    pub(super) last_sequence: i32,
    pub(super) last_offset: i64,
    pub(super) offset_delta: i32,
    pub(super) appended: i64,
}

impl Row {
    /// How many records its batch has; none in a row that Kafka keeps of a producer without a batch.
    pub(super) fn records(&self) -> i64 {
        match (self.last_sequence, self.last_offset, self.offset_delta) {
            (-1, -1, 0) => 0,
            (_, _, delta) => i64::from(delta) + 1,
        }
    }
}

/// The rows of a `.snapshot` file.
pub(super) fn rows(bytes: &[u8]) -> Result<Vec<Row>, SnapshotError> {
    // Checks version, checksum, length and ranges.
    ProducerTable::decode_snapshot(bytes)?;
    let (rows, _) = bytes.get(HEAD_BYTES..).unwrap_or_default().as_chunks::<46>();
    Ok(rows.iter().map(row).collect())
}

fn row(bytes: &[u8; 46]) -> Row {
    fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
        bytes.get(at..at + N).and_then(|field| field.try_into().ok()).unwrap_or([0; N])
    }
    Row {
        producer: i64::from_be_bytes(field(bytes, 0)),
        epoch: i16::from_be_bytes(field(bytes, 8)),
        last_sequence: i32::from_be_bytes(field(bytes, 10)),
        last_offset: i64::from_be_bytes(field(bytes, 14)),
        offset_delta: i32::from_be_bytes(field(bytes, 22)),
        appended: i64::from_be_bytes(field(bytes, 26)),
    }
}
