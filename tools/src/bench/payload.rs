//! What the records hold.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// Bytes to take records from. It fits a core's own cache, as a record that was just made would.
const POOL_BYTES: usize = 512 * 1024;

/// Half-random payload alternates after so many bytes.
const PIECE_BYTES: usize = 32;

/// So that two runs have the same bytes.
const SEED: u64 = 0x7468_616c_7765_6721;

/// A kind of payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No codec makes it smaller.
    Random,
    /// Pieces of random bytes and of zeros in turn: about half remains.
    HalfRandom,
    /// All zeros.
    Zero,
    /// Pieces of a file, over and over.
    File(PathBuf),
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "random" => Ok(Self::Random),
            "half-random" => Ok(Self::HalfRandom),
            "zero" => Ok(Self::Zero),
            _ => match text.strip_prefix("file:") {
                Some(path) if !path.is_empty() => Ok(Self::File(path.into())),
                _ => Err("possible are: random; half-random; zero; file:PATH".to_owned()),
            },
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Random => f.write_str("random"),
            Self::HalfRandom => f.write_str("half-random"),
            Self::Zero => f.write_str("zero"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// Where all writers take their records from.
#[derive(Clone, Debug)]
pub(super) struct Payload {
    pool: Arc<[u8]>,
    record_bytes: usize,
}

impl Payload {
    /// Makes, or reads, the bytes for records of this size.
    pub(super) fn new(kind: &Kind, record_bytes: usize) -> io::Result<Self> {
        // Wherever a record begins, it ends within the pool.
        let bytes = POOL_BYTES.max(record_bytes) + record_bytes;
        let mut pool = vec![0; bytes];
        let mut random = fastrand::Rng::with_seed(SEED);
        match kind {
            Kind::Random => random.fill(&mut pool),
            Kind::HalfRandom => {
                pool.chunks_mut(PIECE_BYTES).step_by(2).for_each(|piece| random.fill(piece));
            }
            Kind::Zero => {}
            Kind::File(path) => repeat_file(path, &mut pool)?,
        }
        Ok(Self { pool: pool.into(), record_bytes })
    }

    /// Records one after the other; each writer begins elsewhere.
    pub(super) fn cursor(&self, writer: usize) -> Cursor {
        let span = self.pool.len() - self.record_bytes;
        let at = writer.wrapping_mul(61 * 1024 + 7).checked_rem(span).unwrap_or(0);
        Cursor { payload: self.clone(), at }
    }
}

fn repeat_file(path: &Path, pool: &mut [u8]) -> io::Result<()> {
    let with_path = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display()))
    };
    let limit = u64::try_from(pool.len()).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(with_path)?;
    file.take(limit).read_to_end(&mut bytes).map_err(with_path)?;
    if bytes.is_empty() {
        return Err(with_path(io::Error::new(io::ErrorKind::InvalidData, "it is empty")));
    }
    for (place, byte) in pool.iter_mut().zip(bytes.iter().cycle()) {
        *place = *byte;
    }
    Ok(())
}

/// Where one writer stands in the pool.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    payload: Payload,
    at: usize,
}

impl Cursor {
    /// The next record.
    #[inline]
    pub(super) fn next(&mut self) -> &[u8] {
        self.values().next().unwrap_or_default()
    }

    /// All records that follow, without end.
    #[inline]
    pub(super) fn values(&mut self) -> Values<'_> {
        let Payload { pool, record_bytes } = &self.payload;
        Values { pool, record_bytes: *record_bytes, at: &mut self.at }
    }
}

/// Records one after the other.
#[derive(Debug)]
pub(super) struct Values<'a> {
    pool: &'a [u8],
    record_bytes: usize,
    at: &'a mut usize,
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let begin = *self.at;
        let end = begin + self.record_bytes;
        *self.at = if end + self.record_bytes <= self.pool.len() { end } else { 0 };
        self.pool.get(begin..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_has_its_size_wherever_it_begins() {
        for record_bytes in [1, 100, 1_024, 3 * POOL_BYTES] {
            let payload = Payload::new(&Kind::HalfRandom, record_bytes).unwrap();
            for writer in 0..3 {
                let mut cursor = payload.cursor(writer);
                for _ in 0..2_000 {
                    assert_eq!(cursor.next().len(), record_bytes);
                }
            }
        }
    }

    #[test]
    fn kinds_are_read_as_they_are_shown() {
        for text in ["random", "half-random", "zero", "file:/etc/hosts"] {
            assert_eq!(text.parse::<Kind>().unwrap().to_string(), text);
        }
        assert!("file:".parse::<Kind>().unwrap_err().contains("half-random"));
    }

    #[test]
    fn a_file_is_repeated_and_one_that_is_missing_or_empty_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, "abc").unwrap();
        let payload = Payload::new(&Kind::File(path.clone()), 4).unwrap();
        let mut cursor = payload.cursor(0);
        assert_eq!((cursor.next().to_vec(), cursor.next()), (b"abca".to_vec(), b"bcab".as_slice()));
        std::fs::write(&path, "").unwrap();
        for kind in [Kind::File(path), Kind::File(folder.path().join("none"))] {
            let error = Payload::new(&kind, 4).unwrap_err().to_string();
            assert!(error.starts_with("cannot read ") && error.contains(": "), "{error}");
        }
    }
}
