//! What was acknowledged, and whether it is there: once, where it was said, in order.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// Who published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The producer that lives through all kills.
    Lasting,
    /// The one of a round.
    Round(u64),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lasting => f.write_str("lasting"),
            Self::Round(round) => write!(f, "round-{round}"),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Acknowledged {
    pub source: Source,
    /// The record's place among those of its source.
    pub number: u64,
    pub partition: i32,
    /// -1 when the broker knew only that it has the record.
    pub offset: i64,
}

#[derive(Clone, Debug)]
pub struct Read {
    pub source: String,
    pub number: u64,
    pub partition: i32,
    pub offset: i64,
}

#[derive(Debug, Default)]
pub struct Tally {
    acknowledged: Vec<Acknowledged>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fleeting = self.acknowledged.iter().filter(|it| it.source != Source::Lasting).count();
        write!(
            f,
            "{} records acknowledged, {fleeting} of them by producers that were given up",
            self.acknowledged.len()
        )
    }
}

impl Tally {
    pub fn take(&mut self, acknowledged: Vec<Acknowledged>) {
        self.acknowledged.extend(acknowledged);
    }

    /// Everything that is not as it should be.
    pub fn compare(&self, read: &[Read]) -> Vec<String> {
        let mut found = Vec::new();
        let mut places: HashMap<(&str, u64), Vec<(i32, i64)>> = HashMap::new();
        for it in read {
            places.entry((&it.source, it.number)).or_default().push((it.partition, it.offset));
        }
        for ((source, number), places) in &places {
            if places.len() > 1 {
                found
                    .push(format!("{source} {number} is there {} times: {places:?}", places.len()));
            }
        }
        for it in &self.acknowledged {
            let source = it.source.to_string();
            match places.get(&(source.as_str(), it.number)).and_then(|places| places.first()) {
                None => found
                    .push(format!("{source} {} was acknowledged and is LOST: {it:?}", it.number)),
                Some(place) if it.offset >= 0 && *place != (it.partition, it.offset) => {
                    found.push(format!("{it:?} is at {place:?}"));
                }
                Some(_) => {}
            }
        }
        found.extend(disorder(read));
        found
    }
}

/// Records of one source in one partition rise, and offsets have no gap.
fn disorder(read: &[Read]) -> Vec<String> {
    let mut last: BTreeMap<(&str, i32), u64> = BTreeMap::new();
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    let mut found = Vec::new();
    for it in read {
        if let Some(before) = last.insert((&it.source, it.partition), it.number)
            && before >= it.number
        {
            found.push(format!("{it:?} comes after number {before}"));
        }
        let expected = next.insert(it.partition, it.offset + 1).unwrap_or(0);
        if expected != it.offset {
            found.push(format!("{it:?} comes where offset {expected} was expected"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> (Tally, Vec<Read>) {
        let mut tally = Tally::default();
        let numbers = [0_u64, 1, 2];
        let offset = |number: u64| i64::try_from(number).unwrap();
        let acknowledged = |number| Acknowledged {
            source: Source::Lasting,
            number,
            partition: 0,
            offset: offset(number),
        };
        let read = |number| Read {
            source: "lasting".to_owned(),
            number,
            partition: 0,
            offset: offset(number),
        };
        tally.take(numbers.map(acknowledged).to_vec());
        (tally, numbers.map(read).to_vec())
    }

    #[test]
    fn what_is_lost_doubled_moved_or_reordered_is_seen() {
        let (tally, read) = three();
        assert!(tally.compare(&read).is_empty());
        assert!(
            tally.compare(&read[..2]).concat().contains("lasting 2 was acknowledged and is LOST")
        );
        let doubled = [read.clone(), vec![Read { offset: 3, ..read[2].clone() }]].concat();
        assert!(tally.compare(&doubled).concat().contains("is there 2 times"));
        let swapped = vec![
            read[0].clone(),
            Read { offset: 1, ..read[2].clone() },
            Read { offset: 2, ..read[1].clone() },
        ];
        assert!(tally.compare(&swapped).concat().contains("comes after number 2"));
    }
}
