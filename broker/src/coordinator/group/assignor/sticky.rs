//! As many partitions to each member as to the others, and as few moves as that allows.

use std::collections::{BTreeMap, BTreeSet};

use thalweg_protocol::{TopicId, TopicPartition};

use super::super::partitions::Partitions;
use super::choice::{Assignor, Candidate};
use super::range::at;

/// Keeps what it can, then evens out.
#[derive(Clone, Copy, Debug)]
pub struct Sticky;

impl Assignor for Sticky {
    fn name(&self) -> &'static str {
        "sticky"
    }

    fn assign(
        &self,
        candidates: &[Candidate<'_>],
        topics: &BTreeMap<TopicId, usize>,
    ) -> Vec<Partitions> {
        let mut plan = Plan::new(candidates, topics);
        if plan.all_want_the_same() {
            plan.trim();
        }
        plan.place_free();
        plan.even_out();
        plan.shares.into_iter().map(|share| share.into_iter().collect()).collect()
    }
}

struct Plan<'a> {
    candidates: &'a [Candidate<'a>],
    /// What each candidate has so far.
    shares: Vec<BTreeSet<TopicPartition>>,
    /// What nobody has so far.
    free: BTreeSet<TopicPartition>,
    /// The places of those who want each topic.
    wanting: BTreeMap<TopicId, Vec<usize>>,
}

impl<'a> Plan<'a> {
    /// Everybody keeps what he had, as far as it is there and he wants it still.
    fn new(candidates: &'a [Candidate<'a>], topics: &BTreeMap<TopicId, usize>) -> Self {
        let mut wanting: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
        for (place, candidate) in candidates.iter().enumerate() {
            for topic in candidate.topics {
                wanting.entry(*topic).or_default().push(place);
            }
        }
        let there = topics.iter().filter(|(topic, _)| wanting.contains_key(*topic));
        let mut free: BTreeSet<_> = there
            .flat_map(|(topic, count)| (0..*count).filter_map(|number| at(*topic, number)))
            .collect();
        let keeps = |candidate: &Candidate<'_>| {
            let wants = |p: &TopicPartition| candidate.topics.binary_search(&p.topic).is_ok();
            let kept = candidate.before.iter().filter(wants);
            // Removed once taken: what two had by mistake goes to one of them.
            kept.filter(|p| free.remove(p)).collect()
        };
        let shares = candidates.iter().map(keeps).collect();
        Self { candidates, shares, free, wanting }
    }

    fn all_want_the_same(&self) -> bool {
        self.candidates.windows(2).all(|two| match two {
            [a, b] => a.topics == b.topics,
            _ => true,
        })
    }

    /// Takes from those who have more than an even share; those who had the most may keep one more.
    fn trim(&mut self) {
        let all = self.free.len() + self.shares.iter().map(BTreeSet::len).sum::<usize>();
        let Some(least) = all.checked_div(self.shares.len()) else { return };
        let mut with_one_more = all % self.shares.len();
        let mut order: Vec<usize> = (0..self.shares.len()).collect();
        order.sort_by_key(|place| std::cmp::Reverse(self.has(*place)));
        for place in order {
            let Some(share) = self.shares.get_mut(place) else { continue };
            let mut most = least;
            if share.len() > least && with_one_more > 0 {
                with_one_more -= 1;
                most += 1;
            }
            while share.len() > most {
                self.free.extend(share.pop_last());
            }
        }
    }

    fn has(&self, place: usize) -> usize {
        self.shares.get(place).map_or(0, BTreeSet::len)
    }

    /// Gives what nobody has to whoever wants it and has the least. What few want goes first.
    fn place_free(&mut self) {
        let mut free: Vec<_> = std::mem::take(&mut self.free).into_iter().collect();
        free.sort_by_key(|p| self.wanting.get(&p.topic).map_or(0, Vec::len));
        // Those who want the topic at hand, the one with the least first.
        let mut order: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut topic = None;
        for partition in free {
            if topic != Some(partition.topic) {
                topic = Some(partition.topic);
                let wanting = self.wanting.get(&partition.topic);
                order = wanting.into_iter().flatten().map(|p| (self.has(*p), *p)).collect();
            }
            let Some((count, place)) = order.pop_first() else { continue };
            if let Some(share) = self.shares.get_mut(place) {
                share.insert(partition);
            }
            order.insert((count + 1, place));
        }
    }

    /// Moves partitions from who has more to who has at least two less, as long as there are such: needed when not
    /// all want the same. Each move makes the sum of the squares smaller, so it ends.
    fn even_out(&mut self) {
        if self.all_want_the_same() {
            return;
        }
        let mut moved = true;
        while moved {
            moved = false;
            let mut order: Vec<usize> = (0..self.shares.len()).collect();
            order.sort_by_key(|place| std::cmp::Reverse(self.has(*place)));
            for from in order {
                moved |= self.give_away(from);
            }
        }
    }

    /// Gives from one to others until none of its topics is wanted by somebody with at least two less.
    fn give_away(&mut self, from: usize) -> bool {
        let mut moved = false;
        let topics: BTreeSet<TopicId> =
            self.shares.get(from).into_iter().flatten().map(|p| p.topic).collect();
        for topic in topics {
            loop {
                let wanting = self.wanting.get(&topic).into_iter().flatten();
                let Some(to) = wanting.copied().min_by_key(|place| (self.has(*place), *place))
                else {
                    break;
                };
                if self.has(to) + 1 >= self.has(from) {
                    break;
                }
                let share = self.shares.get_mut(from);
                let Some(given) = share.and_then(|share| {
                    let last = share.iter().rfind(|p| p.topic == topic).copied();
                    last.filter(|p| share.remove(p))
                }) else {
                    break;
                };
                if let Some(share) = self.shares.get_mut(to) {
                    share.insert(given);
                }
                moved = true;
            }
        }
        moved
    }
}
