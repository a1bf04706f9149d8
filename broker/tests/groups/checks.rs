//! The promises, held against what clients do and what is written.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use thalweg_broker::coordinator::{GroupOptions, Groups, Partitions, Record};
use thalweg_protocol::{Offset, TopicPartition};

use crate::client::{Client, GROUP};

pub type Verdict = Result<(), String>;

pub fn demand(holds: bool, wrong: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(wrong()) }
}

/// A shard's log, as it lies on disk: keys and values.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub records: Vec<(Bytes, Option<Bytes>)>,
}

impl Log {
    pub fn append(&mut self, records: &[Record]) {
        self.records.extend(records.iter().map(|record| (record.key(), record.value())));
    }

    /// Reads it back, as it is or as a compaction leaves it: the last record of each key, tombstones gone or not.
    pub fn load(&self, options: &std::sync::Arc<GroupOptions>, compacted: bool) -> Groups {
        let mut groups = Groups::new(std::sync::Arc::clone(options));
        let last: HashMap<&Bytes, usize> =
            self.records.iter().enumerate().map(|(place, (key, _))| (key, place)).collect();
        for (place, (key, value)) in self.records.iter().enumerate() {
            let stays = last[key] == place && value.is_some();
            if compacted && !stays {
                continue;
            }
            groups.load(Record::decode(key.clone(), value.clone()).unwrap().unwrap());
        }
        groups
    }
}

/// What the records so far say, kept beside the groups to hold them against.
#[derive(Debug, Default)]
pub struct Written {
    offsets: HashMap<TopicPartition, Offset>,
    targets: BTreeMap<String, Partitions>,
    revoking: BTreeMap<String, Partitions>,
}

impl Written {
    /// What records say that were read back, in no particular order.
    pub fn of(records: &[Record]) -> Self {
        let mut written = Self::default();
        for record in records {
            match record {
                Record::Offset(_, at, Some(offset)) => {
                    written.offsets.insert(*at, offset.offset);
                }
                Record::Target(_, member, Some(target)) => {
                    written.targets.insert(member.to_string(), target.clone());
                }
                Record::Current(_, member, Some(current)) => {
                    written.revoking.insert(member.to_string(), current.revoking.clone());
                }
                _ => {}
            }
        }
        written
    }

    /// Holds each record against those before it.
    pub fn check(&mut self, records: &[Record]) -> Verdict {
        for record in records {
            match record {
                Record::Offset(_, at, Some(offset)) => {
                    let before = self.offsets.insert(*at, offset.offset);
                    demand(before.is_none_or(|before| before <= offset.offset), || {
                        format!("{at}: the offset went back from {before:?} to {}", offset.offset)
                    })?;
                }
                Record::Offset(_, at, None) => {
                    self.offsets.remove(at);
                }
                Record::Target(_, member, target) => {
                    self.targets.insert(member.to_string(), target.clone().unwrap_or_default());
                }
                Record::Current(_, member, Some(current)) => {
                    let before = self.revoking.insert(member.to_string(), current.revoking.clone());
                    let target = self.targets.get(&**member).cloned().unwrap_or_default();
                    let is_new = before.unwrap_or_default() != current.revoking;
                    demand(!is_new || !current.revoking.touches(&target), || {
                        format!("{member} was told to let go of what it shall keep: {current:?}")
                    })?;
                }
                Record::Current(_, member, None) => {
                    self.revoking.remove(&**member);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whoever reads a partition and is still a member, in an epoch that counts, reads it alone.
pub fn one_reader(groups: &Groups, clients: &[Client]) -> Verdict {
    // Who was taken out and has not heard of it reads on; that his name has joined anew, by an old message, makes him
    // no member.
    let is_member = |c: &Client| groups.accepts(GROUP, &c.member(), c.epoch);
    let mut readers: BTreeMap<TopicPartition, String> = BTreeMap::new();
    for client in clients.iter().filter(|client| client.is_up && is_member(client)) {
        for at in client.reading.keys() {
            if let Some(other) = readers.insert(*at, client.member()) {
                return Err(format!("{at} is read by {other} and {}", client.member()));
            }
        }
    }
    Ok(())
}
