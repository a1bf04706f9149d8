//! Topics, offsets, the cluster: everything that is not publishing or reading.

mod groups;

use std::sync::Arc;

use thalweg_protocol::native::{
    AlterTopicsRequest, ApiError, CompactTopic, CompactTopicsRequest, CompactedPartition,
    ConfigChange, ConfigEntry, CreateTopicsRequest, DeleteRecordsPartition, DeleteRecordsRequest,
    DeleteRecordsTopic, DeleteTopicsRequest, DescribeClusterRequest, DescribeClusterResponse,
    DescribeTopicsRequest, DescribedTopic, EpochEnd, LeaderEpochPartition, LeaderEpochRequest,
    LeaderEpochTopic, MetadataRequest, OffsetQuery, TopicMetadata, TopicResult,
};
use thalweg_protocol::{
    ErrorCode, LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicName,
};

pub use groups::{GroupListing, PlannedReset, ResetTo};

use crate::error::{AdminError, ConfigError};
use crate::metadata::Topic;
use crate::record::Partition;
use crate::router::{Router, Target, only};

/// How a compacted partition stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactionStatus {
    /// A run that somebody asked for has not ended.
    pub waits: bool,
    /// Runs that ended well since the broker started.
    pub runs: u64,
    /// Below it everything was compacted.
    pub cleaned_end: Offset,
    /// Bytes of closed segments that were compacted.
    pub clean_bytes: u64,
    /// Bytes of closed segments that were not.
    pub dirty_bytes: u64,
    /// Bytes of the segments that the last run exchanged.
    pub before_bytes: u64,
    /// Bytes of what stands in their place.
    pub after_bytes: u64,
    /// Why the last run failed; none when it did not.
    pub failure: Option<String>,
}

impl CompactionStatus {
    fn new(answer: CompactedPartition) -> Self {
        Self {
            waits: answer.waits,
            runs: answer.runs,
            cleaned_end: answer.cleaned_end,
            clean_bytes: answer.clean_bytes,
            dirty_bytes: answer.dirty_bytes,
            before_bytes: answer.before_bytes,
            after_bytes: answer.after_bytes,
            failure: answer.failure,
        }
    }
}

/// A topic to create.
///
/// ```
/// use thalweg_client::NewTopic;
///
/// let topic = NewTopic::new("events").partitions(3).config("retention.ms", "86400000");
/// ```
#[derive(Clone, Debug)]
#[must_use = "`Admin::create_topic` creates it"]
pub struct NewTopic {
    wire: thalweg_protocol::native::NewTopic,
}

impl NewTopic {
    /// A topic with the brokers' defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            wire: thalweg_protocol::native::NewTopic {
                name: name.into(),
                partitions: -1,
                replication_factor: -1,
                configs: Vec::new(),
            },
        }
    }

    /// How many partitions; without it the brokers' default.
    pub const fn partitions(mut self, count: i32) -> Self {
        self.wire.partitions = count;
        self
    }

    /// How many replicas of each partition; without it the brokers' default.
    pub const fn replication_factor(mut self, count: i16) -> Self {
        self.wire.replication_factor = count;
        self
    }

    /// A setting that differs from the default, such as `retention.ms`.
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.wire.configs.push(ConfigEntry { key: key.into(), value: value.into() });
        self
    }
}

/// Changes to a topic, made all together or not at all.
///
/// ```
/// use thalweg_client::AlterTopic;
///
/// let change = AlterTopic::new("events").partitions(6).set("retention.ms", "3600000").reset("durability");
/// ```
#[derive(Clone, Debug)]
#[must_use = "`Admin::alter_topic` makes the changes"]
pub struct AlterTopic {
    wire: thalweg_protocol::native::AlterTopic,
}

impl AlterTopic {
    /// No change yet to the topic of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            wire: thalweg_protocol::native::AlterTopic {
                name: name.into(),
                partitions: None,
                configs: Vec::new(),
            },
        }
    }

    /// How many partitions it shall have; the number can only grow. Keys move to other partitions.
    pub const fn partitions(mut self, count: i32) -> Self {
        self.wire.partitions = Some(count);
        self
    }

    /// Sets a setting.
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let (key, value) = (key.into(), Some(value.into()));
        self.wire.configs.push(ConfigChange { key, value });
        self
    }

    /// Puts a setting back to its default.
    pub fn reset(mut self, key: impl Into<String>) -> Self {
        let (key, value) = (key.into(), None);
        self.wire.configs.push(ConfigChange { key, value });
        self
    }
}

/// A topic that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its name.
    pub name: String,
    /// Its id; zero when it was only checked.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many replicas each has.
    pub replication_factor: i16,
}

/// A topic in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicListing {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: TopicId,
    /// Whether it is the brokers' own.
    pub internal: bool,
    /// How many partitions it has.
    pub partitions: usize,
    /// How many replicas its first partition has.
    pub replication_factor: usize,
}

/// An offset that was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// The partition.
    pub partition: PartitionIndex,
    /// The offset, or -1 when no record is that young.
    pub offset: Offset,
    /// The record's timestamp, or -1 for the ends of the log.
    pub timestamp: TimestampMs,
    /// The epoch of the record at the offset, or -1.
    pub leader_epoch: LeaderEpoch,
}

/// Administers topics and looks at the cluster. Cheap to clone.
///
/// Each operation is tried again until it succeeds, is refused for good, or the client's
/// [`api_timeout`](crate::ClientBuilder::api_timeout) has passed.
#[derive(Clone, Debug)]
pub struct Admin {
    router: Arc<Router>,
}

impl Admin {
    pub(crate) const fn new(router: Arc<Router>) -> Self {
        Self { router }
    }

    /// Creates a topic.
    pub async fn create_topic(&self, topic: NewTopic) -> Result<CreatedTopic, AdminError> {
        self.create(topic, false).await
    }

    /// Says what [`Self::create_topic`] would do, and does nothing.
    pub async fn validate_topic(&self, topic: NewTopic) -> Result<CreatedTopic, AdminError> {
        self.create(topic, true).await
    }

    async fn create(
        &self,
        topic: NewTopic,
        validate_only: bool,
    ) -> Result<CreatedTopic, AdminError> {
        let operation = format!("create topic {}", topic.wire.name);
        let request = CreateTopicsRequest { topics: vec![topic.wire], validate_only };
        let created = self
            .router
            .administer(&operation, Target::Controller, &request, |answer, maybe_done| {
                let created = only(answer.topics)?;
                match created.error {
                    // Our own first attempt created it, and its answer was lost.
                    Some(error) if maybe_done && error.code == ErrorCode::TopicExists => Ok(None),
                    Some(error) => Err(error),
                    None => Ok(Some(CreatedTopic {
                        name: created.name,
                        id: created.id,
                        partitions: created.partitions,
                        replication_factor: created.replication_factor,
                    })),
                }
            })
            .await?;
        match (created, request.topics.first()) {
            (Some(created), _) => Ok(created),
            (None, Some(asked)) => self.describe_created(&asked.name).await,
            (None, None) => unreachable!("the request was made with one topic"),
        }
    }

    async fn describe_created(&self, name: &str) -> Result<CreatedTopic, AdminError> {
        let topic = self.describe_topic(name).await?;
        let replicas = topic.partitions.first().map_or(0, |p| p.replicas.len());
        Ok(CreatedTopic {
            name: topic.name,
            id: topic.id,
            partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
            replication_factor: i16::try_from(replicas).unwrap_or(i16::MAX),
        })
    }

    /// Deletes a topic with all that is in it.
    pub async fn delete_topic(&self, name: &str) -> Result<(), AdminError> {
        let operation = format!("delete topic {name}");
        let request = DeleteTopicsRequest { names: vec![name.to_owned()] };
        self.router
            .administer(&operation, Target::Controller, &request, |answer, maybe_done| {
                match only(answer.topics)?.error {
                    // Our own first attempt deleted it, and its answer was lost.
                    Some(error) if maybe_done && error.code == ErrorCode::UnknownTopic => Ok(()),
                    Some(error) => Err(error),
                    None => Ok(()),
                }
            })
            .await
    }

    /// Adds partitions to a topic, changes its settings.
    pub async fn alter_topic(&self, change: AlterTopic) -> Result<(), AdminError> {
        self.alter(change, false).await
    }

    /// Says whether [`Self::alter_topic`] would succeed, and does nothing.
    pub async fn validate_alter(&self, change: AlterTopic) -> Result<(), AdminError> {
        self.alter(change, true).await
    }

    async fn alter(&self, change: AlterTopic, validate_only: bool) -> Result<(), AdminError> {
        let operation = format!("alter topic {}", change.wire.name);
        let request = AlterTopicsRequest { topics: vec![change.wire], validate_only };
        self.router
            .administer(&operation, Target::Controller, &request, |answer, _| {
                succeeded(only(answer.topics)?)
            })
            .await
    }

    /// Describes one topic: partitions with their offsets and sizes, settings with their source.
    pub async fn describe_topic(&self, name: &str) -> Result<DescribedTopic, AdminError> {
        let operation = format!("describe topic {name}");
        let request = DescribeTopicsRequest { names: Some(vec![name.to_owned()]) };
        self.router
            .administer(&operation, Target::Any, &request, |answer, _| {
                let topic = only(answer.topics)?;
                topic.error.clone().map_or(Ok(topic), Err)
            })
            .await
    }

    /// Describes all topics, by name.
    pub async fn describe_topics(&self) -> Result<Vec<DescribedTopic>, AdminError> {
        let request = DescribeTopicsRequest { names: None };
        let mut topics = self
            .router
            .administer("describe all topics", Target::Any, &request, |answer, _| Ok(answer.topics))
            .await?;
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(topics)
    }

    /// Lists all topics, by name.
    pub async fn list_topics(&self) -> Result<Vec<TopicListing>, AdminError> {
        let request = MetadataRequest { names: None, ids: Vec::new() };
        let topics = self
            .router
            .administer("list topics", Target::Any, &request, |answer, _| Ok(answer.topics))
            .await?;
        let mut listed: Vec<_> = topics.into_iter().map(listing).collect();
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(listed)
    }

    /// Finds offsets by time, or the ends of the log, of one partition.
    pub async fn list_offset(
        &self,
        topic: &str,
        partition: impl Into<Partition>,
        query: OffsetQuery,
    ) -> Result<ListedOffset, AdminError> {
        let topic = name(topic)?;
        self.router.list_offset(&topic, partition.into().0, query).await
    }

    /// Finds offsets by time, or the ends of the logs, of all partitions of a topic.
    pub async fn list_offsets(
        &self,
        topic: &str,
        query: OffsetQuery,
    ) -> Result<Vec<ListedOffset>, AdminError> {
        let partitions = self.describe_topic(topic).await?.partitions;
        let topic = name(topic)?;
        let asked = partitions
            .into_iter()
            .map(|partition| self.router.list_offset(&topic, partition.partition, query));
        futures_util::future::try_join_all(asked).await
    }

    /// Deletes what lies below `before`; [`Offset::NONE`] stands for all that readers can see. Answers
    /// with the log start now.
    pub async fn delete_records(
        &self,
        topic: &str,
        partition: impl Into<Partition>,
        before: Offset,
    ) -> Result<Offset, AdminError> {
        let (topic, partition) = (name(topic)?, partition.into().0);
        let operation =
            format!("delete records below {before} in partition {partition} of topic {topic}");
        let make = |topic: &Topic, _| DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                topic: topic.id,
                partitions: vec![DeleteRecordsPartition { partition, before }],
            }],
        };
        self.router
            .ask_leader(&operation, &topic, partition, make, |answer| {
                let deleted = only(only(answer.topics)?.partitions)?;
                deleted.error.map_or(Ok(deleted.log_start), Err)
            })
            .await
    }

    /// Asks for a compaction run of a partition now. Answers at once with how it stands; the run goes on until
    /// [`waits`](CompactionStatus::waits) is false.
    pub async fn compact(
        &self,
        topic: &str,
        partition: impl Into<Partition>,
    ) -> Result<CompactionStatus, AdminError> {
        self.ask_compaction(topic, partition.into().0, true).await
    }

    /// How a compacted partition stands.
    pub async fn compaction_status(
        &self,
        topic: &str,
        partition: impl Into<Partition>,
    ) -> Result<CompactionStatus, AdminError> {
        self.ask_compaction(topic, partition.into().0, false).await
    }

    async fn ask_compaction(
        &self,
        topic: &str,
        partition: PartitionIndex,
        run: bool,
    ) -> Result<CompactionStatus, AdminError> {
        let topic = name(topic)?;
        let what = if run { "compact" } else { "ask for the compaction of" };
        let operation = format!("{what} partition {partition} of topic {topic}");
        let make = |topic: &Topic, _| CompactTopicsRequest {
            topics: vec![CompactTopic { topic: topic.id, partitions: vec![partition] }],
            run,
        };
        self.router
            .ask_leader(&operation, &topic, partition, make, |answer| {
                let mut compacted = only(only(answer.topics)?.partitions)?;
                compacted.error.take().map_or_else(|| Ok(CompactionStatus::new(compacted)), Err)
            })
            .await
    }

    /// Where `epoch`, or the largest one below it, ended in a partition; none when all are above.
    pub async fn epoch_end(
        &self,
        topic: &str,
        partition: impl Into<Partition>,
        epoch: LeaderEpoch,
    ) -> Result<Option<EpochEnd>, AdminError> {
        let (topic, partition) = (name(topic)?, partition.into().0);
        let operation =
            format!("find the end of epoch {epoch} in partition {partition} of topic {topic}");
        let make = |topic: &Topic, leader_epoch| LeaderEpochRequest {
            topics: vec![LeaderEpochTopic {
                topic: topic.id,
                partitions: vec![LeaderEpochPartition { partition, leader_epoch, wanted: epoch }],
            }],
        };
        self.router
            .ask_leader(&operation, &topic, partition, make, |answer| {
                let end = only(only(answer.topics)?.partitions)?;
                end.error.map_or(Ok(end.found), Err)
            })
            .await
    }

    /// Brokers, their log directories, and what is wrong with them.
    pub async fn describe_cluster(&self) -> Result<DescribeClusterResponse, AdminError> {
        let request = DescribeClusterRequest {};
        self.router
            .administer("describe the cluster", Target::Any, &request, |answer, _| Ok(answer))
            .await
    }
}

fn name(topic: &str) -> Result<TopicName, ConfigError> {
    Ok(TopicName::new(topic)?)
}

fn succeeded(topic: TopicResult) -> Result<(), ApiError> {
    topic.error.map_or(Ok(()), Err)
}

fn listing(topic: TopicMetadata) -> TopicListing {
    let replicas = topic.partitions.first().map(|first| first.replicas.len());
    TopicListing {
        name: topic.name,
        id: topic.id,
        internal: topic.internal,
        partitions: topic.partitions.len(),
        replication_factor: replicas.unwrap_or(0),
    }
}
