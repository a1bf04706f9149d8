//! The codecs that a batch may be compressed with, by name and number.

use std::fmt;
use std::str::FromStr;

/// How the records of a batch are compressed. The header of a batch never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// Gzip (deflate): small, slow.
    Gzip,
    /// Snappy in Xerial's framing, as Kafka's Java client writes it; raw snappy is read as well.
    Snappy,
    /// LZ4 in its frame format: fast.
    Lz4,
    /// Zstandard: small and reasonably fast.
    Zstd,
}

/// A text names no codec.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no codec is named {0:?}; there are none, gzip, snappy, lz4, zstd")]
pub struct UnknownCompression(pub String);

impl Compression {
    /// Every codec, in the order of its number.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The number in the lowest three bits of a batch's attributes.
    pub const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The codec with this number; 5, 6 and 7 name none.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The name in settings and options: `none`, `gzip`, `snappy`, `lz4`, `zstd`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Compression {
    type Err = UnknownCompression;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|codec| codec.name() == text);
        named.ok_or_else(|| UnknownCompression(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_read_back_from_name_and_number() {
        for codec in Compression::ALL {
            assert_eq!(codec.to_string().parse(), Ok(codec));
            assert_eq!(Compression::from_number(codec.number()), Some(codec));
        }
        assert_eq!(Compression::from_number(5), None);
    }

    #[test]
    fn an_unknown_name_is_told_with_the_known_ones() {
        let error = "brotli".parse::<Compression>().unwrap_err().to_string();
        assert!(error.contains("brotli") && error.contains("zstd"), "{error}");
    }
}
