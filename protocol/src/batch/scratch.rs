//! Memory for inflating: bounded, and used again.

use bytes::Bytes;

use super::codecs::{
    InflateFault, Output, ZstdInflater, inflate_gzip, inflate_lz4, inflate_snappy,
};
use super::compression::Compression;
use super::error::BatchError;

/// What a batch may inflate to where nobody says otherwise: 64 MiB.
pub const INFLATED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What one compressed byte may inflate to where nobody says otherwise: gzip cannot do more.
pub const RATIO_MAX: usize = 1032;
/// Memory up to this many bytes is kept for the next batch.
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Memory for inflating, which many batches use one after the other. Holds nothing before the first
/// compressed batch, and at most 4 MiB between two batches.
#[derive(Debug, Default)]
pub struct Scratch {
    output: Output,
    zstd: ZstdInflater,
    /// Room that it was made with, and keeps.
    kept_bytes: usize,
}

impl Scratch {
    /// Empty; takes memory when it is needed.
    pub fn new() -> Self {
        Self::default()
    }

    /// With room for `bytes` made at once: growing towards it would hold half as much again on the way. What is not
    /// written to takes no memory. It keeps that room.
    pub fn with_room(bytes: usize) -> Self {
        Self { output: Output::with_room(bytes), zstd: ZstdInflater::default(), kept_bytes: bytes }
    }

    /// How much memory it holds now, in bytes, less the codecs' own states.
    pub fn held_bytes(&self) -> usize {
        self.output.capacity()
    }

    /// Inflates `data` to at most `inflated_bytes_max` bytes.
    pub(super) fn inflate(
        &mut self,
        codec: Compression,
        data: &[u8],
        inflated_bytes_max: usize,
    ) -> Result<&[u8], BatchError> {
        self.output.start(inflated_bytes_max);
        let output = &mut self.output;
        // Compaction may leave a compressed batch without a record, and without a byte.
        let result = match codec {
            _ if data.is_empty() => Ok(()),
            Compression::None => output.put(data),
            Compression::Gzip => inflate_gzip(data, output),
            Compression::Snappy => inflate_snappy(data, output),
            Compression::Lz4 => inflate_lz4(data, output),
            Compression::Zstd => self.zstd.inflate(data, output),
        };
        let compressed = data.len();
        match result {
            Ok(()) => Ok(self.output.written()),
            Err(InflateFault::Full) => {
                Err(BatchError::Inflated { codec, compressed, inflated_bytes_max })
            }
            Err(InflateFault::Corrupt(problem)) => {
                Err(BatchError::Compressed { codec, compressed, problem })
            }
        }
    }

    /// As [`Self::inflate`], into memory of its own that records can share.
    pub(super) fn inflate_shared(
        &mut self,
        codec: Compression,
        data: &[u8],
        inflated_bytes_max: usize,
    ) -> Result<Bytes, BatchError> {
        let shared = self.inflate(codec, data, inflated_bytes_max).map(Bytes::copy_from_slice);
        self.release();
        shared
    }

    /// Gives back what one unusually large batch has taken.
    pub(super) fn release(&mut self) {
        if self.output.capacity() > KEPT_BYTES_MAX.max(self.kept_bytes) {
            self.output = Output::default();
        }
    }
}
