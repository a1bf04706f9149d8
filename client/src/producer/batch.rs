//! A batch on its way: finished, numbered, waiting for its answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use thalweg_protocol::batch::{BatchHeader, HEADER_BYTES, checksum};
use thalweg_protocol::{Offset, Sequence, TimestampMs};

use super::accumulator::Accumulator;
use super::queue::{Gathered, PartitionQueue};
use super::receipt::{Delivered, Outcome};
use super::sequence::Identity;
use crate::clock::Instant;
use crate::error::SendError;

/// A finished batch.
#[derive(Debug)]
pub(crate) struct Batch {
    /// As it goes over the wire. Never changed while a request may hold it: a new number makes a copy.
    pub(crate) bytes: Bytes,
    pub(crate) records: u32,
    pub(crate) outcome: Arc<Outcome>,
    pub(crate) begun: Instant,
    pub(crate) charged: usize,
    /// How often it was sent.
    pub(crate) attempts: u32,
}

impl Batch {
    /// Numbers and compresses what has gathered; its builder goes back to be used again.
    pub(crate) fn finish(
        mut gathered: Gathered,
        identity: Identity,
        first: Sequence,
        accumulator: &Accumulator,
    ) -> Self {
        let records = gathered.builder.record_count().unsigned_abs();
        let gathered_bytes = gathered.builder.bytes();
        let bytes = gathered.builder.build(identity.producer, identity.epoch, first);
        accumulator.give_back(gathered.builder, gathered_bytes);
        Self {
            bytes,
            records,
            outcome: gathered.outcome,
            begun: gathered.begun,
            charged: gathered.charged,
            attempts: 0,
        }
    }

    /// The same records under another number.
    pub(crate) fn renumber(mut self, identity: Identity, first: Sequence) -> Self {
        self.bytes = renumbered(&self.bytes, identity, first);
        self
    }

    /// Tells the receipts, and gives the memory back.
    pub(crate) fn resolve(
        &self,
        result: Result<Delivered, SendError>,
        queue: &PartitionQueue,
        accumulator: &Accumulator,
    ) {
        self.outcome.resolve(result);
        accumulator.memory.give(self.charged);
        queue.backlog.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where the checksum lies in a batch's header.
const CRC_AT: std::ops::Range<usize> = 17..21;

fn renumbered(batch: &Bytes, identity: Identity, first: Sequence) -> Bytes {
    let mut header =
        BatchHeader::decode(batch).expect("a batch that the builder made has a whole header");
    header.producer = identity.producer;
    header.producer_epoch = identity.epoch;
    header.base_sequence = first;
    let mut copy = Vec::with_capacity(batch.len());
    copy.extend_from_slice(&header.encode());
    copy.extend_from_slice(batch.get(HEADER_BYTES..).unwrap_or_default());
    let crc = checksum(&copy).to_be_bytes();
    if let Some(field) = copy.get_mut(CRC_AT) {
        field.copy_from_slice(&crc);
    }
    copy.into()
}

/// What the broker said about a stored batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredAt {
    pub(crate) base_offset: Offset,
    pub(crate) log_append_time: TimestampMs,
}

impl StoredAt {
    /// Stored, and that is all that is known.
    pub(crate) const SOMEWHERE: Self =
        Self { base_offset: Offset::NONE, log_append_time: TimestampMs::NONE };
}

#[cfg(test)]
mod tests {
    use thalweg_protocol::batch::{Batch as WireBatch, BatchBuilder, Compression};
    use thalweg_protocol::{ProducerEpoch, ProducerId};

    use super::*;

    #[test]
    fn a_batch_under_another_number_is_whole_and_holds_the_same_records() {
        let mut builder = BatchBuilder::new(Compression::Lz4, 4096);
        for value in [b"one", b"two"] {
            builder.try_append(TimestampMs::new(5), None, Some(value), &[]).unwrap();
        }
        let before = builder.build(ProducerId::new(7), ProducerEpoch::new(0), Sequence::new(40));
        let identity = Identity { producer: ProducerId::new(7), epoch: ProducerEpoch::new(1) };
        let after = WireBatch::decode(&renumbered(&before, identity, Sequence::FIRST)).unwrap();
        after.verify_checksum().unwrap();
        assert_eq!(after.header.producer_epoch, ProducerEpoch::new(1));
        assert_eq!(after.header.base_sequence, Sequence::FIRST);
        let records = after.records().unwrap();
        let values: Vec<_> = records.iter().map(|r| r.unwrap().value.unwrap().to_vec()).collect();
        assert_eq!(values, [b"one", b"two"]);
    }
}
