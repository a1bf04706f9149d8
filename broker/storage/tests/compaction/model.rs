//! What a compacted log must hold: a list of records, without a line of the log's code.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::lives::{Verdict, ensure};

/// One record as it must be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

/// The sequences of a batch of an idempotent producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequenced {
    pub(crate) producer: i64,
    pub(crate) epoch: i16,
    pub(crate) first: i32,
}

/// One batch as it was appended.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) base: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) sequenced: Option<Sequenced>,
    pub(crate) records: Vec<Fields>,
    /// The first run that may have taken away what is older than this batch.
    pub(crate) first_run: Option<i64>,
}

impl Sent {
    pub(crate) fn end(&self) -> i64 {
        self.base + i64::try_from(self.records.len()).unwrap()
    }
}

/// What was done to the log, and what was answered.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) batches: Vec<Sent>,
    end: i64,
    pub(crate) synced: i64,
    pub(crate) start: i64,
    pub(crate) start_max: i64,
    pub(crate) open_cut: Option<i64>,
    /// A batch whose append ended with a crash: it may be there.
    pub(crate) open_append: Option<Sent>,
    /// The largest high watermark that compaction was told.
    pub(crate) high_watermark: i64,
    /// The clock of the newest run.
    pub(crate) last_run: i64,
}

impl Model {
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    pub(crate) fn appended(&mut self, batch: Sent) {
        self.end = batch.end();
        self.batches.push(batch);
    }

    /// A run begins that may touch everything below `end`.
    pub(crate) fn run(&mut self, end: i64, now: i64) {
        for batch in self.batches.iter_mut().filter(|batch| batch.end() <= end) {
            batch.first_run.get_or_insert(now);
        }
        self.last_run = self.last_run.max(now);
    }

    pub(crate) fn cut(&mut self, to: i64) {
        self.batches.retain(|batch| batch.end() <= to);
        self.end = to;
        self.synced = self.synced.min(to);
        self.open_cut = None;
    }

    /// Where a batch begins or the log ends, at or above `from`.
    pub(crate) fn boundaries(&self, from: i64) -> Vec<i64> {
        let bases = self.batches.iter().map(|batch| batch.base).chain([self.end]);
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
        let most = self.start_max.max(self.start);
        ensure!((self.start..=most).contains(&start), "log start is {start}, was {}", self.start);
        ensure!(end >= least, "log end is {end}, but everything below {least} was synced");
        ensure!(
            end <= self.end.max(start) && (self.boundaries(0).contains(&end) || end == start),
            "log end is {end}, where no batch ends"
        );
        self.cut(end);
        self.synced = end;
        self.start = start;
        self.start_max = start;
        Ok(())
    }

    /// All records by offset.
    pub(crate) fn records(&self) -> BTreeMap<i64, (&Fields, &Sent)> {
        let batches = self.batches.iter();
        let numbered = batches
            .flat_map(|batch| (batch.base..).zip(batch.records.iter().map(move |it| (it, batch))));
        numbered.collect()
    }

    /// Compares the records that are there with those that must and may be: those from `start` on, where
    /// everything below `cleaned_end` was compacted, and tombstones stay for `retention_ms`. Answers how
    /// many tombstones were gone.
    pub(crate) fn compare(
        &self,
        found: &BTreeMap<i64, Fields>,
        start: i64,
        cleaned_end: i64,
        retention_ms: i64,
    ) -> Verdict<u64> {
        let records = self.records();
        for (offset, fields) in found {
            let Some((sent, _)) = records.get(offset) else {
                return Err(format!("there is a record at {offset} that nobody sent: {fields:?}"));
            };
            ensure!(*sent == fields, "the record at {offset} is {fields:?}, was sent as {sent:?}");
        }
        let mut latest: HashMap<&[u8], i64> = HashMap::new();
        let mut latest_clean: HashMap<&[u8], i64> = HashMap::new();
        for (offset, (fields, _)) in &records {
            if let Some(key) = &fields.key {
                latest.insert(key, *offset);
                if *offset < cleaned_end {
                    latest_clean.insert(key, *offset);
                }
            }
        }
        let mut gone = 0;
        let newest = latest.values().copied();
        let keyless = records.iter().filter(|(_, (it, _))| it.key.is_none()).map(|(at, _)| *at);
        let must: BTreeSet<i64> = newest.chain(keyless).filter(|at| *at >= start).collect();
        for offset in must.into_iter().filter(|offset| !found.contains_key(offset)) {
            let (fields, batch) = records[&offset];
            let is_over = batch.first_run.is_some_and(|at| self.last_run >= at + retention_ms);
            let may_be_gone = fields.key.is_some() && fields.value.is_none() && is_over;
            ensure!(may_be_gone, "the record at {offset} is gone: {fields:?}");
            gone += 1;
        }
        for (offset, fields) in found.range(..cleaned_end) {
            let latest = fields.key.as_deref().and_then(|key| latest_clean.get(key));
            let later = latest.filter(|latest| **latest > *offset);
            ensure!(later.is_none(), "the record at {offset} stays beside that at {later:?}");
        }
        Ok(gone)
    }

    /// The batches of a producer's newest epoch that lie above `start`, oldest first: first and last sequence,
    /// last offset, after the epoch.
    pub(crate) fn of_producer(&self, producer: i64, start: i64) -> (i16, Vec<(i32, i32, i64)>) {
        let above = self.batches.iter().filter(|batch| batch.base >= start);
        let known = above.filter_map(|batch| batch.sequenced.map(|it| (batch, it)));
        let known: Vec<_> = known.filter(|(_, it)| it.producer == producer).collect();
        let Some((_, newest)) = known.last() else { return (0, Vec::new()) };
        let epoch = newest.epoch;
        let row = |(batch, it): &(&Sent, Sequenced)| {
            let records = i32::try_from(batch.records.len()).unwrap();
            (it.first, it.first + records - 1, batch.end() - 1)
        };
        (epoch, known.iter().filter(|(_, it)| it.epoch == epoch).map(row).collect())
    }

    /// Every producer with a batch.
    pub(crate) fn producers(&self) -> BTreeSet<i64> {
        self.batches.iter().filter_map(|batch| batch.sequenced).map(|it| it.producer).collect()
    }
}
