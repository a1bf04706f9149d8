//! Compresses the records of a batch; the codecs' states are made once and kept.

use std::fmt;

use lz4_flex::block::CompressTable;
use snap::raw::Encoder;
use zstd::bulk::Compressor;

use super::{gzip, lz4, snappy, zstandard};
use crate::batch::compression::Compression;

/// A codec could not get the memory for its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::batch) struct NoMemory;

/// One codec with its level and state.
pub(in crate::batch) struct Deflater {
    codec: Compression,
    level: Option<i32>,
    lz4: Option<CompressTable>,
    snappy: Option<Encoder>,
    zstd: Option<Compressor<'static>>,
}

impl Deflater {
    /// A codec with its default level (`None`) or another one; only gzip (1 to 9) and zstd have levels.
    pub(in crate::batch) const fn new(codec: Compression, level: Option<i32>) -> Self {
        Self { codec, level, lz4: None, snappy: None, zstd: None }
    }

    /// The codec.
    pub(in crate::batch) const fn codec(&self) -> Compression {
        self.codec
    }

    /// Compresses `data` into `out`, in place of what that held; after an error `out` is of no use.
    pub(in crate::batch) fn deflate(
        &mut self,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), NoMemory> {
        out.clear();
        match self.codec {
            Compression::None => {
                out.extend_from_slice(data);
                Ok(())
            }
            Compression::Gzip => gzip::deflate(data, self.level, out),
            Compression::Snappy => {
                snappy::deflate(self.snappy.get_or_insert_with(Encoder::new), data, out)
            }
            Compression::Lz4 => {
                lz4::deflate(self.lz4.get_or_insert_with(CompressTable::large), data, out)
            }
            Compression::Zstd => zstandard::deflate(&mut self.zstd, data, self.level, out),
        }
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater")
            .field("codec", &self.codec)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}
