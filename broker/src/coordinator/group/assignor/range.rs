//! Neighbouring partitions of each topic to each member: the partitions with the same number of several topics go to
//! the same member, which joins of streams want.

use std::collections::BTreeMap;

use thalweg_protocol::{PartitionIndex, TopicId, TopicPartition};

use super::super::partitions::Partitions;
use super::choice::{Assignor, Candidate};

/// Shares each topic out by itself, in ranges.
#[derive(Clone, Copy, Debug)]
pub struct Range;

impl Assignor for Range {
    fn name(&self) -> &'static str {
        "range"
    }

    fn assign(
        &self,
        candidates: &[Candidate<'_>],
        topics: &BTreeMap<TopicId, usize>,
    ) -> Vec<Partitions> {
        // Static members keep their place in the order over a restart, in which their ids change.
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by_key(|place| {
            candidates.get(*place).map(|c| (c.instance.is_none(), c.instance, c.member))
        });
        let mut shares = vec![Vec::new(); candidates.len()];
        for (topic, count) in topics {
            let wants = |place: &usize| {
                candidates.get(*place).is_some_and(|c| c.topics.binary_search(topic).is_ok())
            };
            let wanting: Vec<usize> = order.iter().copied().filter(wants).collect();
            let mut next = 0;
            for (rank, place) in wanting.iter().enumerate() {
                let more = usize::from(rank < count % wanting.len());
                let end = next + count / wanting.len() + more;
                if let Some(share) = shares.get_mut(*place) {
                    share.extend((next..end).filter_map(|number| at(*topic, number)));
                }
                next = end;
            }
        }
        shares.into_iter().map(|share| share.into_iter().collect()).collect()
    }
}

/// The partition with this number.
pub(super) fn at(topic: TopicId, number: usize) -> Option<TopicPartition> {
    i32::try_from(number).ok().map(|number| TopicPartition::new(topic, PartitionIndex::new(number)))
}
