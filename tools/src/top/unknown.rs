//! Which groups are not known, and why: a line for each cause, since a broker that loads says the same of every shard.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use thalweg_client::{DescribedGroup, ErrorCode, MissingShard};

/// So many lines at most; the figures need the others.
const LINES_MAX: usize = 4;

/// What has an answer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Shard,
    Group,
}

/// What is not known for one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    part: Part,
    count: usize,
    /// The first of them; the others differ in nothing but their numbers.
    reason: String,
}

impl Unknown {
    fn line(&self) -> String {
        let Self { part, count, reason } = self;
        let s = if *count == 1 { "" } else { "s" };
        match part {
            Part::Shard => format!("groups of {count} shard{s} unknown: {reason}"),
            Part::Group => format!("{count} group{s} unknown: {reason}"),
        }
    }
}

/// What is missing from a round, by cause. A group that was deleted since it was listed is not missing.
pub(super) fn by_cause(shards: &[MissingShard], groups: &[DescribedGroup]) -> Vec<Unknown> {
    let shards = shards.iter().map(|it| (Part::Shard, &it.error));
    let groups = groups.iter().filter_map(|it| Some((Part::Group, it.error.as_ref()?)));
    let mut causes: BTreeMap<(Part, String), Unknown> = BTreeMap::new();
    for (part, error) in shards.chain(groups.filter(|(_, it)| it.code != ErrorCode::UnknownGroup)) {
        let alike = error.message.chars().filter(|it| !it.is_ascii_digit()).collect();
        let cause = causes.entry((part, alike)).or_insert_with(|| {
            let reason = error.message.clone();
            Unknown { part, count: 0, reason }
        });
        cause.count += 1;
    }
    causes.into_values().collect()
}

/// What is said of them: the most frequent causes first, the rest as a number.
pub(super) fn lines(mut causes: Vec<Unknown>) -> Vec<String> {
    causes.sort_by_key(|it| (it.part, Reverse(it.count)));
    if causes.len() <= LINES_MAX {
        return causes.iter().map(Unknown::line).collect();
    }
    let (told, rest) = causes.split_at(LINES_MAX - 1);
    let more = format!("groups unknown for {} other causes as well", rest.len());
    told.iter().map(Unknown::line).chain([more]).collect()
}
