//! Whether everything acknowledged is there: once, unchanged, in order for each key, where the broker said.

use std::collections::{BTreeMap, HashMap};

use thalweg_client::{Delivered, Offset};

use super::publish::Place;
use super::read::Seen;

/// How many complaints of a kind are told.
const TOLD_MAX: usize = 3;

/// Complaints, if there are any.
pub(super) fn complaints(acknowledged: &[(Place, Delivered)], seen: &[Seen]) -> Vec<String> {
    let mut found = Vec::new();
    found.extend(told(each_once(acknowledged, seen)));
    found.extend(told(unchanged(seen)));
    found.extend(told(in_order(seen)));
    found.extend(told(where_said(acknowledged, seen)));
    found
}

fn told(all: Vec<String>) -> Vec<String> {
    let more = all.len().saturating_sub(TOLD_MAX);
    let mut told: Vec<String> = all.into_iter().take(TOLD_MAX).collect();
    if more > 0 {
        told.push(format!("and {more} more like it"));
    }
    told
}

fn named(place: Place) -> String {
    format!("event {} of round {}", place.index, place.round)
}

/// Nothing lost, nothing twice, nothing that nobody published.
fn each_once(acknowledged: &[(Place, Delivered)], seen: &[Seen]) -> Vec<String> {
    let mut counts: BTreeMap<Place, usize> = BTreeMap::new();
    for place in seen.iter().filter_map(|one| one.place) {
        *counts.entry(place).or_default() += 1;
    }
    let mut found = Vec::new();
    for (place, _) in acknowledged {
        match counts.remove(place) {
            Some(1) => {}
            Some(times) => found.push(format!("{} is there {times} times", named(*place))),
            None => found.push(format!("{} was acknowledged and is LOST", named(*place))),
        }
    }
    found.extend(counts.keys().map(|place| format!("{} was never acknowledged", named(*place))));
    found
}

fn unchanged(seen: &[Seen]) -> Vec<String> {
    let changed = seen.iter().filter(|one| !one.intact);
    changed
        .map(|one| {
            format!("partition {} offset {} holds something else", one.partition, one.offset)
        })
        .collect()
}

/// Events of one key come in the order in which they were published.
fn in_order(seen: &[Seen]) -> Vec<String> {
    let mut last: HashMap<&str, Place> = HashMap::new();
    let mut found = Vec::new();
    for one in seen {
        let Some(place) = one.place else { continue };
        if let Some(before) = last.insert(&one.key, place)
            && before >= place
        {
            found.push(format!("{} of {} comes after {}", named(place), one.key, named(before)));
        }
    }
    found
}

fn where_said(acknowledged: &[(Place, Delivered)], seen: &[Seen]) -> Vec<String> {
    let said: HashMap<Place, &Delivered> =
        acknowledged.iter().map(|(place, it)| (*place, it)).collect();
    let mut found = Vec::new();
    for one in seen {
        let Some(place) = one.place else { continue };
        let Some(said) = said.get(&place) else { continue };
        // The broker knew only that it has the record already.
        let same_offset = said.offset == Offset::NONE || said.offset == one.offset;
        if said.partition != one.partition || !same_offset {
            found.push(format!(
                "{} is at partition {} offset {}, acknowledged was partition {} offset {}",
                named(place),
                one.partition,
                one.offset,
                said.partition,
                said.offset
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use thalweg_client::{PartitionIndex, TimestampMs};

    use super::*;

    fn stored(count: usize) -> (Vec<(Place, Delivered)>, Vec<Seen>) {
        let partition = PartitionIndex::new(0);
        (0..count)
            .map(|index| {
                let place = Place { round: 1, index };
                let offset = Offset::new(i64::try_from(index).unwrap());
                let delivered = Delivered { partition, offset, timestamp: TimestampMs::NONE };
                let key = "us".to_owned();
                let seen = Seen {
                    place: Some(place),
                    key,
                    partition,
                    offset,
                    intact: true,
                    latency_us: 1,
                };
                ((place, delivered), seen)
            })
            .unzip()
    }

    fn check(change: impl FnOnce(&mut Vec<Seen>), expected: &str) {
        let (acknowledged, mut seen) = stored(5);
        change(&mut seen);
        let found = complaints(&acknowledged, &seen);
        assert!(found.iter().any(|one| one.contains(expected)), "{found:?}");
    }

    #[test]
    fn what_is_right_is_not_complained_about() {
        let (acknowledged, seen) = stored(5);
        assert!(complaints(&acknowledged, &seen).is_empty());
    }

    #[test]
    fn every_kind_of_mistake_is_seen() {
        check(|seen| _ = seen.remove(2), "event 2 of round 1 was acknowledged and is LOST");
        check(|seen| seen.push(seen[3].clone()), "event 3 of round 1 is there 2 times");
        check(|seen| seen.swap(1, 2), "event 1 of round 1 of us comes after event 2");
        check(|seen| seen[4].intact = false, "offset 4 holds something else");
        check(|seen| seen[0].offset = Offset::new(9), "acknowledged was partition 0 offset 0");
        check(|seen| seen[0].place = Some(Place { round: 2, index: 0 }), "was never acknowledged");
    }
}
