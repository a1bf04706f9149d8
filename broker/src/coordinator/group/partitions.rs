//! A set of partitions, in order.

use thalweg_protocol::{PartitionIndex, TopicId, TopicPartition};

/// Partitions, each once, by topic id and number.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Partitions(Vec<TopicPartition>);

impl Partitions {
    /// No partition.
    pub const NONE: Self = Self(Vec::new());

    /// Whether it holds `at`.
    pub fn contains(&self, at: TopicPartition) -> bool {
        self.0.binary_search(&at).is_ok()
    }

    /// Whether it holds none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many it holds.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = TopicPartition> + '_ {
        self.0.iter().copied()
    }

    /// Those that are not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self(self.iter().filter(|at| !other.contains(*at)).collect())
    }

    /// Those that are in `other`, too.
    #[must_use]
    pub fn shared_with(&self, other: &Self) -> Self {
        Self(self.iter().filter(|at| other.contains(*at)).collect())
    }

    /// Those of both.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        self.iter().chain(other.iter()).collect()
    }

    /// Whether both hold one and the same partition.
    pub fn touches(&self, other: &Self) -> bool {
        self.iter().any(|at| other.contains(at))
    }

    /// The partitions of each topic.
    pub fn by_topic(&self) -> impl Iterator<Item = (TopicId, Vec<PartitionIndex>)> + '_ {
        self.0.chunk_by(|a, b| a.topic == b.topic).filter_map(|chunk| {
            let topic = chunk.first()?.topic;
            Some((topic, chunk.iter().map(|at| at.partition).collect()))
        })
    }
}

impl FromIterator<TopicPartition> for Partitions {
    fn from_iter<I: IntoIterator<Item = TopicPartition>>(partitions: I) -> Self {
        let mut sorted: Vec<_> = partitions.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        Self(sorted)
    }
}
