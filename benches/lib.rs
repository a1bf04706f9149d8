//! What the benchmarks share: batches of a given shape.
//!
//! Figures are ratios against something in the same run; see `docs/adr/0003-appends-by-pwrite-reads-by-map.md` for
//! the first question that was answered so.

use bytes::Bytes;
use thalweg_protocol::batch::{BatchBuilder, Compression};
use thalweg_protocol::{ProducerEpoch, ProducerId, Sequence, TimestampMs};

/// One uncompressed batch of `records` records with values of `value_bytes` bytes each.
pub fn batch(records: usize, value_bytes: usize) -> Bytes {
    let value = vec![b'x'; value_bytes];
    let mut builder = BatchBuilder::new(Compression::None, usize::MAX / 2);
    fill(&mut builder, records, &value);
    builder.build(ProducerId::NONE, ProducerEpoch::NONE, Sequence::NONE)
}

/// Puts `records` records with this value into a builder.
///
/// # Panics
/// When they do not fit.
pub fn fill(builder: &mut BatchBuilder, records: usize, value: &[u8]) {
    for _ in 0..records {
        let added = builder.try_append(TimestampMs::new(1_000), None, Some(value), &[]);
        assert!(added.is_some(), "the batch has room");
    }
}
