//! What members want: names and patterns, and the topics that these are now.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use thalweg_protocol::{TopicId, TopicName};

use super::error::GroupError;
use super::options::Topics;
use super::pattern::Pattern;
use super::record::Name;
use super::request::Subscription;
use super::state::Groups;

/// Topics that one member may name.
const NAMES_MAX: usize = 10_000;

/// What their names may take together, in bytes: a flood of members holds no more than so much each.
const NAMES_BYTES_MAX: usize = 256 * 1_024;

/// Different patterns that the members of one group may have: each is held against every topic when one comes.
const PATTERNS_MAX: usize = 100;

/// Whether the names of a subscription can be kept.
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
    Ok(())
}

/// What patterns match now: of many members with the same one, in whatever groups, only the first asks. Each is held, so
/// that its place in memory means it alone.
pub(super) type Matched = HashMap<*const Pattern, (Arc<Pattern>, Vec<TopicId>)>;

/// The topics of a subscription that are there, rising.
fn topics_of(
    subscription: &Subscription,
    pattern: Option<&Arc<Pattern>>,
    topics: &dyn Topics,
    matched: &mut Matched,
) -> Vec<TopicId> {
    let named = subscription.names.iter().filter_map(|name| topics.named(name));
    let mut found: Vec<TopicId> = named.map(|facts| facts.id).collect();
    if let Some(pattern) = pattern {
        let (_, ids) = matched.entry(Arc::as_ptr(pattern)).or_insert_with(|| {
            let mut ids = Vec::new();
            topics.each(&mut |name, facts| {
                if pattern.matches(name) {
                    ids.push(facts.id);
                }
            });
            (Arc::clone(pattern), ids)
        });
        found.extend_from_slice(ids);
    }
    found.sort_unstable();
    found.dedup();
    found
}

impl Groups {
    /// Compiles the pattern of a subscription, unless a member of this shard has it.
    pub(super) fn compile(
        &mut self,
        group: &str,
        subscription: &Subscription,
    ) -> Result<Option<Arc<Pattern>>, GroupError> {
        let Some(text) = &subscription.pattern else { return Ok(None) };
        let refused = |reason: String| {
            let pattern = text.chars().take(80).collect();
            GroupError::InvalidPattern { pattern, reason }
        };
        let pattern = self.patterns.compiled(text).map_err(refused)?;
        let members = self.groups.get(group).into_iter().flat_map(|group| group.members.values());
        let mut others: Vec<_> =
            members.filter_map(|m| m.pattern.as_ref().map(Arc::as_ptr)).collect();
        others.sort_unstable();
        others.dedup();
        if others.len() >= PATTERNS_MAX && !others.contains(&Arc::as_ptr(&pattern)) {
            return Err(refused(format!(
                "the members of group {group:?} have {} different patterns already",
                others.len()
            )));
        }
        Ok(Some(pattern))
    }

    /// How often a pattern was compiled: what a flood of them costs.
    pub const fn compilations(&self) -> u64 {
        self.patterns.compilations()
    }

    /// Looks up anew what a group's members want. Says whether that has changed.
    pub(super) fn resolve(
        &mut self,
        name: &Name,
        topics: &dyn Topics,
        matched: &mut Matched,
    ) -> bool {
        let Self { groups, patterns, .. } = self;
        let Some(group) = groups.get_mut(name) else { return false };
        let mut all = BTreeMap::new();
        let mut changed = false;
        for member in group.members.values_mut() {
            let Some(stored) = &member.stored else { continue };
            if let (None, Some(text)) = (&member.pattern, &stored.subscription.pattern) {
                let compiled = patterns.compiled(text);
                member.pattern = Some(compiled.unwrap_or_else(|_| Arc::new(Pattern::NOTHING)));
            }
            let pattern = member.pattern.as_ref();
            let wanted = topics_of(&stored.subscription, pattern, topics, matched);
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
