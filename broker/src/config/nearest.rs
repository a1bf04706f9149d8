//! The known name that comes closest to a mistyped one.

/// The closest of `known` to `typed`, if it is close enough to have been meant.
///
/// A name is also close when only its section is missing or wrong: `level` for `log.level`.
pub(super) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let far = (typed.chars().count() / 3).max(2);
    known
        .map(|name| (closeness(typed, name), name))
        .filter(|((close, _), _)| *close <= far)
        .min_by_key(|(closeness, _)| *closeness)
        .map(|(_, name)| name)
}

/// Letters that differ, then those that differ in the whole name, which decides between equals.
fn closeness(typed: &str, name: &str) -> (usize, usize) {
    // A right name under a missing or wrong section counts as two mistakes beside the name's own; short
    // names are alike by chance.
    const SHORT: usize = 4;
    let whole = distance(typed, name);
    let within = |text: &'_ str| text.split_once('.').map_or(0, |(section, _)| section.len() + 1);
    let (typed_in, name_in) = (&typed[within(typed)..], &name[within(name)..]);
    if typed_in.len() < SHORT {
        return (whole, whole);
    }
    (whole.min(distance(typed_in, name_in) + 2), whole)
}

/// Letters to insert, delete, replace or swap to come from `a` to `b`; `-` and `_` count as one letter.
fn distance(a: &str, b: &str) -> usize {
    let plain = |text: &str| -> Vec<char> {
        text.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
    };
    let (a, b) = (plain(a), plain(b));
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(from != to);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *to && b[j - 1] == *from {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["node_id", "data_dirs", "limits.frame_bytes_max", "log.level"];

    #[test]
    fn a_typo_finds_its_name_and_nonsense_finds_none() {
        let check = |typed, expected| assert_eq!(nearest(typed, KNOWN.iter().copied()), expected);
        check("node_di", Some("node_id"));
        check("nodeid", Some("node_id"));
        check("data-dir", Some("data_dirs"));
        check("frame_bytes_max", Some("limits.frame_bytes_max"));
        check("limit.frame_byte_max", Some("limits.frame_bytes_max"));
        check("logs.level", Some("log.level"));
        check("level", Some("log.level"));
        check("zookeeper.connect", None);
        check("", None);
    }

    #[test]
    fn distances_count_single_mistakes() {
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("abc", "acb"), 1);
        assert_eq!(distance("abc", "ab"), 1);
        assert_eq!(distance("abc", "xbc"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
