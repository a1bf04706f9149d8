//! The proof that nothing is missing, doubled, reordered or changed: a chain of hashes for each writer in each
//! partition, which the reader follows link by link.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::stamp::{Stamp, hash};

/// The end of one chain: what the writer's next record hangs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    /// Records so far.
    pub(super) records: u64,
    /// The hash of the last one.
    pub(super) chain: u64,
}

impl Link {
    /// Makes `value` the next record of its chain.
    pub(super) fn stamp(&mut self, value: &mut [u8], writer: u32, sent: Duration) {
        let stamp = Stamp { writer, sequence: self.records, sent, chain: 0 };
        self.chain = stamp.write(value, self.chain);
        self.records += 1;
    }
}

/// A chain is known by its writer and its partition.
type Key = (u32, i32);

/// One chain as it was read so far.
#[derive(Clone, Debug, Default)]
struct Followed {
    /// Up to the last record in order.
    link: Link,
    /// Sequences below that were not there when they should have been.
    missing: BTreeSet<u64>,
}

/// Missing records that are remembered one by one; from then on they are only counted.
const MISSING_MAX: u64 = 1_000_000;

/// Follows the chains of some partitions.
#[derive(Clone, Debug, Default)]
pub(super) struct Checker {
    chains: BTreeMap<Key, Followed>,
    verdict: Verdict,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    /// Records that were looked at.
    pub(super) checked: u64,
    pub(super) missing: u64,
    pub(super) doubled: u64,
    pub(super) reordered: u64,
    pub(super) changed: u64,
}

impl Verdict {
    /// Whether everything is there, once, unchanged and in order, but for `undelivered` records that the producer
    /// reported as failed.
    pub(super) const fn is_good(&self, undelivered: u64) -> bool {
        self.missing <= undelivered && self.doubled == 0 && self.reordered == 0 && self.changed == 0
    }
}

impl Checker {
    /// Looks at a record. One that is not ours is left out.
    pub(super) fn see(&mut self, partition: i32, value: &[u8]) {
        let Some(stamp) = Stamp::read(value) else { return };
        self.verdict.checked += 1;
        let followed = self.chains.entry((stamp.writer, partition)).or_default();
        let expected = followed.link.records;
        if stamp.sequence == expected {
            if hash(value, followed.link.chain) != stamp.chain {
                self.verdict.changed += 1;
            }
        } else if stamp.sequence > expected {
            // What the record hangs on was not seen, so its own hash is taken on trust.
            followed.lose(expected, stamp.sequence);
        } else if followed.missing.remove(&stamp.sequence) {
            self.verdict.reordered += 1;
            return;
        } else {
            self.verdict.doubled += 1;
            return;
        }
        followed.link = Link { records: stamp.sequence + 1, chain: stamp.chain };
    }

    /// Takes what another reader found in other partitions.
    pub(super) fn add(&mut self, other: Self) {
        self.chains.extend(other.chains);
        let Verdict { checked, missing, doubled, reordered, changed } = other.verdict;
        self.verdict.checked += checked;
        self.verdict.missing += missing;
        self.verdict.doubled += doubled;
        self.verdict.reordered += reordered;
        self.verdict.changed += changed;
    }

    /// What was found in chains that end wherever they end.
    pub(super) fn verdict(&self) -> Verdict {
        let missing: usize = self.chains.values().map(|chain| chain.missing.len()).sum();
        let missing = u64::try_from(missing).unwrap_or(u64::MAX);
        Verdict { missing: self.verdict.missing + missing, ..self.verdict }
    }

    /// What was found when the writers say that their chains end so: by writer and partition.
    pub(super) fn verdict_against(
        mut self,
        ends: impl IntoIterator<Item = (u32, i32, Link)>,
    ) -> Verdict {
        for (writer, partition, end) in ends {
            let followed = self.chains.entry((writer, partition)).or_default();
            if followed.link.records < end.records {
                let seen = followed.link.records;
                followed.lose(seen, end.records);
            } else if followed.link != end {
                self.verdict.changed += 1;
            }
        }
        self.verdict()
    }
}

impl Followed {
    fn lose(&mut self, from: u64, to: u64) {
        // However many are gone, the memory for it is bounded: a run with so many has failed anyway.
        self.missing.extend(from..to.min(from.saturating_add(MISSING_MAX)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of one writer in one partition, and where their chain ends.
    fn records(count: u8) -> (Vec<Vec<u8>>, Link) {
        let mut link = Link::default();
        let made = (0..count).map(|number| {
            let mut value = vec![number; 48];
            link.stamp(&mut value, 1, Duration::from_nanos(1));
            value
        });
        (made.collect(), link)
    }

    fn check(change: impl FnOnce(&mut Vec<Vec<u8>>), expected: Verdict) {
        let (mut values, end) = records(10);
        change(&mut values);
        let mut checker = Checker::default();
        for value in &values {
            checker.see(0, value);
        }
        let checked = values.len() as u64;
        assert_eq!(checker.verdict_against([(1, 0, end)]), Verdict { checked, ..expected });
    }

    #[test]
    fn what_is_as_it_was_written_is_good() {
        check(|_| {}, Verdict::default());
        assert!(Verdict::default().is_good(0));
    }

    #[test]
    fn each_kind_of_fault_is_told_from_the_others() {
        let none = Verdict::default();
        check(|values| drop(values.remove(4)), Verdict { missing: 1, ..none });
        check(|values| drop(values.remove(0)), Verdict { missing: 1, ..none });
        check(|values| values.truncate(7), Verdict { missing: 3, ..none });
        check(|values| values.insert(5, values[4].clone()), Verdict { doubled: 1, ..none });
        check(|values| values.swap(3, 4), Verdict { reordered: 1, ..none });
        check(|values| values[6][40] ^= 1, Verdict { changed: 1, ..none });
        check(|values| values[6][20] ^= 1, Verdict { changed: 1, ..none });
        // Neither in the hash nor in the next link would a forged hash fit.
        check(|values| values[6][30] ^= 1, Verdict { changed: 2, ..none });
        check(|values| values[9][30] ^= 1, Verdict { changed: 2, ..none });
    }

    #[test]
    fn records_that_failed_may_be_missing_and_nothing_else() {
        let lost = Verdict { missing: 3, ..Verdict::default() };
        assert!(lost.is_good(3) && !lost.is_good(2));
        assert!(!Verdict { doubled: 1, ..lost }.is_good(3));
    }

    #[test]
    fn chains_of_other_writers_and_partitions_do_not_mix() {
        let mut checker = Checker::default();
        let mut links = [Link::default(); 4];
        for round in 0..50 {
            for (index, link) in links.iter_mut().enumerate() {
                let mut value = vec![round; 33];
                let writer = u32::try_from(index % 2).unwrap();
                link.stamp(&mut value, writer, Duration::ZERO);
                checker.see(i32::try_from(index / 2).unwrap(), &value);
            }
        }
        let ends = [(0, 0, links[0]), (1, 0, links[1]), (0, 1, links[2]), (1, 1, links[3])];
        let verdict = checker.verdict_against(ends);
        assert_eq!(verdict, Verdict { checked: 200, ..Verdict::default() });
    }

    #[test]
    fn what_others_wrote_into_the_topic_is_left_out() {
        let mut checker = Checker::default();
        checker.see(0, b"a line that somebody else produced into the same topic");
        assert_eq!(checker.verdict(), Verdict::default());
    }
}
