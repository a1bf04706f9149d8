//! Control batches: the markers that end a transaction, written by brokers and skipped by consumers.
//!
//! A control batch holds one record. Its key is `version i16 = 0, kind i16` (0 abort, 1 commit), its value
//! `version i16 = 0, coordinator epoch i32`.

use bytes::Bytes;

use super::attributes::Attributes;
use super::builder::{BatchBuilder, NO_HEADERS};
use super::compression::Compression;
use super::error::BatchError;
use super::header::{HEADER_BYTES, checksum, put};
use crate::{ProducerEpoch, ProducerId, Sequence, TimestampMs};

/// The version of keys and values that is written; later ones may be longer and are read as well.
const VERSION: i16 = 0;

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Marker {
    /// Its records do not count.
    Abort,
    /// Its records count.
    Commit,
}

/// What a control record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ControlRecord {
    /// How the transaction ended.
    pub marker: Marker,
    /// The epoch of the coordinator that ended it.
    pub coordinator_epoch: i32,
}

impl ControlRecord {
    /// The record's key.
    pub const fn encode_key(&self) -> [u8; 4] {
        let kind: i16 = match self.marker {
            Marker::Abort => 0,
            Marker::Commit => 1,
        };
        let ([v0, v1], [k0, k1]) = (VERSION.to_be_bytes(), kind.to_be_bytes());
        [v0, v1, k0, k1]
    }

    /// The record's value.
    pub const fn encode_value(&self) -> [u8; 6] {
        let ([v0, v1], [e0, e1, e2, e3]) =
            (VERSION.to_be_bytes(), self.coordinator_epoch.to_be_bytes());
        [v0, v1, e0, e1, e2, e3]
    }

    /// Reads key and value; `None` for a kind of control record that is no marker of a transaction.
    pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<Self>, BatchError> {
        let (version, rest) = take_version(key, "a key of 4 bytes expected")?;
        let kind: &[u8; 2] =
            rest.first_chunk().ok_or_else(|| short("a key of 4 bytes expected", key))?;
        if version < 0 {
            return Err(negative(version));
        }
        let marker = match i16::from_be_bytes(*kind) {
            0 => Marker::Abort,
            1 => Marker::Commit,
            _ => return Ok(None),
        };
        let (version, rest) = take_version(value, "a value of 6 bytes expected")?;
        let epoch: &[u8; 4] =
            rest.first_chunk().ok_or_else(|| short("a value of 6 bytes expected", value))?;
        if version < 0 {
            return Err(negative(version));
        }
        Ok(Some(Self { marker, coordinator_epoch: i32::from_be_bytes(*epoch) }))
    }

    /// A whole control batch with this record, with base offset 0 and leader epoch -1.
    pub fn to_batch(
        &self,
        producer: ProducerId,
        producer_epoch: ProducerEpoch,
        timestamp: TimestampMs,
    ) -> Bytes {
        let (key, value) = (self.encode_key(), self.encode_value());
        let mut builder = BatchBuilder::new(Compression::None, HEADER_BYTES);
        builder.try_append(timestamp, Some(&key), Some(&value), NO_HEADERS);
        let mut batch = builder.build(producer, producer_epoch, Sequence::NONE).to_vec();
        let attributes = Attributes::default().with_transactional().with_control();
        put(&mut batch, 21, attributes.get().to_be_bytes());
        let crc = checksum(&batch);
        put(&mut batch, 17, crc.to_be_bytes());
        batch.into()
    }
}

fn take_version<'a>(
    field: Option<&'a [u8]>,
    problem: &'static str,
) -> Result<(i16, &'a [u8]), BatchError> {
    let (version, rest) =
        field.unwrap_or_default().split_first_chunk().ok_or_else(|| short(problem, field))?;
    Ok((i16::from_be_bytes(*version), rest))
}

fn short(problem: &'static str, field: Option<&[u8]>) -> BatchError {
    let found = field.map_or(-1, |field| i64::try_from(field.len()).unwrap_or(i64::MAX));
    BatchError::ControlRecord { problem, found }
}

fn negative(version: i16) -> BatchError {
    BatchError::ControlRecord { problem: "version 0 or above expected", found: i64::from(version) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: Option<&[u8]> = Some(&[0, 0, 0, 0, 0, 3]);

    #[test]
    fn markers_read_back_also_from_later_versions() {
        let abort = ControlRecord { marker: Marker::Abort, coordinator_epoch: 3 };
        assert_eq!(ControlRecord::decode(Some(&abort.encode_key()), VALUE), Ok(Some(abort)));
        let commit = ControlRecord { marker: Marker::Commit, coordinator_epoch: 3 };
        let later = [0, 7, 0, 0, 0, 3, 9];
        assert_eq!(ControlRecord::decode(Some(&[0, 7, 0, 1, 9]), Some(&later)), Ok(Some(commit)));
    }

    #[test]
    fn control_records_that_are_no_markers_are_told_apart() {
        for kind in [2, 3, 0xff] {
            assert_eq!(ControlRecord::decode(Some(&[0, 0, 0, kind]), None), Ok(None));
        }
    }

    #[test]
    fn damaged_control_records_are_refused() {
        let key: Option<&[u8]> = Some(&[0, 0, 0, 1]);
        for (key, value, found) in [
            (None, VALUE, -1),
            (Some([0, 0, 0].as_slice()), VALUE, 3),
            (Some([0].as_slice()), VALUE, 1),
            (key, None, -1),
            (key, Some([0, 0, 0, 0, 0].as_slice()), 5),
            (Some([0xff, 0xff, 0, 1].as_slice()), VALUE, -1),
            (key, Some([0xff, 0xfe, 0, 0, 0, 3].as_slice()), -2),
        ] {
            let error = ControlRecord::decode(key, value).unwrap_err();
            assert!(
                matches!(error, BatchError::ControlRecord { found: told, .. } if told == found),
                "{error}"
            );
        }
    }
}
