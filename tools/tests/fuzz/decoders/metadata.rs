//! The metadata's records, and what they add up to.

use bytes::Bytes;
use thalweg_broker::cluster::{Image, MetadataIndex, Record, Term};
use thalweg_protocol::codec::Reader;

use super::{Decoder, golden};

const METADATA: &str = "broker/tests/golden/metadata";

/// Magic, format, zeros, base index, CRC-32.
const LOG_HEAD_BYTES: usize = 24;

/// Length and CRC-32; then index, term and number of records.
const ENTRY_HEAD_BYTES: usize = 8 + 20;

pub(super) fn all() -> Vec<Decoder> {
    vec![Decoder::quick("metadata records", entries(), |_| {}, replay)]
}

/// The records of each entry of the golden logs.
fn entries() -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    for log in golden::files(METADATA, ".log") {
        let mut rest = &log[LOG_HEAD_BYTES..];
        while let Some(length) = rest.first_chunk::<4>() {
            let end = 8 + usize::try_from(u32::from_be_bytes(*length)).unwrap();
            entries.push(rest[ENTRY_HEAD_BYTES..end].to_vec());
            rest = &rest[end..];
        }
    }
    // All in one, so that changes meet an image that holds something.
    entries.push(entries.concat());
    entries
}

/// Decodes records one after the other and applies each to the image so far.
fn replay(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(Bytes::copy_from_slice(bytes));
    let mut image = Image::default();
    let mut whole = true;
    while whole && reader.remaining() > 0 {
        let Ok(record) = Record::decode(&mut reader) else { return false };
        match image.with_entry(image.index().next(), Term::FIRST, &[record]) {
            Ok(next) => image = next,
            Err(_) => whole = false,
        }
    }
    whole && image.index() > MetadataIndex::ZERO
}
