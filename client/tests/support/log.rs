//! One partition's log in memory, with the sequence check of the real one.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use thalweg_protocol::batch::{Batch, BatchHeader, BatchReader, patched_head};
use thalweg_protocol::{ErrorCode, LeaderEpoch, Offset, ProducerId};

#[derive(Default)]
struct Producer {
    epoch: i16,
    /// First sequence, last sequence, base offset of the last five batches.
    batches: VecDeque<(i32, i32, i64)>,
}

pub struct PartitionLog {
    pub leader: usize,
    pub epoch: i32,
    pub batches: Vec<Bytes>,
    pub log_start: i64,
    pub log_end: i64,
    producers: BTreeMap<i64, Producer>,
    /// Duplicates that were answered with their original offset.
    pub duplicates: usize,
    pub out_of_order: usize,
    /// Batches that began with another sequence than 0, of producers it has nothing of.
    pub unknown_producers: usize,
    /// A damaged range, and where good bytes go on.
    pub damaged: Option<(i64, i64)>,
    /// Told to readers: the log was cut, both agree up to this epoch and offset.
    pub diverging: Option<(i32, i64)>,
}

impl PartitionLog {
    pub fn new(leader: usize) -> Self {
        Self {
            leader,
            epoch: 0,
            batches: Vec::new(),
            log_start: 0,
            log_end: 0,
            producers: BTreeMap::new(),
            duplicates: 0,
            out_of_order: 0,
            unknown_producers: 0,
            damaged: None,
            diverging: None,
        }
    }

    /// Appends a batch, or answers a duplicate like its original.
    pub fn append(&mut self, records: &Bytes) -> Result<i64, ErrorCode> {
        let batch = Batch::decode(records).map_err(|error| error.code())?;
        batch.verify_checksum().map_err(|error| error.code())?;
        assert_eq!(batch.bytes().len(), records.len(), "one batch for each partition");
        let header = batch.header;
        if header.producer != ProducerId::NONE
            && let Some(original) = self.check(&header)?
        {
            self.duplicates += 1;
            return Ok(original);
        }
        let base = self.log_end;
        self.log_end += i64::from(header.record_count);
        let head = patched_head(records, Offset::new(base), LeaderEpoch::new(self.epoch));
        let mut stored = BytesMut::from(&records[..]);
        stored[..head.len()].copy_from_slice(&head);
        self.batches.push(stored.freeze());
        if header.producer != ProducerId::NONE {
            let producer = self.producers.entry(header.producer.get()).or_default();
            let (first, last) = (header.base_sequence.get(), header.last_sequence().get());
            if producer.epoch != header.producer_epoch.get() {
                producer.batches.clear();
            }
            producer.epoch = header.producer_epoch.get();
            producer.batches.push_back((first, last, base));
            if producer.batches.len() > 5 {
                producer.batches.pop_front();
            }
        }
        Ok(base)
    }

    fn check(&mut self, header: &BatchHeader) -> Result<Option<i64>, ErrorCode> {
        let first = header.base_sequence.get();
        let Some(producer) = self.producers.get(&header.producer.get()) else {
            self.unknown_producers += usize::from(first != 0);
            return if first == 0 { Ok(None) } else { Err(ErrorCode::UnknownProducer) };
        };
        let epoch = header.producer_epoch.get();
        if epoch < producer.epoch {
            return Err(ErrorCode::FencedProducerEpoch);
        }
        if epoch > producer.epoch {
            let in_order = first == 0;
            self.out_of_order += usize::from(!in_order);
            return if in_order { Ok(None) } else { Err(ErrorCode::OutOfOrderSequence) };
        }
        let known = producer.batches.iter();
        if let Some((_, _, base)) = known.clone().find(|(known, _, _)| *known == first) {
            return Ok(Some(*base));
        }
        let last = producer.batches.back().map_or(-1, |(_, last, _)| *last);
        if first == last + 1 {
            return Ok(None);
        }
        if first <= last {
            return Err(ErrorCode::DuplicateSequence);
        }
        self.out_of_order += 1;
        Err(ErrorCode::OutOfOrderSequence)
    }

    /// Flips a bit in the records of batch `index`.
    pub fn flip(&mut self, index: usize) {
        let mut bytes = BytesMut::from(&self.batches[index][..]);
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        self.batches[index] = bytes.freeze();
    }

    pub fn forget_producers(&mut self) {
        self.producers.clear();
    }

    pub fn producer_epochs(&self) -> Vec<i16> {
        self.producers.values().map(|producer| producer.epoch).collect()
    }

    /// Whole batches from the one that holds `offset`, up to `bytes_max` but at least one.
    pub fn read(&self, offset: i64, bytes_max: usize) -> Bytes {
        let mut read = BytesMut::new();
        for batch in &self.batches {
            let header = BatchHeader::decode(batch).unwrap();
            if header.next_offset().get() <= offset {
                continue;
            }
            if !read.is_empty() && read.len() + batch.len() > bytes_max {
                break;
            }
            read.extend_from_slice(batch);
        }
        read.freeze()
    }

    /// All values, in order.
    pub fn values(&self) -> Vec<Vec<u8>> {
        let mut values = Vec::new();
        for batch in &self.batches {
            for batch in BatchReader::new(batch.clone()) {
                for record in &batch.unwrap().records().unwrap() {
                    values.push(record.unwrap().value.unwrap_or_default().to_vec());
                }
            }
        }
        values
    }

    pub fn offset_at(&self, time: i64) -> i64 {
        for batch in &self.batches {
            for record in &Batch::decode(batch).unwrap().records().unwrap() {
                let record = record.unwrap();
                if record.timestamp.get() >= time {
                    return record.offset.get();
                }
            }
        }
        -1
    }
}
