//! What an assignor is asked, and which ones there are.

use std::collections::BTreeMap;
use std::fmt::Debug;

use thalweg_protocol::TopicId;

use super::super::partitions::Partitions;
use super::super::record::Name;
use super::range::Range;
use super::sticky::Sticky;

/// A member as an assignor sees it.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// Its id.
    pub member: &'a Name,
    /// Its name, when it is a static member.
    pub instance: Option<&'a str>,
    /// The topics that it wants, rising; all of them are there.
    pub topics: &'a [TopicId],
    /// What it was to own until now.
    pub before: &'a Partitions,
}

/// Shares partitions out.
pub trait Assignor: Debug + Send + Sync {
    /// What members call it.
    fn name(&self) -> &'static str;

    /// What each candidate shall own, in their order. `topics` has how many partitions each topic has.
    fn assign(
        &self,
        candidates: &[Candidate<'_>],
        topics: &BTreeMap<TopicId, usize>,
    ) -> Vec<Partitions>;
}

/// Every assignor.
pub const ASSIGNORS: &[&dyn Assignor] = &[&Sticky, &Range];

/// The assignor of this name.
pub fn assignor(name: &str) -> Option<&'static dyn Assignor> {
    ASSIGNORS.iter().copied().find(|assignor| assignor.name() == name)
}

/// The broker's own choice.
pub fn default_assignor() -> &'static dyn Assignor {
    &Sticky
}
