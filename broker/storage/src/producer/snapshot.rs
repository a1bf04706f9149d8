//! The `.snapshot` file: a table of producers in Kafka's layout.
//!
//! ```text
//!     0  2   version = 1
//!     2  4   CRC-32C of everything from byte 6 on
//!     6  4   number of rows
//!    10  46  row: producer id 8, epoch 2, last sequence 4, last offset 8, offset delta 4, timestamp 8,
//!            coordinator epoch 4 (-1), first offset of the open transaction 8 (-1)
//! ```
//!
//! Up to five rows per producer, oldest first; Kafka writes one, and keeps the last of several.
//! Producers come in the order of their ids, so that equal tables have equal files.

use thalweg_protocol::{Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use super::batch::{REMEMBERED_MAX, RememberedBatch, before};
use super::table::{Producer, ProducerTable};
use crate::defects::{self, Defect};

const VERSION: i16 = 1;
/// Version and checksum.
const HEAD_BYTES: usize = 6;
const ROW_BYTES: usize = 46;

/// Why a `.snapshot` file cannot be used; the table is then rebuilt from the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The file is shorter or longer than its row count says.
    #[error("producer snapshot: {found} bytes, {expected} expected")]
    Length {
        /// What the head and the rows take.
        expected: usize,
        /// The file's length.
        found: usize,
    },
    /// A version that this release does not know.
    #[error("producer snapshot: version {found} is unknown, this release reads version {VERSION}")]
    Version {
        /// The version in the file.
        found: i16,
    },
    /// The bytes are not those that were written.
    #[error("producer snapshot: checksum {found:#010x}, expected {expected:#010x}")]
    Checksum {
        /// What the bytes give.
        expected: u32,
        /// What the file says.
        found: u32,
    },
    /// A row's value is out of its range.
    #[error("producer snapshot: row {row}: {what} {found} is not allowed")]
    Row {
        /// The row, from 0.
        row: usize,
        /// Which value.
        what: &'static str,
        /// The value.
        found: i64,
    },
}

impl ProducerTable {
    /// The bytes of a `.snapshot` file.
    ///
    /// # Panics
    /// Beyond 2^31 rows, far above every limit on producers.
    pub fn encode_snapshot(&self) -> Vec<u8> {
        let mut producers: Vec<_> = self.producers.iter().collect();
        producers.sort_unstable_by_key(|(id, _)| **id);
        let rows: usize = producers.iter().map(|(_, known)| known.batches.len()).sum();
        let mut bytes = Vec::with_capacity(HEAD_BYTES + 4 + rows * ROW_BYTES);
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(i32::try_from(rows).expect("producers are bounded").to_be_bytes());
        for (id, known) in producers {
            for batch in &known.batches {
                put_row(&mut bytes, *id, known.epoch, batch);
            }
        }
        let crc = checksum(&bytes);
        if let Some(place) = bytes.get_mut(2..HEAD_BYTES) {
            place.copy_from_slice(&crc.to_be_bytes());
        }
        bytes
    }

    /// Reads the bytes of a `.snapshot` file, ours or Kafka's.
    pub fn decode_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let length = |expected| SnapshotError::Length { expected, found: bytes.len() };
        let mut cursor = Cursor { left: bytes };
        let version = cursor.i16().ok_or_else(|| length(HEAD_BYTES + 4))?;
        let crc = cursor.u32().ok_or_else(|| length(HEAD_BYTES + 4))?;
        let rows = cursor.i32().ok_or_else(|| length(HEAD_BYTES + 4))?;
        if version != VERSION {
            return Err(SnapshotError::Version { found: version });
        }
        let expected = checksum(bytes);
        if crc != expected {
            return Err(SnapshotError::Checksum { expected, found: crc });
        }
        let rows = usize::try_from(rows).map_err(|_| row_error(0, "count", rows.into()))?;
        if cursor.left.len() != rows.saturating_mul(ROW_BYTES) {
            return Err(length(rows.saturating_mul(ROW_BYTES).saturating_add(HEAD_BYTES + 4)));
        }
        let mut table = Self::new();
        for row in 0..rows {
            // Kafka leaves such a row of a producer whose last transaction has ended.
            let Some((id, epoch, batch)) = cursor.row(row)? else { continue };
            let fresh = Producer { epoch, batches: Vec::with_capacity(REMEMBERED_MAX) };
            table.producers.entry(id).or_insert(fresh).remember(epoch, batch);
        }
        if defects::planted(Defect::ForgetProducerState) {
            table.clear();
        }
        Ok(table)
    }
}

/// CRC-32C of what follows the head.
fn checksum(bytes: &[u8]) -> u32 {
    let covered = bytes.get(HEAD_BYTES..).unwrap_or_default();
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, covered);
    u32::try_from(crc).expect("a CRC-32C has 32 bits")
}

fn put_row(bytes: &mut Vec<u8>, id: ProducerId, epoch: ProducerEpoch, batch: &RememberedBatch) {
    bytes.extend(id.get().to_be_bytes());
    bytes.extend(epoch.get().to_be_bytes());
    bytes.extend(batch.last.get().to_be_bytes());
    bytes.extend(batch.last_offset.get().to_be_bytes());
    bytes.extend(batch.offset_delta.to_be_bytes());
    bytes.extend(batch.appended.get().to_be_bytes());
    // No transaction is open: coordinator epoch and first offset are "none".
    bytes.extend((-1_i32).to_be_bytes());
    bytes.extend((-1_i64).to_be_bytes());
}

fn row_error(row: usize, what: &'static str, found: i64) -> SnapshotError {
    SnapshotError::Row { row, what, found }
}

/// Takes big-endian numbers off the front; `None` at the end.
struct Cursor<'a> {
    left: &'a [u8],
}

impl Cursor<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, left) = self.left.split_first_chunk()?;
        self.left = left;
        Some(*array)
    }

    fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// `None` for a producer of whom no batch is remembered.
    fn row(
        &mut self,
        row: usize,
    ) -> Result<Option<(ProducerId, ProducerEpoch, RememberedBatch)>, SnapshotError> {
        let mut fields = || {
            let id = self.i64()?;
            let (epoch, last, last_offset) = (self.i16()?, self.i32()?, self.i64()?);
            let (delta, appended) = (self.i32()?, self.i64()?);
            // The transaction's two fields, which nothing uses yet.
            self.array::<12>()?;
            Some((id, epoch, last, last_offset, delta, appended))
        };
        let Some((id, epoch, last, last_offset, offset_delta, appended)) = fields() else {
            return Err(row_error(row, "length", 0));
        };
        let has_batch = (last, last_offset, offset_delta) != (-1, -1, 0);
        let checks = [
            ("producer id", id, id >= 0),
            ("epoch", epoch.into(), epoch >= 0),
            ("last sequence", last.into(), last >= 0 || !has_batch),
            ("offset delta", offset_delta.into(), offset_delta >= 0),
            ("last offset", last_offset, last_offset >= i64::from(offset_delta) || !has_batch),
        ];
        if let Some((what, found, _)) = checks.into_iter().find(|(_, _, good)| !good) {
            return Err(row_error(row, what, found));
        }
        if !has_batch {
            return Ok(None);
        }
        let last = Sequence::new(last);
        let batch = RememberedBatch {
            first: before(last, offset_delta),
            last,
            last_offset: Offset::new(last_offset),
            offset_delta,
            appended: TimestampMs::new(appended),
        };
        Ok(Some((ProducerId::new(id), ProducerEpoch::new(epoch), batch)))
    }
}
