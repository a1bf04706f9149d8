//! Groups: which there are, who reads what, how far behind they are; deleting and resetting.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::try_join_all;
use thalweg_protocol::native::{
    ApiError, CommitOffsetsRequest, CommitPartition, CommitTopic, DeleteGroupsRequest,
    DeleteOffsetsRequest, DescribeGroupsRequest, DescribedGroup, GroupCoordinator, GroupPartitions,
    GroupState, GroupTopicResult, ListGroupsRequest, ListGroupsResponse, ListedGroup, MissingShard,
    OffsetQuery,
};
use thalweg_protocol::{ErrorCode, MemberEpoch, Offset, PartitionIndex, TopicId, TopicName};

use super::{Admin, name};
use crate::consumer::{
    CommitError, CommitOffset, Committed, FailedCommit, GroupPartition, StartAt, resolve,
};
use crate::error::{AdminError, ConfigError, ConsumeError};
use crate::record::Partition;
use crate::router::only;

/// Where to put a group's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetTo {
    /// To a place in the log; [`StartAt::Committed`] leaves it where it is.
    At(StartAt),
    /// Forward by so many offsets, or back when it is negative.
    By(i64),
}

/// The groups that there are, as far as the brokers can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// The groups, by name.
    pub groups: Vec<ListedGroup>,
    /// Shards of `__consumer_offsets` whose groups are not among them, and why.
    pub missing: Vec<MissingShard>,
}

/// What a reset would do to one partition. Nothing is changed yet: [`Admin::commit_group_offsets`] does that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedReset {
    /// The topic's name.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
    /// What is committed now, if anything is.
    pub before: Option<Offset>,
    /// What would be committed.
    pub after: Offset,
    /// The first offset that can be read.
    pub log_start: Offset,
    /// The offset after the last that can be read.
    pub log_end: Offset,
}

impl From<&PlannedReset> for CommitOffset {
    fn from(planned: &PlannedReset) -> Self {
        Self::new(planned.topic.as_str(), planned.partition, planned.after)
    }
}

/// Consumer groups.
impl Admin {
    /// The broker that keeps a group, whether the group exists or not.
    pub async fn find_coordinator(&self, group: &str) -> Result<GroupCoordinator, AdminError> {
        self.router.locate_coordinator(group).await
    }

    /// The groups of all brokers, by name: those in one of these states, or all when `states` is empty. What is not known
    /// yet is asked for again up to the API deadline; what is not known then, or cannot be, is missing.
    pub async fn list_groups(&self, states: &[GroupState]) -> Result<GroupListing, AdminError> {
        let request = ListGroupsRequest { states: states.to_vec() };
        let lacks = |answer: &ListGroupsResponse| {
            let mut errors = answer.missing.iter().map(|shard| &shard.error);
            errors.find(|error| error.code.is_retriable()).cloned()
        };
        let answers = self.router.ask_every_broker("list groups", &request, lacks).await?;
        let (mut groups, mut missing) = (Vec::new(), Vec::new());
        for answer in answers {
            groups.extend(answer.groups);
            missing.extend(answer.missing);
        }
        groups.sort_by(|a, b| a.group.cmp(&b.group));
        // While a shard moves, two brokers may name its groups.
        groups.dedup_by(|a, b| a.group == b.group);
        missing.sort_by_key(|shard| shard.shard);
        Ok(GroupListing { groups, missing })
    }

    /// All about a group.
    pub async fn describe_group(&self, group: &str) -> Result<DescribedGroup, AdminError> {
        let operation = format!("describe group {group}");
        let request = DescribeGroupsRequest { groups: vec![group.to_owned()] };
        self.router
            .ask_coordinator(&operation, group, &request, |answer, _| {
                let described = only(answer.groups)?;
                match described.error {
                    Some(error) => Err(error),
                    None => Ok(described),
                }
            })
            .await
    }

    /// All about several groups, in their order: one request to each coordinator. A group that nobody knows comes with
    /// its error.
    pub async fn describe_groups<S: AsRef<str>>(
        &self,
        groups: &[S],
    ) -> Result<Vec<DescribedGroup>, AdminError> {
        let mut by_coordinator: BTreeMap<Arc<str>, Vec<String>> = BTreeMap::new();
        for (group, address) in self.router.find_coordinators(groups).await {
            by_coordinator.entry(address).or_default().push(group);
        }
        let asked = by_coordinator.into_iter().map(|(address, groups)| async move {
            let request = DescribeGroupsRequest { groups };
            let answer = self.router.ask_once(&address, &request).await;
            answer.map(|answer| answer.groups).unwrap_or_default()
        });
        let described = futures_util::future::join_all(asked).await.into_iter().flatten();
        let mut known: BTreeMap<String, DescribedGroup> =
            described.map(|described| (described.group.clone(), described)).collect();
        // What could not be had this way is asked for with patience.
        let each = groups.iter().map(|group| {
            let is_final = |found: &DescribedGroup| {
                found.error.as_ref().is_none_or(|error| !error.code.is_retriable())
            };
            let found = known.remove(group.as_ref()).filter(is_final);
            async move {
                match found {
                    Some(found) => Ok(found),
                    None => match self.describe_group(group.as_ref()).await {
                        Err(AdminError::Refused { code, message, .. }) => {
                            Ok(missing(group.as_ref(), ApiError { code, message }))
                        }
                        other => other,
                    },
                }
            }
        });
        try_join_all(each).await
    }

    /// Forgets a group with all its offsets. It must have no members.
    pub async fn delete_group(&self, group: &str) -> Result<(), AdminError> {
        let operation = format!("delete group {group}");
        let request = DeleteGroupsRequest { groups: vec![group.to_owned()] };
        self.router
            .ask_coordinator(&operation, group, &request, |answer, maybe_done| {
                match only(answer.groups)?.error {
                    // Our own first attempt deleted it, and its answer was lost.
                    Some(error) if maybe_done && error.code == ErrorCode::UnknownGroup => Ok(()),
                    Some(error) => Err(error),
                    None => Ok(()),
                }
            })
            .await
    }

    /// Forgets what a group has committed for these partitions. No member of the group may be subscribed to the topic.
    pub async fn delete_group_offsets(
        &self,
        group: &str,
        topic: &str,
        partitions: impl IntoIterator<Item = impl Into<Partition>>,
    ) -> Result<(), AdminError> {
        let topic = name(topic)?;
        let operation = format!("delete offsets of group {group} in topic {topic}");
        let id = self.router.topic_id(&operation, &topic).await?;
        let partitions = partitions.into_iter().map(|one| one.into().0).collect();
        let topics = vec![GroupPartitions { topic: id, partitions }];
        let request = DeleteOffsetsRequest { group: group.to_owned(), topics };
        self.router
            .ask_coordinator(&operation, group, &request, |answer, _| {
                let results = only(answer.topics)?.partitions;
                let failed = results.into_iter().find_map(|one| {
                    let at = one.partition;
                    one.error.map(|error| (at, error))
                });
                match failed {
                    Some((at, error)) => {
                        let message = format!("partition {at}: {}", error.message);
                        Err(ApiError { code: error.code, message })
                    }
                    None => Ok(()),
                }
            })
            .await
    }

    /// All that a group has committed, by topic and partition.
    pub async fn group_offsets(&self, group: &str) -> Result<Vec<Committed>, AdminError> {
        let described = self.describe_group(group).await?;
        let mut committed = Vec::new();
        for topic in described.offsets {
            let Ok(name) = TopicName::new(&topic.name) else {
                continue;
            };
            let with_offset =
                topic.partitions.into_iter().filter(|one| one.committed != Offset::NONE);
            committed.extend(with_offset.map(|one| Committed {
                topic: name.clone(),
                partition: one.partition,
                offset: one.committed,
                leader_epoch: one.leader_epoch,
                metadata: one.metadata,
                time: one.commit_time,
            }));
        }
        Ok(committed)
    }

    /// Commits offsets for a group from outside of it: how offsets are reset. Refused while the group has members, with
    /// their names.
    pub async fn commit_group_offsets(
        &self,
        group: &str,
        offsets: impl IntoIterator<Item = CommitOffset>,
    ) -> Result<(), CommitError> {
        let operation = format!("commit offsets of group {group}");
        let mut topics: BTreeMap<(TopicId, TopicName), Vec<CommitPartition>> = BTreeMap::new();
        let mut count = 0;
        for wanted in offsets {
            let topic = TopicName::new(&wanted.topic).map_err(ConfigError::from)?;
            let id = self.router.topic_id(&operation, &topic).await.map_err(CommitError::Lookup)?;
            count += 1;
            topics.entry((id, topic)).or_default().push(CommitPartition {
                partition: wanted.partition,
                offset: wanted.offset,
                leader_epoch: wanted.leader_epoch,
                metadata: wanted.metadata,
            });
        }
        if count == 0 {
            return Ok(());
        }
        let names: BTreeMap<TopicId, TopicName> = topics.keys().cloned().collect();
        let request = CommitOffsetsRequest {
            group: group.to_owned(),
            member: String::new(),
            epoch: MemberEpoch::NONE,
            topics: topics
                .into_iter()
                .map(|((topic, _), partitions)| CommitTopic { topic, partitions })
                .collect(),
        };
        let answered = self
            .router
            .ask_coordinator(&operation, group, &request, |answer, _| Ok(answer.topics))
            .await
            .map_err(|error| commit_error(group, error))?;
        let failed = failed(answered, &names);
        if failed.is_empty() {
            return Ok(());
        }
        Err(CommitError::Partitions { group: group.to_owned(), failed, of: count })
    }

    /// What putting a group's offsets elsewhere would do: of all partitions of `topic`, or of these. Offsets outside of
    /// the log are moved to its nearer end.
    ///
    /// ```no_run
    /// # async fn example(admin: thalweg_client::Admin) -> Result<(), Box<dyn std::error::Error>> {
    /// use thalweg_client::{CommitOffset, ResetTo, StartAt};
    ///
    /// let planned = admin.plan_group_reset("alerts", "earthquakes", None, ResetTo::At(StartAt::Earliest)).await?;
    /// for one in &planned {
    ///     println!("{}: {:?} -> {}", one.partition, one.before, one.after);
    /// }
    /// admin.commit_group_offsets("alerts", planned.iter().map(CommitOffset::from)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn plan_group_reset(
        &self,
        group: &str,
        topic: &str,
        partitions: Option<&[PartitionIndex]>,
        to: ResetTo,
    ) -> Result<Vec<PlannedReset>, AdminError> {
        let topic = name(topic)?;
        let operation = format!("plan a reset of group {group} in topic {topic}");
        self.router.topic_id(&operation, &topic).await?;
        let all: Vec<PartitionIndex> = if let Some(partitions) = partitions {
            partitions.to_vec()
        } else {
            let image = self.router.image();
            let count = image.topics.get(&topic).map_or(0, |topic| topic.partitions.len());
            (0..i32::try_from(count).unwrap_or(i32::MAX)).map(PartitionIndex::new).collect()
        };
        let planned = all.into_iter().map(|partition| self.plan(group, &topic, partition, to));
        try_join_all(planned).await
    }

    async fn plan(
        &self,
        group: &str,
        topic: &TopicName,
        partition: PartitionIndex,
        to: ResetTo,
    ) -> Result<PlannedReset, AdminError> {
        let router = &self.router;
        let before = router.committed(group, topic, partition).await?.map(|one| one.offset);
        let log_start = router.list_offset(topic, partition, OffsetQuery::Earliest).await?.offset;
        let log_end = router.list_offset(topic, partition, OffsetQuery::Latest).await?.offset;
        let wanted = match to {
            ResetTo::At(StartAt::Committed) => before.unwrap_or(log_start),
            ResetTo::At(start) => {
                resolve(router, topic, partition, start).await.map_err(admin_error)?
            }
            ResetTo::By(shift) => {
                let from = before.unwrap_or(log_start).get();
                Offset::new(from.saturating_add(shift))
            }
        };
        let after = wanted.max(log_start).min(log_end);
        Ok(PlannedReset { topic: topic.clone(), partition, before, after, log_start, log_end })
    }
}

fn failed(
    answered: Vec<GroupTopicResult>,
    names: &BTreeMap<TopicId, TopicName>,
) -> Vec<FailedCommit> {
    let mut failed = Vec::new();
    for topic in answered {
        let Some(name) = names.get(&topic.topic) else {
            continue;
        };
        for one in topic.partitions {
            if let Some(error) = one.error {
                let partition = GroupPartition { topic: name.clone(), partition: one.partition };
                failed.push(FailedCommit { partition, code: error.code, message: error.message });
            }
        }
    }
    failed
}

fn missing(group: &str, error: ApiError) -> DescribedGroup {
    DescribedGroup {
        error: Some(error),
        group: group.to_owned(),
        kind: thalweg_protocol::native::GroupKind::Consumer,
        state: GroupState::Empty,
        epoch: thalweg_protocol::GroupEpoch::new(-1),
        assignor: String::new(),
        members: Vec::new(),
        offsets: Vec::new(),
        rebalances: 0,
        stall_ms: 0,
        commits_per_minute: 0,
    }
}

fn commit_error(group: &str, error: AdminError) -> CommitError {
    let group = group.to_owned();
    match error {
        AdminError::Refused { code, message, .. } => CommitError::Refused { group, code, message },
        AdminError::Unreachable { waited_ms, last, .. } => {
            CommitError::Unreachable { group, waited_ms, last }
        }
        AdminError::Config(error) => CommitError::Config(error),
    }
}

/// The same failure as the admin's callers see it.
fn admin_error(error: ConsumeError) -> AdminError {
    match error {
        ConsumeError::Unreachable { operation, waited_ms, last } => {
            AdminError::Unreachable { operation, attempts: 1, waited_ms, last }
        }
        ConsumeError::Refused { operation, code, message } => {
            AdminError::Refused { operation, code, message }
        }
        ConsumeError::Config(error) => AdminError::Config(error),
        other => AdminError::Refused {
            operation: "find an offset".to_owned(),
            code: other.code().unwrap_or(ErrorCode::InvalidRequest),
            message: other.to_string(),
        },
    }
}
