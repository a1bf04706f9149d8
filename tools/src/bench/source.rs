//! Where a writer's records come from: which payload, which partition, which stamp.

use std::sync::Arc;
use std::time::Duration;

use thalweg_client::Record;

use super::chain::Link;
use super::payload::{Cursor, Payload};
use super::plan::Plan;

/// Makes the records of one writer.
pub(super) struct Source {
    topic: Arc<str>,
    cursor: Cursor,
    turns: Option<Turns>,
    stamps: Option<Stamps>,
}

/// Partitions in turn, each for so many records.
struct Turns {
    partitions: i32,
    partition: i32,
    run: usize,
    left: usize,
}

/// Stamps, and the record that they are put on.
struct Stamps {
    writer: u32,
    value: Vec<u8>,
    links: Vec<Link>,
}

impl Source {
    /// The records of writer number `index`.
    pub(super) fn new(plan: &Plan, payload: &Payload, index: usize) -> Self {
        let writer = u32::try_from(index).unwrap_or(u32::MAX);
        let count = usize::try_from(plan.partitions).unwrap_or(0);
        let run = if plan.spread_records { 1 } else { plan.batch_bytes / plan.record_bytes };
        let starts_at = i32::try_from(index).unwrap_or(0) % plan.partitions;
        let turns = Turns { partitions: plan.partitions, partition: starts_at, run, left: run };
        let stamps = Stamps { writer, value: Vec::new(), links: vec![Link::default(); count] };
        Self {
            topic: plan.topic.as_str().into(),
            cursor: payload.cursor(index),
            // A chain belongs to a partition, so that has to be known before the record is sent.
            turns: (plan.spread_records || plan.is_stamped()).then_some(turns),
            stamps: plan.is_stamped().then_some(stamps),
        }
    }

    /// The next record; `sent` is the moment that its latency counts from, or zero.
    #[inline]
    pub(super) fn record(&mut self, sent: Duration) -> Record<'_> {
        let value = self.cursor.next();
        let Some(turns) = &mut self.turns else { return Record::to(&*self.topic).value(value) };
        let partition = turns.next();
        let value = match &mut self.stamps {
            None => value,
            Some(stamps) => stamps.put(value, partition, sent),
        };
        Record::to(&*self.topic).value(value).partition(partition)
    }

    /// The next records without stamps; at most `count`.
    #[inline]
    pub(super) fn records(&mut self, count: usize) -> impl Iterator<Item = Record<'_>> {
        let Self { topic, cursor, turns, .. } = self;
        let topic: &str = topic;
        cursor.values().take(count).map(move |value| {
            let record = Record::to(topic).value(value);
            match turns {
                None => record,
                Some(turns) => record.partition(turns.next()),
            }
        })
    }

    /// Where this writer's chains end: by writer and partition.
    pub(super) fn ends(&self) -> impl Iterator<Item = (u32, i32, Link)> {
        let writer = self.stamps.as_ref().map_or(0, |stamps| stamps.writer);
        let links = self.stamps.iter().flat_map(|stamps| &stamps.links);
        (0..).zip(links).map(move |(partition, link)| (writer, partition, *link))
    }
}

impl Turns {
    fn next(&mut self) -> i32 {
        if self.left == 0 {
            self.partition = (self.partition + 1) % self.partitions;
            self.left = self.run;
        }
        self.left -= 1;
        self.partition
    }
}

impl Stamps {
    fn put(&mut self, value: &[u8], partition: i32, sent: Duration) -> &[u8] {
        self.value.clear();
        self.value.extend_from_slice(value);
        let link = usize::try_from(partition).ok().and_then(|index| self.links.get_mut(index));
        if let Some(link) = link {
            link.stamp(&mut self.value, self.writer, sent);
        }
        &self.value
    }
}
