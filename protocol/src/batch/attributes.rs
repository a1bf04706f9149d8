//! The attribute bits of a batch.

use std::fmt;
use std::str::FromStr;

use super::compression::Compression;
use super::error::BatchError;

const CODEC: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const DELETE_HORIZON: i16 = 1 << 6;

/// Which clock a record's timestamp is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// Each record bears the time that its producer gave it.
    #[default]
    CreateTime,
    /// All records bear the time at which the leader appended them: the batch's largest timestamp.
    LogAppendTime,
}

/// A text names no timestamp type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no timestamp type is named {0:?}; there are CreateTime, LogAppendTime")]
pub struct UnknownTimestampType(pub String);

impl fmt::Display for TimestampType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CreateTime => "CreateTime",
            Self::LogAppendTime => "LogAppendTime",
        })
    }
}

impl FromStr for TimestampType {
    type Err = UnknownTimestampType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "CreateTime" => Ok(Self::CreateTime),
            "LogAppendTime" => Ok(Self::LogAppendTime),
            other => Err(UnknownTimestampType(other.to_owned())),
        }
    }
}

/// The attribute bits of a batch.
///
/// ```text
/// bit  15 .. 7   6               5        4              3               2 .. 0
///      unused    delete horizon  control  transactional  log append time  codec
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Attributes(i16);

impl Attributes {
    /// From the number in the header.
    pub const fn new(bits: i16) -> Self {
        Self(bits)
    }

    /// The number in the header.
    pub const fn get(self) -> i16 {
        self.0
    }

    /// How the records are compressed.
    pub fn compression(self) -> Result<Compression, BatchError> {
        let number = self.0.to_be_bytes()[1] & 0b111;
        Compression::from_number(number).ok_or(BatchError::Codec { found: number })
    }

    /// Which clock the timestamps are from.
    pub const fn timestamp_type(self) -> TimestampType {
        if self.has(LOG_APPEND_TIME) {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    /// Whether the batch belongs to a transaction.
    pub const fn is_transactional(self) -> bool {
        self.has(TRANSACTIONAL)
    }

    /// Whether the batch holds a marker instead of data.
    pub const fn is_control(self) -> bool {
        self.has(CONTROL)
    }

    /// Whether compaction has put its delete horizon into the base timestamp.
    pub const fn has_delete_horizon(self) -> bool {
        self.has(DELETE_HORIZON)
    }

    /// These bits with another codec.
    #[must_use]
    pub fn with_compression(self, codec: Compression) -> Self {
        Self((self.0 & !CODEC) | i16::from(codec.number()))
    }

    /// These bits with the timestamps of the leader's clock.
    #[must_use]
    pub const fn with_log_append_time(self) -> Self {
        Self(self.0 | LOG_APPEND_TIME)
    }

    /// These bits as part of a transaction.
    #[must_use]
    pub const fn with_transactional(self) -> Self {
        Self(self.0 | TRANSACTIONAL)
    }

    /// These bits for a batch that holds a marker.
    #[must_use]
    pub const fn with_control(self) -> Self {
        Self(self.0 | CONTROL)
    }

    /// These bits with the delete horizon in the base timestamp.
    #[must_use]
    pub const fn with_delete_horizon(self) -> Self {
        Self(self.0 | DELETE_HORIZON)
    }

    /// These bits with the base timestamp being just that.
    #[must_use]
    pub const fn without_delete_horizon(self) -> Self {
        Self(self.0 & !DELETE_HORIZON)
    }

    /// The bits that only the broker sets, or that no version defines.
    pub(super) const fn foreign_to_producers(self) -> i16 {
        self.0 & !(CODEC | LOG_APPEND_TIME | TRANSACTIONAL | CONTROL)
    }

    const fn has(self, bit: i16) -> bool {
        self.0 & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bit_has_its_meaning() {
        let plain = Attributes::default();
        assert_eq!(plain.compression(), Ok(Compression::None));
        assert_eq!(plain.timestamp_type(), TimestampType::CreateTime);
        assert!(!plain.is_transactional() && !plain.is_control() && !plain.has_delete_horizon());

        let full = plain
            .with_compression(Compression::Zstd)
            .with_log_append_time()
            .with_transactional()
            .with_control();
        assert_eq!(full.get(), 0b11_1100);
        assert_eq!(full.compression(), Ok(Compression::Zstd));
        assert_eq!(full.timestamp_type(), TimestampType::LogAppendTime);
        assert!(full.is_transactional() && full.is_control());
        let horizon = full.with_delete_horizon();
        assert!(horizon.has_delete_horizon());
        assert_eq!(horizon.without_delete_horizon(), full);
    }

    #[test]
    fn codec_numbers_without_a_codec_are_refused() {
        for number in 5..8_u8 {
            let attributes = Attributes::new(i16::from(number));
            assert_eq!(attributes.compression(), Err(BatchError::Codec { found: number }));
        }
    }

    #[test]
    fn timestamp_types_read_back_from_their_text() {
        for kind in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("createtime".parse::<TimestampType>().is_err());
    }
}
