//! What one log must hold: written down by the test itself, byte for byte, without a line of the log's code.

use bytes::Bytes;
use thalweg_protocol::Offset;

use crate::lives::{Verdict, ensure};

/// The sequences of a batch of an idempotent producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequenced {
    pub(crate) producer: i64,
    pub(crate) epoch: i16,
    pub(crate) first: i32,
}

/// One batch as it must be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) base: i64,
    pub(crate) records: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) sequenced: Option<Sequenced>,
    /// With base offset and leader epoch in place.
    pub(crate) bytes: Bytes,
}

impl Stored {
    /// The batch `sent` as the leader of `leader_epoch` must store it at `base`.
    pub(crate) fn new(
        sent: &Bytes,
        base: i64,
        records: i32,
        leader_epoch: i32,
        sequenced: Option<Sequenced>,
    ) -> Self {
        let mut bytes = sent.to_vec();
        bytes[..8].copy_from_slice(&base.to_be_bytes());
        bytes[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
        Self { base, records, leader_epoch, sequenced, bytes: bytes.into() }
    }

    pub(crate) fn end(&self) -> i64 {
        self.base + i64::from(self.records)
    }
}

/// What was done to one log, and what was answered.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Everything appended and not cut, also below the log start.
    pub(crate) batches: Vec<Stored>,
    /// The offset after the last batch.
    end: i64,
    /// Below it every record was answered as synced.
    pub(crate) synced: i64,
    /// The log start that was answered last.
    pub(crate) start: i64,
    /// The largest log start that was asked for or that retention may have reached.
    pub(crate) start_max: i64,
    /// A cut that was begun and not answered.
    pub(crate) open_cut: Option<i64>,
    /// A batch whose append ended with a crash: it may be there.
    pub(crate) open_append: Option<Stored>,
}

impl History {
    /// The offset after the last batch.
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    pub(crate) fn appended(&mut self, batch: Stored) {
        self.end = batch.end();
        self.batches.push(batch);
    }

    /// Everything below `end` was answered as synced.
    pub(crate) fn synced_to(&mut self, end: Offset) {
        self.synced = self.synced.max(end.get());
    }

    /// Cut, and answered.
    pub(crate) fn cut(&mut self, to: i64) {
        self.batches.retain(|batch| batch.end() <= to);
        self.end = to;
        self.synced = self.synced.min(to);
        self.open_cut = None;
    }

    /// Where a batch begins or the log ends, at or above `from`: the places where a cut may be made.
    pub(crate) fn boundaries(&self, from: i64) -> Vec<i64> {
        let bases = self.batches.iter().map(|batch| batch.base).chain([self.end()]);
        bases.filter(|base| *base >= from).collect()
    }

    /// Takes over what a restart found, if it is one of the outcomes that are allowed.
    pub(crate) fn recovered(&mut self, start: i64, end: i64) -> Verdict {
        if let Some(batch) = self.open_append.take()
            && end == batch.end()
        {
            self.appended(batch);
        }
        let least = self.synced.min(self.open_cut.unwrap_or(i64::MAX));
        ensure!(
            (self.start..=self.start_max.max(self.start)).contains(&start),
            "log start is {start}, answered was {}, asked for {}",
            self.start,
            self.start_max
        );
        ensure!(end >= least, "log end is {end}, but everything below {least} was synced");
        let is_boundary = self.boundaries(0).contains(&end) || end == start;
        ensure!(
            is_boundary && end <= self.end().max(start),
            "log end is {end}, where no batch ends"
        );
        self.cut(end);
        self.synced = end;
        self.start = start;
        self.start_max = start;
        if end == start {
            self.batches.clear();
        }
        Ok(())
    }

    /// The bytes of all batches from the one that holds `from` on.
    pub(crate) fn bytes_from(&self, from: i64) -> Vec<u8> {
        let batches = self.batches.iter().filter(|batch| batch.end() > from);
        batches.flat_map(|batch| batch.bytes.iter().copied()).collect()
    }

    /// The batches of a producer's newest epoch that lie above the log start `start`, oldest first.
    pub(crate) fn of_producer(&self, producer: i64, start: i64) -> Vec<(&Stored, Sequenced)> {
        let readable = self.batches.iter().filter(|batch| batch.base >= start);
        let known = readable.filter_map(|batch| batch.sequenced.map(|it| (batch, it)));
        let mut known: Vec<_> = known.filter(|(_, it)| it.producer == producer).collect();
        if let Some((_, newest)) = known.last().copied() {
            known.retain(|(_, it)| it.epoch == newest.epoch);
        }
        known
    }

    /// Every producer with a batch in the log.
    pub(crate) fn producers(&self) -> Vec<i64> {
        let ids = self.batches.iter().filter_map(|batch| batch.sequenced);
        let mut ids: Vec<i64> = ids.map(|it| it.producer).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}
