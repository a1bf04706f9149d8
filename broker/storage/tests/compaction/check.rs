//! What must hold after each step, whatever was compacted.

use std::collections::BTreeMap;

use thalweg_protocol::batch::BatchReader;
use thalweg_protocol::{Offset, ProducerId, TimestampMs};
use thalweg_storage::LogReader;

use crate::lives::{Verdict, ensure};
use crate::model::Fields;
use crate::world::{REMEMBERED, RETENTION_MS, WRITERS, World, Writer};

impl World {
    /// What can be read, held against the model.
    pub(crate) fn compare(&mut self) -> Verdict {
        let reader = self.reader();
        let (start, end) = (reader.log_start().get(), reader.log_end().get());
        ensure!(end == self.model.end(), "log end is {end}, not {}", self.model.end());
        let found = self.read_all(&reader, start, end)?;
        let cleaned = reader.cleaned_end().get();
        self.seen.tombstones_missing += self.model.compare(&found, start, cleaned, RETENTION_MS)?;
        for (bytes, copy) in &self.held {
            ensure!(bytes[..] == copy[..], "bytes have changed that a reader holds");
        }
        self.check_times(&reader, &found, end)?;
        self.check_producers(start)
    }

    /// Every record from `start` on; batches must follow each other without a gap.
    fn read_all(
        &mut self,
        reader: &LogReader,
        start: i64,
        end: i64,
    ) -> Verdict<BTreeMap<i64, Fields>> {
        let epochs: BTreeMap<i64, i32> =
            self.model.batches.iter().map(|batch| (batch.base, batch.leader_epoch)).collect();
        let mut found = BTreeMap::new();
        let mut at = start;
        while at < end {
            let bytes_max = self.rng.usize(1..5000);
            let read = reader.read(Offset::new(at), bytes_max, Offset::new(end), true);
            let read = read.map_err(|error| format!("read at {at}: {error}"))?;
            ensure!(read.next().get() > at, "a read at {at} below the log end {end} gave nothing");
            for batch in BatchReader::new(read.bytes().clone()) {
                let batch = batch.map_err(|error| format!("batch at {at}: {error}"))?;
                batch.verify_checksum().map_err(|error| format!("batch at {at}: {error}"))?;
                let header = batch.header;
                let base = header.base_offset.get();
                ensure!(base == at || (at == start && base < at), "{base} follows {at}");
                let epoch = header.leader_epoch.get();
                let sent = epochs.range(base..=header.last_offset().get());
                for (at, sent) in sent {
                    ensure!(*sent == epoch, "epoch at {at} is {epoch}, not {sent}");
                }
                let known = reader.epoch_at(header.base_offset.max(Offset::new(start)));
                ensure!(known == Some(header.leader_epoch), "epoch at {base} is {known:?}");
                self.seen.holes += u64::from(header.record_count == 0 && !header.is_idempotent());
                self.seen.empty_batches +=
                    u64::from(header.record_count == 0 && header.is_idempotent());
                let records = batch.records().map_err(|error| format!("at {base}: {error}"))?;
                for record in &records {
                    let record = record.map_err(|error| format!("at {base}: {error}"))?;
                    let headers = record.headers.iter();
                    let fields = Fields {
                        timestamp: record.timestamp.get(),
                        key: record.key.map(<[u8]>::to_vec),
                        value: record.value.map(<[u8]>::to_vec),
                        headers: headers
                            .map(|it| (it.key_text().into_owned(), it.value.map(<[u8]>::to_vec)))
                            .collect(),
                    };
                    if record.offset.get() >= start {
                        found.insert(record.offset.get(), fields);
                    }
                }
                at = header.next_offset().get();
            }
        }
        Ok(found)
    }

    fn check_times(
        &mut self,
        reader: &LogReader,
        found: &BTreeMap<i64, Fields>,
        end: i64,
    ) -> Verdict {
        for _ in 0..3 {
            let time = match self.rng.u8(0..4) {
                0 => 1_000_000_000_000,
                _ => self.now - self.rng.i64(-100..20_000),
            };
            let expected = found.iter().find(|(_, it)| it.timestamp >= time).map(|(at, _)| *at);
            let answer = reader.offset_at_time(TimestampMs::new(time), Offset::new(end));
            let answer = answer.map_err(|error| format!("search for {time}: {error}"))?;
            let answer = answer.map(|it| it.offset.get());
            ensure!(answer == expected, "the first at {time} is {answer:?}, not {expected:?}");
        }
        Ok(())
    }

    /// What is remembered of producers must be what was sent, whatever was compacted.
    fn check_producers(&mut self, start: i64) -> Verdict {
        let log = self.log.as_ref().expect("the log is open");
        for producer in self.model.producers() {
            let (epoch, expected) = self.model.of_producer(producer, start);
            if expected.is_empty() {
                continue;
            }
            let expected = &expected[expected.len().saturating_sub(REMEMBERED)..];
            let known = log.producers().batches(ProducerId::new(producer));
            let Some((known_epoch, known)) = known else {
                return Err(format!("producer {producer} is forgotten: {expected:?}"));
            };
            let above = known.iter().filter(|batch| batch.base_offset().get() >= start);
            let rows = above.map(|it| (it.first.get(), it.last.get(), it.last_offset.get()));
            let rows: Vec<_> = rows.collect();
            ensure!(
                rows == expected && known_epoch.get() == epoch,
                "producer {producer} is remembered by {rows:?}, not by {expected:?}"
            );
        }
        Ok(())
    }

    /// Producers go on where the log ends for them; one that it may have forgotten gets a new id.
    pub(crate) fn align_writers(&mut self) {
        let start = self.log().log_start().get();
        for writer in &mut self.writers {
            let (epoch, known) = self.model.of_producer(writer.producer, start);
            if let Some((_, last, _)) = known.last() {
                (writer.epoch, writer.next) = (epoch, last + 1);
            } else if writer.next > 0 {
                let producer = writer.producer + i64::try_from(WRITERS).unwrap();
                *writer = Writer { producer, epoch: 0, next: 0 };
            }
        }
    }
}
