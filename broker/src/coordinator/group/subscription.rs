//! What members want: names and patterns, and the topics that these are now.
//!
//! Patterns come from strangers: the engine takes time linear in the text, and what a pattern may take when compiled is
//! bounded.

use std::collections::{BTreeMap, HashMap};

use regex::{Regex, RegexBuilder};
use thalweg_protocol::{TopicId, TopicName};

use super::error::GroupError;
use super::options::Topics;
use super::record::Name;
use super::request::Subscription;
use super::state::Groups;

/// Topics that one member may name.
const NAMES_MAX: usize = 10_000;

/// What their names may take together, in bytes: a flood of members holds no more than so much each.
const NAMES_BYTES_MAX: usize = 256 * 1_024;

/// The longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1_024;

/// What a compiled pattern may take, in bytes.
const COMPILED_BYTES_MAX: usize = 256 * 1_024;

/// Patterns kept compiled: with more of them they are compiled each time.
const KEPT_MAX: usize = 128;

/// Patterns, compiled once.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    kept: HashMap<String, Regex>,
}

impl Patterns {
    fn compiled(&mut self, pattern: &str) -> Option<Regex> {
        if let Some(regex) = self.kept.get(pattern) {
            return Some(regex.clone());
        }
        let regex = compile(pattern).ok()?;
        if self.kept.len() >= KEPT_MAX {
            self.kept.clear();
        }
        self.kept.insert(pattern.to_owned(), regex.clone());
        Some(regex)
    }

    /// The topics of a subscription that are there, rising.
    fn topics_of(&mut self, subscription: &Subscription, topics: &dyn Topics) -> Vec<TopicId> {
        let named = subscription.names.iter().filter_map(|name| topics.named(name));
        let mut found: Vec<TopicId> = named.map(|facts| facts.id).collect();
        let pattern = subscription.pattern.as_deref().and_then(|pattern| self.compiled(pattern));
        if let Some(pattern) = pattern {
            topics.each(&mut |name, facts| {
                if pattern.is_match(name) {
                    found.push(facts.id);
                }
            });
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The whole name has to match.
fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    let build = |text: &str| {
        let mut builder = RegexBuilder::new(text);
        builder.size_limit(COMPILED_BYTES_MAX).dfa_size_limit(COMPILED_BYTES_MAX).nest_limit(64);
        builder.build()
    };
    // By itself first, so that no half of it hides in what is put around it.
    build(pattern)?;
    build(&format!(r"\A(?:{pattern})\z"))
}

/// Whether a subscription can be kept.
pub(super) fn check(group: &str, subscription: &Subscription) -> Result<(), GroupError> {
    let invalid = |what: String| GroupError::InvalidRequest { group: group.to_owned(), what };
    let count = subscription.names.len();
    if count > NAMES_MAX {
        return Err(invalid(format!("{count} topics are named, at most {NAMES_MAX} can be")));
    }
    let bytes: usize = subscription.names.iter().map(String::len).sum();
    if bytes > NAMES_BYTES_MAX {
        let text =
            format!("the topics' names take {bytes} bytes, at most {NAMES_BYTES_MAX} they can");
        return Err(invalid(text));
    }
    for name in &subscription.names {
        TopicName::new(name).map_err(|error| invalid(error.to_string()))?;
    }
    let Some(pattern) = &subscription.pattern else { return Ok(()) };
    let refused = |reason: String| GroupError::InvalidPattern {
        pattern: pattern.chars().take(80).collect(),
        reason,
    };
    if pattern.len() > PATTERN_BYTES_MAX {
        let bytes = pattern.len();
        return Err(refused(format!(
            "it has {bytes} bytes, at most {PATTERN_BYTES_MAX} are taken"
        )));
    }
    compile(pattern).map(drop).map_err(|error| refused(error.to_string()))
}

impl Groups {
    /// Looks up anew what a group's members want. Says whether that has changed.
    pub(super) fn resolve(&mut self, name: &Name, topics: &dyn Topics) -> bool {
        let Some(group) = self.groups.get_mut(name) else { return false };
        let mut all = BTreeMap::new();
        let mut changed = false;
        for member in group.members.values_mut() {
            let Some(stored) = &member.stored else { continue };
            let wanted = self.patterns.topics_of(&stored.subscription, topics);
            for facts in wanted.iter().filter_map(|id| topics.with_id(*id)) {
                all.insert(facts.id, facts.partitions);
            }
            changed |= member.topics != wanted;
            member.topics = wanted;
        }
        changed |= group.topics != all;
        group.topics = all;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_pattern(pattern: &str) -> Result<(), GroupError> {
        let pattern = Some(pattern.to_owned());
        check("g", &Subscription { names: Vec::new(), pattern })
    }

    #[test]
    fn patterns_that_do_not_compile_or_explode_are_refused() {
        assert_eq!(with_pattern("logs-.*"), Ok(()));
        for bad in ["(", "a{1000}{1000}", "(?P<x>a)(?P<x>b)", "x)|(y", &"a".repeat(2_000)] {
            let refused = with_pattern(bad);
            assert!(
                matches!(refused, Err(GroupError::InvalidPattern { .. })),
                "{bad:?}: {refused:?}"
            );
        }
    }

    #[test]
    fn a_pattern_means_the_whole_name() {
        let regex = compile("a|bc").unwrap();
        assert!(regex.is_match("a") && regex.is_match("bc"));
        assert!(!regex.is_match("ab") && !regex.is_match("abc"));
    }
}
