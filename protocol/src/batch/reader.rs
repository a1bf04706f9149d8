//! Batches back to back, as a fetch answers them and as they lie in a segment.

use bytes::Bytes;

use super::compression::Compression;
use super::error::BatchError;
use super::header::{BatchHeader, HEADER_BYTES, verify_checksum};
use super::records::Records;
use super::scratch::{INFLATED_BYTES_MAX, Scratch};

/// Walks over batches that lie back to back; a cut batch at the end is left out, as a fetch may cut it.
///
/// Ends after the first error: what is no header does not tell where the next batch starts.
#[derive(Clone, Debug)]
pub struct BatchReader {
    bytes: Bytes,
}

impl BatchReader {
    /// Reads the batches in `bytes`.
    pub const fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    /// The bytes that were not read: nothing, a cut batch, or what follows an error.
    pub const fn rest(&self) -> &Bytes {
        &self.bytes
    }
}

impl Iterator for BatchReader {
    type Item = Result<Batch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.len() < HEADER_BYTES {
            return None;
        }
        let header = match BatchHeader::decode(&self.bytes) {
            Ok(header) => header,
            Err(error) => {
                self.bytes.clear();
                return Some(Err(error));
            }
        };
        if self.bytes.len() < header.total_bytes() {
            return None;
        }
        let bytes = self.bytes.split_to(header.total_bytes());
        Some(Ok(Batch { header, bytes }))
    }
}

/// One whole batch, shared with what it was read from. Its checksum is not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The batch's header.
    pub header: BatchHeader,
    bytes: Bytes,
}

impl Batch {
    /// The batch at the front of `bytes`; what follows it is left out.
    pub fn decode(bytes: &Bytes) -> Result<Self, BatchError> {
        let header = BatchHeader::decode(bytes)?;
        let needed = header.total_bytes();
        if bytes.len() < needed {
            return Err(BatchError::Short { needed, found: bytes.len() });
        }
        Ok(Self { header, bytes: bytes.slice(..needed) })
    }

    /// The whole batch with its header.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Compares the checksum with the bytes.
    pub fn verify_checksum(&self) -> Result<(), BatchError> {
        verify_checksum(&self.header, &self.bytes)
    }

    /// The batch's records. Those of a compressed batch are inflated, to at most [`INFLATED_BYTES_MAX`]
    /// bytes; others are slices of the batch.
    pub fn records(&self) -> Result<Records, BatchError> {
        self.records_within(INFLATED_BYTES_MAX, &mut Scratch::new())
    }

    /// The batch's records. Those of a compressed batch are inflated to at most `inflated_bytes_max` bytes
    /// with the state of `scratch`, which a reader of many batches keeps; others are slices of the batch.
    pub fn records_within(
        &self,
        inflated_bytes_max: usize,
        scratch: &mut Scratch,
    ) -> Result<Records, BatchError> {
        let data = self.bytes.slice(HEADER_BYTES..);
        let data = match self.header.attributes.compression()? {
            Compression::None => data,
            codec => scratch.inflate_shared(codec, &data, inflated_bytes_max)?,
        };
        Ok(Records::new(&self.header, data))
    }
}
