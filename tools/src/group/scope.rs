//! Which of a group's partitions are meant: `--topic T`, `--topic T:0,3`, or none of it for all.

use std::collections::BTreeSet;
use std::str::FromStr;

use thalweg_client::{DescribedTopic, PartitionIndex};

use crate::failure::Failure;

/// A topic, and which of its partitions; none stands for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TopicScope {
    pub(super) topic: String,
    pub(super) partitions: Option<Vec<PartitionIndex>>,
}

const POSSIBLE: &str = "possible are a topic such as events, or some of its partitions: events:0,3";

impl FromStr for TopicScope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((topic, list)) = text.split_once(':') else {
            return match text {
                "" => Err(POSSIBLE.to_owned()),
                topic => Ok(Self { topic: topic.to_owned(), partitions: None }),
            };
        };
        let number = |text: &str| match text.trim().parse::<i32>() {
            Ok(number @ 0..) => Ok(PartitionIndex::new(number)),
            _ => Err(format!("{text:?} is no partition; {POSSIBLE}")),
        };
        if topic.is_empty() {
            return Err(POSSIBLE.to_owned());
        }
        let partitions: BTreeSet<PartitionIndex> =
            list.split(',').map(number).collect::<Result<_, _>>()?;
        Ok(Self { topic: topic.to_owned(), partitions: Some(partitions.into_iter().collect()) })
    }
}

impl TopicScope {
    /// The partitions by number; an error if the topic has not all of them.
    pub(super) fn partitions_of(
        &self,
        topic: &DescribedTopic,
    ) -> Result<Vec<PartitionIndex>, Failure> {
        let all: Vec<PartitionIndex> = topic.partitions.iter().map(|it| it.partition).collect();
        let Some(wanted) = &self.partitions else {
            return Ok(all);
        };
        match wanted.iter().find(|partition| !all.contains(partition)) {
            None => Ok(wanted.clone()),
            Some(missing) => Err(Failure::failed(format!(
                "topic {} has no partition {missing}, only 0 to {}",
                self.topic,
                all.len().saturating_sub(1)
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_comes_with_or_without_partitions() {
        let scope = |text: &str| text.parse::<TopicScope>();
        let partitions =
            |numbers: &[i32]| Some(numbers.iter().copied().map(PartitionIndex::new).collect());
        let topic = "events".to_owned();
        assert_eq!(scope("events"), Ok(TopicScope { topic: topic.clone(), partitions: None }));
        assert_eq!(
            scope("events:3, 0,3"),
            Ok(TopicScope { topic, partitions: partitions(&[0, 3]) })
        );
    }

    #[test]
    fn what_cannot_be_meant_says_what_is_possible() {
        for bad in ["", ":0", "events:", "events:x", "events:-1", "events:0,"] {
            let error = bad.parse::<TopicScope>().unwrap_err();
            assert!(error.contains("possible are a topic such as events"), "{bad}: {error}");
        }
    }
}
