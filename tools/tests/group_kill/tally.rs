//! What all members have printed: whether anything is missing, and whether what came twice came so for a reason.

use std::collections::{BTreeMap, HashMap};

use crate::chain::{ROOT, hash};

/// One line that a member printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    pub partition: i32,
    pub offset: i64,
    pub number: u64,
    pub before: u64,
    pub own: u64,
}

impl Read {
    /// From `partition offset number before own`.
    pub fn parse(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words.len(), 5, "no line of ours: {line:?}");
        let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
        Self {
            partition: words[0].parse().unwrap(),
            offset: words[1].parse().unwrap(),
            number: words[2].parse().unwrap(),
            before: hex(words[3]),
            own: hex(words[4]),
        }
    }
}

/// What one process has printed, in order.
#[derive(Debug)]
pub struct Life {
    pub name: String,
    /// It was killed or paused; else it ended as it should.
    pub was_disturbed: bool,
    pub read: Vec<Read>,
}

/// Offsets of one partition that a process read in one go.
#[derive(Debug)]
struct Stint {
    life: usize,
    first: i64,
    last: i64,
}

#[derive(Debug, Default)]
pub struct Verdict {
    /// Everything that is not as it should be.
    pub found: Vec<String>,
    /// Different records that were read.
    pub records: u64,
    /// Readings beyond the first of each record.
    pub doubled: u64,
    /// Times that a reader began with records which another had printed.
    pub overlaps: u64,
    /// The most records that were read again at once.
    pub doubled_at_once_max: i64,
}

/// Judges what was read of `published` records, by partition.
pub fn judge(lives: &[Life], published: &BTreeMap<i32, u64>) -> Verdict {
    let mut verdict = Verdict::default();
    let mut seen: HashMap<(i32, i64), u64> = HashMap::new();
    for read in lives.iter().flat_map(|life| &life.read) {
        *seen.entry((read.partition, read.offset)).or_default() += 1;
        if read.own != hash(read.before, read.partition, read.number) {
            verdict.found.push(format!("changed: {read:?}"));
        }
    }
    verdict.records = seen.len() as u64;
    verdict.doubled = seen.values().sum::<u64>() - verdict.records;
    chains(lives, published, &mut verdict);
    for (partition, stints) in stints(lives) {
        overlaps(partition, &stints, lives, &mut verdict);
    }
    verdict
}

/// Each partition's records hang together from the first to the last.
fn chains(lives: &[Life], published: &BTreeMap<i32, u64>, verdict: &mut Verdict) {
    let mut links: BTreeMap<i32, BTreeMap<u64, (u64, u64)>> = BTreeMap::new();
    for read in lives.iter().flat_map(|life| &life.read) {
        let links = links.entry(read.partition).or_default();
        let link = (read.before, read.own);
        if links.insert(read.number, link).is_some_and(|other| other != link) {
            verdict.found.push(format!("two records with one number: {read:?}"));
        }
    }
    for (partition, count) in published {
        let links = links.remove(partition).unwrap_or_default();
        let mut before = ROOT;
        for number in 0..*count {
            let Some(link) = links.get(&number) else {
                verdict.found.push(format!("partition {partition}: record {number} is MISSING"));
                break;
            };
            if link.0 != before {
                verdict.found.push(format!("partition {partition}: the chain breaks at {number}"));
                break;
            }
            before = link.1;
        }
        if links.len() as u64 > *count {
            verdict.found.push(format!("partition {partition}: more than was published"));
        }
    }
}

/// By partition, in the order in which processes began to read.
fn stints(lives: &[Life]) -> BTreeMap<i32, Vec<Stint>> {
    let mut stints: BTreeMap<i32, Vec<Stint>> = BTreeMap::new();
    for (life, read) in
        lives.iter().enumerate().flat_map(|(life, it)| it.read.iter().map(move |read| (life, read)))
    {
        let of_partition = stints.entry(read.partition).or_default();
        let last = of_partition
            .last_mut()
            .filter(|last| last.life == life && last.last + 1 == read.offset);
        match last {
            Some(stint) => stint.last = read.offset,
            None => of_partition.push(Stint { life, first: read.offset, last: read.offset }),
        }
    }
    stints
}

/// Readers may overlap only where one of them was killed or paused. A member that ended as it should has committed
/// all that it printed.
fn overlaps(partition: i32, stints: &[Stint], lives: &[Life], verdict: &mut Verdict) {
    for (index, one) in stints.iter().enumerate() {
        for other in &stints[index + 1..] {
            let both = (one.first.max(other.first), one.last.min(other.last));
            if both.0 > both.1 {
                continue;
            }
            verdict.overlaps += 1;
            verdict.doubled_at_once_max = verdict.doubled_at_once_max.max(both.1 - both.0 + 1);
            let is_right = [one, other].iter().any(|stint| lives[stint.life].was_disturbed);
            if !is_right {
                verdict.found.push(format!(
                    "partition {partition}: {} and {} both read {} to {}",
                    lives[one.life].name, lives[other.life].name, both.0, both.1
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Chain;

    fn read(range: std::ops::Range<i64>) -> Vec<Read> {
        let mut chain = Chain::new(0);
        let all = (0..range.end).map(|offset| Read::parse(&format!("0 {offset} {}", chain.next())));
        all.skip(usize::try_from(range.start).unwrap()).collect()
    }

    fn life(range: std::ops::Range<i64>, was_disturbed: bool) -> Life {
        Life { name: format!("{range:?}"), was_disturbed, read: read(range) }
    }

    #[test]
    fn missing_changed_and_needlessly_doubled_records_are_seen() {
        let published = BTreeMap::from([(0, 100)]);
        let found = |lives: &[Life]| judge(lives, &published).found.concat();
        let good = [life(0..60, true), life(50..100, false)];
        let verdict = judge(&good, &published);
        assert_eq!((verdict.found.len(), verdict.records, verdict.doubled), (0, 100, 10));
        assert_eq!(verdict.doubled_at_once_max, 10);
        assert!(found(&[life(0..60, true), life(61..100, false)]).contains("record 60 is MISSING"));
        assert!(found(&[life(0..60, false), life(50..100, false)]).contains("both read 50 to 59"));
        assert!(found(&[life(0..99, false)]).contains("record 99 is MISSING"));
        let mut changed = life(0..100, false);
        changed.read[40].own ^= 1;
        assert!(found(&[changed]).contains("changed"));
    }

    /// An earlier check wanted whoever reads on after a killed member to come to the end of what that one had read. But
    /// partitions move on: the second may have let go before, in good order, and a third have read the rest.
    #[test]
    fn what_a_killed_member_read_may_be_read_again_by_several() {
        let published = BTreeMap::from([(0, 600)]);
        let lives = [life(0..500, true), life(271..417, false), life(417..600, false)];
        let verdict = judge(&lives, &published);
        assert!(verdict.found.is_empty(), "{:?}", verdict.found);
        assert_eq!((verdict.records, verdict.doubled, verdict.overlaps), (600, 229, 2));
        let undisturbed = [life(0..500, false), life(271..417, false), life(417..600, false)];
        assert_eq!(judge(&undisturbed, &published).found.len(), 2);
    }
}
