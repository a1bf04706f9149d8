//! The 61 bytes in front of every batch, and the checksum over what follows them.

use super::attributes::Attributes;
use super::error::BatchError;
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

/// The size of a batch's header.
pub const HEADER_BYTES: usize = 61;
/// The bytes up to and including the length field, which the length field does not count.
pub const LENGTH_END: usize = 12;
/// The only format that is read and written.
pub const MAGIC: u8 = 2;

/// Where the checksummed bytes start: at the attributes, behind base offset, length, leader epoch, magic
/// and checksum.
pub(super) const CHECKED_FROM: usize = 21;
/// The smallest length field: a header without the 12 bytes that it does not count.
const LENGTH_MIN: i32 = 49;

/// The header of a record batch.
///
/// ```text
///  0        8      12          16   17   21         23                 27              35
///  |offset  |length|leader     |mag-|CRC |attributes|last offset delta |base timestamp |
///  |i64     |i32   |epoch i32  |ic  |u32 |i16       |i32               |i64            |
/// 35              43           51             53             57           61
///  |max timestamp |producer id |producer epoch|base sequence |record count| records ...
///  |i64           |i64         |i16           |i32           |i32         |
/// ```
///
/// The checksum covers byte 21 to the end, so that a leader can set offset and epoch of a batch that it
/// does not touch otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset of the first record; 0 as a producer sends it.
    pub base_offset: Offset,
    /// The bytes of the batch behind the length field: 49 of the header, then the records.
    pub length: u32,
    /// The epoch of the leader that appended it; -1 as a producer sends it.
    pub leader_epoch: LeaderEpoch,
    /// The format: always 2.
    pub magic: u8,
    /// CRC-32C of the bytes from the attributes on.
    pub crc: u32,
    /// Codec, timestamp type, transaction and control bits.
    pub attributes: Attributes,
    /// The offset of the last record, counted from the base offset; compaction keeps it.
    pub last_offset_delta: i32,
    /// What the records' timestamps are counted from.
    pub base_timestamp: TimestampMs,
    /// The largest timestamp; the time of the append with `LogAppendTime`.
    pub max_timestamp: TimestampMs,
    /// The idempotent producer, or -1.
    pub producer: ProducerId,
    /// The life of that producer, or -1.
    pub producer_epoch: ProducerEpoch,
    /// The sequence of the first record, or -1.
    pub base_sequence: Sequence,
    /// How many records there are; compaction may leave none.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the front of `bytes`; what follows it is not looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, BatchError> {
        let short = BatchError::Short { needed: HEADER_BYTES, found: bytes.len() };
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(short)?;
        let length = i32::from_be_bytes(field(bytes, 8));
        let magic = bytes[16];
        if magic != MAGIC {
            return Err(BatchError::Magic { found: magic });
        }
        if length < LENGTH_MIN {
            return Err(BatchError::Length { found: length });
        }
        Ok(Self {
            base_offset: Offset::new(i64::from_be_bytes(field(bytes, 0))),
            length: length.cast_unsigned(),
            leader_epoch: LeaderEpoch::new(i32::from_be_bytes(field(bytes, 12))),
            magic,
            crc: u32::from_be_bytes(field(bytes, 17)),
            attributes: Attributes::new(i16::from_be_bytes(field(bytes, 21))),
            last_offset_delta: i32::from_be_bytes(field(bytes, 23)),
            base_timestamp: TimestampMs::new(i64::from_be_bytes(field(bytes, 27))),
            max_timestamp: TimestampMs::new(i64::from_be_bytes(field(bytes, 35))),
            producer: ProducerId::new(i64::from_be_bytes(field(bytes, 43))),
            producer_epoch: ProducerEpoch::new(i16::from_be_bytes(field(bytes, 51))),
            base_sequence: Sequence::new(i32::from_be_bytes(field(bytes, 53))),
            record_count: i32::from_be_bytes(field(bytes, 57)),
        })
    }

    /// The header's bytes; the checksum stands there as it is, it is not computed.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        put(&mut bytes, 0, self.base_offset.get().to_be_bytes());
        put(&mut bytes, 8, self.length.to_be_bytes());
        put(&mut bytes, 12, self.leader_epoch.get().to_be_bytes());
        put(&mut bytes, 16, [self.magic]);
        put(&mut bytes, 17, self.crc.to_be_bytes());
        put(&mut bytes, 21, self.attributes.get().to_be_bytes());
        put(&mut bytes, 23, self.last_offset_delta.to_be_bytes());
        put(&mut bytes, 27, self.base_timestamp.get().to_be_bytes());
        put(&mut bytes, 35, self.max_timestamp.get().to_be_bytes());
        put(&mut bytes, 43, self.producer.get().to_be_bytes());
        put(&mut bytes, 51, self.producer_epoch.get().to_be_bytes());
        put(&mut bytes, 53, self.base_sequence.get().to_be_bytes());
        put(&mut bytes, 57, self.record_count.to_be_bytes());
        bytes
    }

    /// The size of the whole batch in bytes.
    pub fn total_bytes(&self) -> usize {
        // `usize` has at least 32 bits on every machine that we build for.
        usize::try_from(self.length).unwrap_or(usize::MAX).saturating_add(LENGTH_END)
    }

    /// The offset of the last record, counted as if compaction had taken none.
    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(i64::from(self.last_offset_delta))
    }

    /// The offset that the next batch starts at, or a later one.
    pub fn next_offset(&self) -> Offset {
        self.last_offset().next()
    }

    /// The sequence of the last record, or -1 when the producer is not idempotent.
    pub fn last_sequence(&self) -> Sequence {
        if self.base_sequence == Sequence::NONE {
            return Sequence::NONE;
        }
        self.base_sequence.plus(self.last_offset_delta)
    }

    /// Whether the batch is from an idempotent producer.
    pub fn is_idempotent(&self) -> bool {
        self.producer != ProducerId::NONE
    }
}

/// CRC-32C of a batch: of its bytes from the attributes on.
pub fn checksum(batch: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(batch.get(CHECKED_FROM..).unwrap_or_default())
}

/// Compares the checksum in `header` with that of `batch`, which starts with that header; what lies beyond
/// the batch is left out.
pub fn verify_checksum(header: &BatchHeader, batch: &[u8]) -> Result<(), BatchError> {
    let needed = header.total_bytes();
    let short = BatchError::Short { needed, found: batch.len() };
    let found = checksum(batch.get(..needed).ok_or(short)?);
    if found == header.crc {
        Ok(())
    } else {
        Err(BatchError::Checksum { expected: header.crc, found })
    }
}

/// The first 16 bytes of `batch` with base offset and leader epoch set; the rest of the batch follows as it
/// is, for neither is under the checksum.
///
/// # Panics
/// When `batch` is shorter than a header: only checked batches get an offset.
pub fn patched_head(batch: &[u8], base_offset: Offset, leader_epoch: LeaderEpoch) -> [u8; 16] {
    let mut head: [u8; 16] = *batch.first_chunk().expect("a checked batch has a header");
    put(&mut head, 0, base_offset.get().to_be_bytes());
    put(&mut head, 12, leader_epoch.get().to_be_bytes());
    head
}

/// The header of `batch` with base offset, leader epoch and the time of the append set, and the new
/// checksum; the rest of the batch follows as it is.
///
/// # Panics
/// When `batch` is shorter than a header: only checked batches get a time.
pub fn stamped_head(
    batch: &[u8],
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    append_time: TimestampMs,
) -> [u8; HEADER_BYTES] {
    let (head, records) = batch.split_first_chunk().expect("a checked batch has a header");
    let mut head: [u8; HEADER_BYTES] = *head;
    let attributes = Attributes::new(i16::from_be_bytes(field(&head, 21))).with_log_append_time();
    put(&mut head, 0, base_offset.get().to_be_bytes());
    put(&mut head, 12, leader_epoch.get().to_be_bytes());
    put(&mut head, 21, attributes.get().to_be_bytes());
    put(&mut head, 35, append_time.get().to_be_bytes());
    let crc = checksum_of_parts(&head, records);
    put(&mut head, 17, crc.to_be_bytes());
    head
}

/// The checksum of a batch whose header and records are apart.
pub(super) fn checksum_of_parts(head: &[u8; HEADER_BYTES], records: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(head.get(CHECKED_FROM..).unwrap_or_default());
    digest.update(records);
    u32::try_from(digest.finalize()).expect("a 32-bit checksum has 32 bits")
}

/// The field of `N` bytes at `at`; a constant position within the header.
#[inline]
pub(super) fn field<const N: usize>(bytes: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    *bytes.get(at..).and_then(<[u8]>::first_chunk).expect("the field lies within the header")
}

/// Writes a field at `at`; a constant position within the header.
#[inline]
pub(super) fn put<const N: usize>(bytes: &mut [u8], at: usize, field: [u8; N]) {
    *bytes
        .get_mut(at..)
        .and_then(<[u8]>::first_chunk_mut)
        .expect("the field lies within the header") = field;
}
