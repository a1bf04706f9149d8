//! One partition under test: its log, what it must hold, and the producers that write to it.

use bytes::Bytes;
use fastrand::Rng;
use thalweg_protocol::batch::{BatchBuilder, BatchHeader, Compression};
use thalweg_protocol::{
    LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, TimestampMs, TopicId,
    TopicPartition,
};
use thalweg_storage::{
    Appended, CheckedBatch, Log, LogReader, ProducerBatch, ProducerLimits, SequenceCheck,
};

use crate::history::{History, Sequenced, Stored};
use crate::lives::{Verdict, ensure};

/// Producers per partition.
const WRITERS: i64 = 3;

/// As many batches as the log must remember of each producer.
const REMEMBERED: usize = 5;

#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) id: TopicPartition,
    pub(crate) log: Option<Log>,
    pub(crate) is_created: bool,
    pub(crate) history: History,
    pub(crate) leader_epoch: i32,
    /// A bit of what was synced has been flipped: one batch may be unreadable or differ.
    pub(crate) is_damaged: bool,
    /// Batches that cannot be read any more as they were written.
    pub(crate) spoiled: usize,
    writers: Vec<Writer>,
}

/// One idempotent producer, as its client knows it.
#[derive(Clone, Copy, Debug)]
struct Writer {
    producer: i64,
    epoch: i16,
    next: i32,
}

/// What an append did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    Appended,
    /// The directory refused it: full, or offline, or the machine went down.
    Refused(String),
}

/// What is to be appended.
#[derive(Debug)]
struct Sent {
    batch: CheckedBatch,
    records: i32,
    sequenced: Option<Sequenced>,
}

impl Part {
    pub(crate) fn new(index: u8) -> Self {
        let topic = TopicId::from_bytes([index + 1; 16]);
        let first_producer = i64::from(index) * 1000;
        let writer = |nth| Writer { producer: first_producer + nth, epoch: 0, next: 0 };
        Self {
            id: TopicPartition::new(topic, PartitionIndex::new(i32::from(index))),
            log: None,
            is_created: false,
            history: History::default(),
            leader_epoch: 0,
            is_damaged: false,
            spoiled: 0,
            writers: (0..WRITERS).map(writer).collect(),
        }
    }

    pub(crate) fn log(&mut self) -> &mut Log {
        self.log.as_mut().expect("the log is open")
    }

    /// Appends one random batch, idempotent or not.
    pub(crate) fn append(&mut self, rng: &mut Rng, now: i64) -> Verdict<Attempt> {
        // The place after the last is none: a producer that is not idempotent.
        let writer = self.writers.get(rng.usize(0..=self.writers.len())).copied();
        // Who wrote a damaged batch is forgotten, and refused then: better than a record twice.
        let writer = writer.filter(|_| !self.is_damaged);
        let records = rng.i32(1..=4);
        let sequenced = writer.map(|writer| Sequenced {
            producer: writer.producer,
            epoch: writer.epoch,
            first: writer.next,
        });
        let sent = send(rng, records, sequenced, now);
        self.append_new(&sent, now)
    }

    fn append_new(&mut self, sent: &Sent, now: i64) -> Verdict<Attempt> {
        let base = self.log().log_end().get();
        ensure!(base == self.history.end(), "log end is {base}, not {}", self.history.end());
        let (records, epoch) = (sent.records, self.leader_epoch);
        let stored = Stored::new(sent.batch.bytes(), base, records, epoch, sent.sequenced);
        let result = self.log().append(&sent.batch, LeaderEpoch::new(epoch), TimestampMs::new(now));
        let appended = match result {
            Ok(appended) => appended,
            Err(error) => {
                self.history.open_append = Some(stored);
                return Ok(Attempt::Refused(error.to_string()));
            }
        };
        let expected = Appended {
            base_offset: Offset::new(base),
            last_offset: Offset::new(stored.end() - 1),
            log_append_time: None,
            duplicate: false,
        };
        ensure!(appended == expected, "an append answered {appended:?}, not {expected:?}");
        self.history.appended(stored);
        if let Some(sequenced) = sent.sequenced {
            let mut writers = self.writers.iter_mut();
            let writer = writers.find(|writer| writer.producer == sequenced.producer);
            writer.expect("one of ours").next = sequenced.first + records;
        }
        Ok(Attempt::Appended)
    }

    /// Sends a batch again that is remembered: it must be answered like its original. False when there
    /// is none.
    pub(crate) fn repeat(&mut self, rng: &mut Rng, now: i64) -> Verdict<bool> {
        let writer = self.writers[rng.usize(0..self.writers.len())];
        let start = self.log().log_start().get();
        let known = self.history.of_producer(writer.producer, start);
        let recent = known.len().saturating_sub(REMEMBERED);
        let Some((stored, _)) = rng.choice(known.get(recent..).unwrap_or_default()) else {
            return Ok(false);
        };
        let stored = (*stored).clone();
        let header = BatchHeader::decode(&stored.bytes).expect("the test's own batch");
        let batch = CheckedBatch::new(header, stored.bytes.clone());
        let epoch = LeaderEpoch::new(self.leader_epoch);
        let before = self.log().log_end();
        match self.log().append(&batch, epoch, TimestampMs::new(now)) {
            Ok(appended) => ensure!(
                appended.duplicate
                    && appended.base_offset.get() == stored.base
                    && appended.last_offset.get() == stored.end() - 1
                    && self.log().log_end() == before,
                "a repeated batch at {} was answered {appended:?}",
                stored.base
            ),
            Err(error) => return Err(format!("a repeated batch was refused: {error}")),
        }
        Ok(true)
    }

    /// Sends a batch whose producer left sequences out: it must be refused.
    pub(crate) fn skip_sequences(&mut self, rng: &mut Rng, now: i64) -> Verdict {
        let writer = self.writers[rng.usize(0..self.writers.len())];
        let first = writer.next + rng.i32(1..=5);
        let (producer, epoch) = (writer.producer, writer.epoch);
        let sent = send(rng, 2, Some(Sequenced { producer, epoch, first }), now);
        let epoch = LeaderEpoch::new(self.leader_epoch);
        let answer = self.log().append(&sent.batch, epoch, TimestampMs::new(now));
        ensure!(answer.is_err(), "a gap before sequence {first} was answered {answer:?}");
        Ok(())
    }

    /// Compares everything that can be asked of the log with what it must hold.
    pub(crate) fn check(&mut self) -> Verdict {
        let reader = self.log().reader();
        let (start, end) = (reader.log_start().get(), reader.log_end().get());
        ensure!(end == self.history.end(), "log end is {end}, not {}", self.history.end());
        ensure!(
            start >= self.history.start,
            "log start went back from {} to {start}",
            self.history.start
        );
        if self.is_damaged {
            return self.check_damaged(&reader, start, end);
        }
        self.check_bytes(&reader, start, end)?;
        for batch in self.history.batches.iter().filter(|batch| batch.base >= start) {
            let epoch = reader.epoch_at(Offset::new(batch.base)).map(LeaderEpoch::get);
            let expected = batch.leader_epoch;
            ensure!(
                epoch == Some(expected),
                "epoch at {} is {epoch:?}, not {expected}",
                batch.base
            );
        }
        self.check_producers(self.log.as_ref().expect("the log is open"), start)
    }

    fn check_bytes(&self, reader: &LogReader, start: i64, end: i64) -> Verdict {
        let mut found = Vec::new();
        let mut at = start;
        while at < end {
            let read = reader.read(Offset::new(at), 10_000, Offset::new(end), true);
            let read = read.map_err(|error| format!("read at {at}: {error}"))?;
            ensure!(read.next().get() > at, "a read at {at} below the log end {end} gave nothing");
            found.extend_from_slice(read.bytes());
            at = read.next().get();
        }
        let expected = self.history.bytes_from(start);
        if found != expected {
            let at = found.iter().zip(&expected).take_while(|(one, other)| one == other).count();
            let (found, expected) = (found.len(), expected.len());
            return Err(format!(
                "{found} bytes can be read, not {expected}, or others from byte {at} after {start} on"
            ));
        }
        // One batch alone, from an offset inside of it, found by the index.
        for batch in self.history.batches.iter().filter(|batch| batch.base >= start).step_by(5) {
            let inside = Offset::new(batch.end() - 1);
            let read = reader.read(inside, 1, Offset::new(end), true);
            let read = read.map_err(|error| format!("read at {inside}: {error}"))?;
            ensure!(*read.bytes() == batch.bytes, "a read at {inside} gave another batch");
        }
        Ok(())
    }

    /// One flipped bit spoils its own batch, and at worst others close behind it; all others are read as they
    /// were written.
    fn check_damaged(&mut self, reader: &LogReader, start: i64, end: i64) -> Verdict {
        let readable = self.history.batches.iter().filter(|batch| batch.base >= start);
        let is_spoiled: Vec<bool> = readable
            .map(|batch| {
                let read = reader.read(Offset::new(batch.base), 1, Offset::new(end), true);
                !read.is_ok_and(|read| *read.bytes() == batch.bytes)
            })
            .collect();
        self.spoiled = is_spoiled.iter().filter(|spoiled| **spoiled).count();
        let first = is_spoiled.iter().take_while(|spoiled| !**spoiled).count();
        let mut run = is_spoiled.iter().skip(first);
        let together = run.by_ref().take_while(|spoiled| **spoiled).count();
        ensure!(
            together == self.spoiled,
            "one flipped bit spoils {} batches in several places",
            self.spoiled
        );
        Ok(())
    }

    /// What is remembered of producers must be what the log's batches say.
    fn check_producers(&self, log: &Log, start: i64) -> Verdict {
        for producer in self.history.producers() {
            let known = self.history.of_producer(producer, start);
            let expected: Vec<_> =
                known.iter().map(|(stored, it)| remembered(stored, *it)).collect();
            let Some((newest, _)) = known.last().map(|(stored, it)| (*stored, *it)) else {
                continue;
            };
            let found = log.producers().batches(ProducerId::new(producer));
            let found: Vec<_> = found.map_or(Vec::new(), |(epoch, batches)| {
                let batches = batches.iter();
                let batches = batches.filter(|batch| batch.base_offset().get() >= start);
                let row = |batch: &thalweg_storage::RememberedBatch| {
                    (epoch.get(), batch.first.get(), batch.last.get(), batch.last_offset.get())
                };
                batches.map(row).collect()
            });
            let expected = &expected[expected.len().saturating_sub(REMEMBERED)..];
            ensure!(
                found == expected,
                "producer {producer} is remembered by {found:?}, not by {expected:?}"
            );
            let (stored, it) = (newest, newest.sequenced.expect("of a producer"));
            let repeated = check_sequence(log, it, stored.records);
            ensure!(
                matches!(repeated, Ok(SequenceCheck::Duplicate(_))),
                "the newest batch of producer {producer}, sent again, is {repeated:?}"
            );
            let next = Sequenced { first: it.first + stored.records, ..it };
            let next = check_sequence(log, next, 1);
            ensure!(
                matches!(next, Ok(SequenceCheck::New)),
                "the next batch of producer {producer} is {next:?}"
            );
        }
        Ok(())
    }

    /// A restart or a cut took batches away: producers go on where the log ends for them; one that the log
    /// may have forgotten comes back under a new id.
    pub(crate) fn align_writers(&mut self) {
        let start = self.log().log_start().get();
        for writer in &mut self.writers {
            let known = self.history.of_producer(writer.producer, start);
            if let Some((stored, it)) = known.last() {
                writer.epoch = it.epoch;
                writer.next = it.first + stored.records;
            } else if writer.next > 0 {
                *writer = Writer { producer: writer.producer + WRITERS, epoch: 0, next: 0 };
            }
        }
    }

    /// One producer starts anew, with a higher epoch.
    pub(crate) fn fence_writer(&mut self, rng: &mut Rng) {
        let at = rng.usize(0..self.writers.len());
        let writer = &mut self.writers[at];
        // The log does not know an epoch without batches.
        if writer.next > 0 {
            writer.epoch += 1;
            writer.next = 0;
        }
    }
}

fn remembered(stored: &Stored, it: Sequenced) -> (i16, i32, i32, i64) {
    (it.epoch, it.first, it.first + stored.records - 1, stored.end() - 1)
}

fn check_sequence(
    log: &Log,
    it: Sequenced,
    records: i32,
) -> Result<SequenceCheck, thalweg_storage::SequenceError> {
    let batch = ProducerBatch {
        producer: ProducerId::new(it.producer),
        epoch: ProducerEpoch::new(it.epoch),
        first: Sequence::new(it.first),
        last: Sequence::new(it.first + records - 1),
    };
    let limits = ProducerLimits { producers_max: 1000, expiration_ms: i64::MAX };
    log.producers().check(&batch, &limits, TimestampMs::new(0))
}

/// A batch of random size: most are small, some span several pages.
fn send(rng: &mut Rng, records: i32, sequenced: Option<Sequenced>, now: i64) -> Sent {
    let compression = if rng.u8(0..8) == 0 { Compression::Lz4 } else { Compression::None };
    let mut builder = BatchBuilder::new(compression, 1 << 20);
    for _ in 0..records {
        let bytes = match rng.u8(0..10) {
            0 => 3000,
            1..=3 => 400,
            _ => 40,
        };
        let mut value = vec![0; rng.usize(0..=bytes)];
        rng.fill(&mut value);
        let added = builder.try_append(TimestampMs::new(now), None, Some(&value), &[]);
        assert!(added.is_some(), "the batch has room");
    }
    let bytes: Bytes = match sequenced {
        None => builder.build_unsequenced(),
        Some(it) => builder.build(
            ProducerId::new(it.producer),
            ProducerEpoch::new(it.epoch),
            Sequence::new(it.first),
        ),
    };
    let header = BatchHeader::decode(&bytes).expect("the test's own batch");
    Sent { batch: CheckedBatch::new(header, bytes), records, sequenced }
}
