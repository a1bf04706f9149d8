//! What is done to the log: appends of random records, syncs, cuts, deletions, runs with all of that in the middle.

use std::cell::RefCell;

use bytes::Bytes;
use thalweg_protocol::batch::{BatchBuilder, BatchHeader, Compression, TimestampType};
use thalweg_protocol::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};
use thalweg_storage::{CheckedBatch, Compacted, CompactionError, CompactionRequest, Log, compact};

use crate::lives::{Life, Verdict, ensure};
use crate::model::{Fields, Sent, Sequenced};
use crate::world::{WRITERS, World, mark, partition};

impl World {
    /// Appends one random batch.
    pub(crate) fn append(&mut self) -> Verdict {
        let records: Vec<_> = (0..self.rng.usize(1..=4)).map(|_| self.fields()).collect();
        let writer = self.writers.get(self.rng.usize(0..=WRITERS)).copied();
        let sequenced =
            writer.map(|it| Sequenced { producer: it.producer, epoch: it.epoch, first: it.next });
        self.append_batch(records, sequenced)
    }

    pub(crate) fn append_batch(
        &mut self,
        mut records: Vec<Fields>,
        sequenced: Option<Sequenced>,
    ) -> Verdict {
        let codec = Compression::ALL[self.rng.usize(0..5)];
        let codec = if self.is_plain { Compression::None } else { codec };
        let bytes = build(&records, codec, sequenced);
        if self.options.timestamp_type == TimestampType::LogAppendTime {
            for record in &mut records {
                record.timestamp = self.now;
            }
        }
        let base = self.log().log_end().get();
        ensure!(base == self.model.end(), "log end is {base}, not {}", self.model.end());
        let leader_epoch = self.leader_epoch;
        let sent = Sent { base, leader_epoch, sequenced, records, first_run: None };
        let header = BatchHeader::decode(&bytes).expect("the test's own batch");
        let batch = CheckedBatch::new(header, bytes);
        let now = self.clock();
        let answer = self.log().append(&batch, LeaderEpoch::new(leader_epoch), now);
        let Some(appended) = self.settle("an append", answer)? else {
            self.model.open_append = Some(sent);
            return Ok(());
        };
        ensure!(appended.base_offset.get() == base, "an append answered {appended:?}");
        if let Some(it) = sequenced {
            let mut writers = self.writers.iter_mut();
            let writer = writers.find(|writer| writer.producer == it.producer);
            writer.expect("one of ours").next += header.record_count;
        }
        self.model.appended(sent);
        self.seen.appended += 1;
        Ok(())
    }

    fn fields(&mut self) -> Fields {
        let rng = &mut self.rng;
        let key = format!("key {}", rng.u32(0..self.keys)).into_bytes();
        let value_max = if rng.u8(0..8) == 0 { 900 } else { 60 };
        let value = rng.usize(0..value_max);
        let ancient = rng.u8(0..6) == 0;
        Fields {
            timestamp: if ancient { 1_000_000_000_000 } else { self.now + rng.i64(-50..50) },
            key: (rng.u8(0..20) > 0).then_some(key),
            value: (rng.u8(0..4) > 0).then(|| vec![rng.u8(..); value]),
            headers: match rng.u8(0..6) {
                0 => vec![("trace".to_owned(), Some(vec![7])), ("trace".to_owned(), None)],
                _ => Vec::new(),
            },
        }
    }

    pub(crate) fn sync(&mut self) -> Verdict {
        let synced = self.reader().sync();
        if let Some(end) = self.settle("a sync", synced)? {
            self.model.synced = self.model.synced.max(end.get());
            self.seen.synced += 1;
        }
        Ok(())
    }

    pub(crate) fn roll(&mut self) -> Verdict {
        let rolled = self.log().roll();
        self.seen.rolled += u64::from(self.settle("a roll", rolled)?.is_some());
        Ok(())
    }

    pub(crate) fn checkpoint(&mut self) -> Verdict {
        let reader = self.reader();
        let written = self.dir().write_recovery_points(|| [mark(&reader)]);
        self.settle("the recovery points", written).map(|_| ())
    }

    /// What a follower does whose leader has another tail: never below what was committed.
    pub(crate) fn cut(&mut self) -> Verdict {
        let from = self.model.high_watermark.max(self.model.start);
        let places = self.model.boundaries(from);
        let Some(to) = self.rng.choice(places) else { return Ok(()) };
        self.model.open_cut = Some(to);
        let now = self.clock();
        let done = self.log().truncate(Offset::new(to), now);
        if self.settle("a cut", done)?.is_some() {
            self.model.cut(to);
            self.align_writers();
            self.leader_epoch += 1;
            self.seen.cut += 1;
        }
        Ok(())
    }

    pub(crate) fn delete_records(&mut self) -> Verdict {
        let start = self.log().log_start().get();
        let below = self.rng.i64(start..=self.model.synced.max(start));
        self.delete_below(below)
    }

    pub(crate) fn delete_below(&mut self, below: i64) -> Verdict {
        self.model.start_max = self.model.start_max.max(below);
        let done = self.log().delete_below(Offset::new(below)).map_err(|it| it.to_string());
        let dir = self.dir();
        let done = done.and_then(|_| {
            let start = (partition(), self.log().log_start());
            dir.write_log_starts([start]).map_err(|it| it.to_string())
        });
        if self.settle("deleting records", done)?.is_some() {
            self.model.start = self.model.start.max(below);
            self.seen.records_deleted += 1;
        }
        Ok(())
    }

    pub(crate) fn new_epoch(&mut self) {
        self.leader_epoch += 1;
        self.seen.epochs += 1;
        let writer = &mut self.writers[self.rng.usize(0..WRITERS)];
        if self.rng.bool() && writer.next > 0 {
            writer.epoch += 1;
            writer.next = 0;
        }
    }

    /// A reader takes a slice, and keeps it.
    pub(crate) fn hold_slice(&mut self) -> Verdict {
        let reader = self.reader();
        let (start, end) = (reader.log_start(), reader.log_end());
        let from = Offset::new(self.rng.i64(start.get()..=end.get()));
        let read = reader.read(from, 3000, end, true);
        if let Some(read) = self.settle("a read", read)? {
            let bytes = read.into_bytes();
            let copy = bytes.to_vec();
            self.held.push((bytes, copy));
            self.held.drain(..self.held.len().saturating_sub(20));
            self.seen.slices_held += 1;
        }
        Ok(())
    }

    /// A run, with whatever a broker does meanwhile.
    pub(crate) fn compact(&mut self) -> Verdict {
        let is_asked = self.rng.bool();
        let memory = if self.rng.bool() { 0 } else { 1 << 20 };
        let lowest = self.model.high_watermark.min(self.model.synced);
        let high_watermark = self.rng.i64(lowest..=self.model.synced);
        self.compact_as(is_asked, memory, high_watermark, true).map(|_| ())
    }

    pub(crate) fn compact_as(
        &mut self,
        is_asked: bool,
        memory_bytes_max: usize,
        high_watermark: i64,
        is_busy: bool,
    ) -> Verdict<Option<Compacted>> {
        let reader = self.reader();
        let request = CompactionRequest {
            high_watermark: Offset::new(high_watermark),
            now: self.clock(),
            memory_bytes_max,
            is_asked,
        };
        self.model.high_watermark = self.model.high_watermark.max(high_watermark);
        let rules = self.options.compaction.expect("it is compacted");
        let plan = reader.plan_compaction(&rules, &request);
        self.model.run(plan.end.get(), self.now);
        let segments = reader.segment_count();
        let failed = RefCell::new(Ok(()));
        let world = RefCell::new(&mut *self);
        let with_log = |with: &mut dyn FnMut(&mut Log)| {
            let mut world = world.borrow_mut();
            world.log.as_mut().map(with).is_some()
        };
        let mut pace = |_| {
            let mut world = world.borrow_mut();
            if !is_busy || world.rng.u8(0..12) > 0 {
                return true;
            }
            world.seen.during_a_run += 1;
            let done = world.meanwhile();
            let goes_on = matches!(done, Ok(true));
            *failed.borrow_mut() = done.map(|_| ());
            goes_on
        };
        let done = compact(&reader, &with_log, &request, &mut pace);
        failed.into_inner()?;
        self.seen.runs += 1;
        match done {
            Ok(sum) => {
                self.seen.runs_of_several_passes += u64::from(sum.passes > 1);
                self.seen.exchanged += u64::from(sum.groups);
                self.seen.records_removed += sum.removed_records;
                self.seen.tombstones_removed += sum.removed_tombstones;
                self.seen.merged += u64::from(reader.segment_count() < segments);
                Ok(Some(sum))
            }
            Err(CompactionError::Stopped) => {
                self.seen.stopped += 1;
                Ok(None)
            }
            Err(CompactionError::Interrupted) => {
                self.seen.interrupted += 1;
                Ok(None)
            }
            Err(error) => {
                self.seen.crashed_in_a_run += u64::from(self.disk.is_down());
                self.settle("a run", Err(error))
            }
        }
    }

    /// What happens while a run is under way; false when the run shall end.
    fn meanwhile(&mut self) -> Verdict<bool> {
        if self.is_stopped() {
            return Ok(true);
        }
        match self.rng.u8(0..20) {
            0..6 => self.append()?,
            6..9 => self.sync()?,
            9..11 => self.roll()?,
            11..15 => self.hold_slice()?,
            15 => self.delete_records()?,
            16 => self.cut()?,
            17..19 => self.check()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn build(records: &[Fields], codec: Compression, sequenced: Option<Sequenced>) -> Bytes {
    let mut builder = BatchBuilder::new(codec, 1 << 20);
    for it in records {
        let headers = it.headers.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
        let headers: Vec<_> = headers.collect();
        let time = TimestampMs::new(it.timestamp);
        let added = builder.try_append(time, it.key.as_deref(), it.value.as_deref(), &headers);
        assert!(added.is_some(), "the batch has room");
    }
    match sequenced {
        None => builder.build_unsequenced(),
        Some(it) => builder.build(
            ProducerId::new(it.producer),
            ProducerEpoch::new(it.epoch),
            Sequence::new(it.first),
        ),
    }
}
