//! Small files that are replaced as a whole: after a crash the old content is there, or the new one.
//!
//! ```text
//!     0  4   "THLW"
//!     4  4   what the file holds, four letters
//!     8  2   version of the content
//!    10  2   0
//!    12  4   length of the content in bytes
//!    16  4   CRC-32 of bytes 0 to 16 and of the content
//!    20  …   content
//! ```
//!
//! Owns this frame and the order of steps: write aside, sync, rename, sync the folder. Knows no content.
//! Invariant: content that comes out of [`read()`] is what [`write()`] was given, or an error says why not.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::fs::FileSystem;

/// Bytes before the content.
pub const HEAD_BYTES: usize = 20;

const MAGIC: [u8; 4] = *b"THLW";

/// What a checkpoint file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointFormat {
    /// Four letters that name the content.
    pub tag: [u8; 4],
    /// The version that is written; this one and older ones are read.
    pub version: u16,
    /// Bound of the content, in bytes; a larger file is refused unread.
    pub bytes_max: usize,
}

/// What a checkpoint file held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Version of the content; at least 1, at most the format's.
    pub version: u16,
    /// The content.
    pub content: Vec<u8>,
}

/// Why a checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system refused.
    #[error("{}: cannot {action} the checkpoint: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What was tried: `read` or `write`.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The file does not hold what it should.
    #[error(
        "{}: checkpoint is damaged: {damage}; \
         it can be removed if what it says may be found out again", file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, with the numbers.
        damage: Damage,
    },
}

impl CheckpointError {
    /// Whether the disk is full.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }
}

/// What is wrong with a checkpoint's bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file is too short for its head.
    #[error("{found} bytes, a head alone has {HEAD_BYTES}")]
    Short {
        /// The file's length.
        found: usize,
    },
    /// The file is longer than the content may be.
    #[error("more than {bytes_max} bytes of content")]
    TooLong {
        /// The bound.
        bytes_max: usize,
    },
    /// The file holds something else.
    #[error("holds {found:?}, expected {expected:?}")]
    Tag {
        /// The eight letters that it should begin with.
        expected: String,
        /// Those that it begins with.
        found: String,
    },
    /// A version that this release does not know.
    #[error("version {found} is unknown, this release reads 1 to {known}")]
    Version {
        /// The newest known version.
        known: u16,
        /// The version in the file.
        found: u16,
    },
    /// The length in the head is not that of the file.
    #[error("{found} bytes of content, the head says {expected}")]
    Length {
        /// The head's length.
        expected: u32,
        /// The length of what follows the head.
        found: usize,
    },
    /// The bytes are not those that were written.
    #[error("checksum {found:#010x}, expected {expected:#010x}")]
    Checksum {
        /// What the bytes give.
        expected: u32,
        /// What the head says.
        found: u32,
    },
    /// The content is not what its version says.
    #[error("{0}")]
    Content(String),
}

/// Replaces the file at `path` by one that holds `bytes`. When this returns, `bytes` are on stable storage
/// under that name; after an error or a crash the old file is there, or the new one.
///
/// Two callers must not replace the same file at once.
pub fn replace_file(fs: &dyn FileSystem, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = aside(path);
    // A crash may have left one.
    if fs.exists(&aside) {
        fs.remove(&aside)?;
    }
    let written = write_aside(fs, &aside, bytes).and_then(|()| fs.rename(&aside, path));
    if let Err(error) = written {
        // Room taken by half a file is missing elsewhere; what cannot be removed is removed next time.
        drop(fs.remove(&aside));
        return Err(error);
    }
    match path.parent() {
        Some(folder) => fs.sync_folder(folder),
        None => Ok(()),
    }
}

fn write_aside(fs: &dyn FileSystem, aside: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = fs.create(aside)?;
    file.write_at(0, &[bytes])?;
    file.sync()
}

/// Where the new content is gathered: the same name with `.tmp` behind it.
pub(crate) fn aside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".tmp");
    name.into()
}

/// Replaces the checkpoint at `path`, durably.
pub fn write(
    fs: &dyn FileSystem,
    path: &Path,
    format: &CheckpointFormat,
    content: &[u8],
) -> Result<(), CheckpointError> {
    assert!(content.len() <= format.bytes_max, "{}: content beyond its bound", path.display());
    replace_file(fs, path, &encode(format, content)).map_err(|source| CheckpointError::Io {
        file: path.to_owned(),
        action: "write",
        source,
    })
}

/// Reads the checkpoint at `path`; `None` if there is none.
pub fn read(
    fs: &dyn FileSystem,
    path: &Path,
    format: &CheckpointFormat,
) -> Result<Option<Checkpoint>, CheckpointError> {
    if !fs.exists(path) {
        return Ok(None);
    }
    let damaged = |damage| CheckpointError::Damaged { file: path.to_owned(), damage };
    // One byte more than allowed tells a file that is too long from one that just fits.
    let bytes_max = format.bytes_max.saturating_add(HEAD_BYTES);
    let bytes = fs.read_small(path, bytes_max).map_err(|source| match source.kind() {
        io::ErrorKind::FileTooLarge => damaged(Damage::TooLong { bytes_max: format.bytes_max }),
        _ => CheckpointError::Io { file: path.to_owned(), action: "read", source },
    })?;
    decode(format, &bytes).map(Some).map_err(damaged)
}

fn encode(format: &CheckpointFormat, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("checkpoints are bounded far below 4 GiB");
    let mut bytes = Vec::with_capacity(HEAD_BYTES + content.len());
    bytes.extend(MAGIC);
    bytes.extend(format.tag);
    bytes.extend(format.version.to_be_bytes());
    bytes.extend([0; 2]);
    bytes.extend(length.to_be_bytes());
    bytes.extend(checksum(&bytes, content).to_be_bytes());
    bytes.extend(content);
    bytes
}

fn decode(format: &CheckpointFormat, bytes: &[u8]) -> Result<Checkpoint, Damage> {
    let Some((head, content)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Err(Damage::Short { found: bytes.len() });
    };
    let [m0, m1, m2, m3, t0, t1, t2, t3, v0, v1, z0, z1, l0, l1, l2, l3, c0, c1, c2, c3] = *head;
    if [m0, m1, m2, m3] != MAGIC || [t0, t1, t2, t3] != format.tag || [z0, z1] != [0; 2] {
        let letters = |bytes: [&[u8]; 2]| String::from_utf8_lossy(&bytes.concat()).into_owned();
        return Err(Damage::Tag {
            expected: letters([&MAGIC, &format.tag]),
            found: letters([&[m0, m1, m2, m3], &[t0, t1, t2, t3]]),
        });
    }
    // The checksum comes before the version: a flipped bit in the version is damage, not the future.
    let covered = head.get(..16).unwrap_or_default();
    let (expected, found) = (checksum(covered, content), u32::from_be_bytes([c0, c1, c2, c3]));
    let length = u32::from_be_bytes([l0, l1, l2, l3]);
    if usize::try_from(length) != Ok(content.len()) {
        return Err(Damage::Length { expected: length, found: content.len() });
    }
    if expected != found {
        return Err(Damage::Checksum { expected, found });
    }
    let version = u16::from_be_bytes([v0, v1]);
    if version == 0 || version > format.version {
        return Err(Damage::Version { known: format.version, found: version });
    }
    Ok(Checkpoint { version, content: content.to_vec() })
}

fn checksum(head: &[u8], content: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(head);
    crc.update(content);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: CheckpointFormat =
        CheckpointFormat { tag: *b"TEST", version: 3, bytes_max: 1000 };

    #[test]
    fn content_reads_back() {
        for content in [&b""[..], b"x", &[7; 1000]] {
            let bytes = encode(&FORMAT, content);
            let expected = Checkpoint { version: 3, content: content.to_vec() };
            assert_eq!(decode(&FORMAT, &bytes), Ok(expected));
        }
    }

    #[test]
    fn older_versions_are_read_and_newer_ones_refused() {
        let older = CheckpointFormat { version: 1, ..FORMAT };
        assert_eq!(decode(&FORMAT, &encode(&older, b"x")).unwrap().version, 1);
        let error = decode(&older, &encode(&FORMAT, b"x")).unwrap_err();
        assert_eq!(error.to_string(), "version 3 is unknown, this release reads 1 to 1");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let good = encode(&FORMAT, b"some content");
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&FORMAT, &bytes).is_err(), "bit {bit}");
        }
        for length in 0..good.len() {
            assert!(decode(&FORMAT, &good[..length]).is_err(), "length {length}");
        }
        assert!(decode(&FORMAT, &[&good[..], b"x"].concat()).is_err());
    }

    #[test]
    fn another_file_of_ours_is_told_by_its_tag() {
        let other = CheckpointFormat { tag: *b"ELSE", ..FORMAT };
        let error = decode(&FORMAT, &encode(&other, b"x")).unwrap_err();
        assert_eq!(error.to_string(), "holds \"THLWELSE\", expected \"THLWTEST\"");
    }
}
