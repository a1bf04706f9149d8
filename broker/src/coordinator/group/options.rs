//! What a coordinator holds groups to, and what it is told with each question.

use std::time::Duration;

use thalweg_protocol::{Offset, TimestampMs, TopicId, TopicPartition};

use crate::base::{Millis, Monotonic};
use crate::config::GroupsConfig;

/// What a coordinator holds groups to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOptions {
    /// A session, when the client does not say.
    pub session_timeout_ms: u32,
    /// The shortest session.
    pub session_timeout_ms_min: u32,
    /// The longest session.
    pub session_timeout_ms_max: u32,
    /// How often members shall send a heartbeat.
    pub heartbeat_interval_ms: u32,
    /// How long a member may take to let go, when the client does not say.
    pub drain_timeout_ms: u32,
    /// The longest time that it may ask for.
    pub drain_timeout_ms_max: u32,
    /// Members of one group.
    pub members_max: usize,
    /// Members of all groups of one broker.
    pub members_all_max: usize,
    /// Groups of one broker.
    pub groups_max: usize,
    /// The longest note with an offset, in bytes.
    pub metadata_bytes_max: usize,
    /// How long the offsets of a group without members are kept.
    pub offsets_retention: Duration,
    /// The same for groups by name; a name that ends in `*` means all that begin so. The first that fits counts.
    pub offsets_retention_overrides: Vec<(String, Duration)>,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self::of(&GroupsConfig::default())
    }
}

impl GroupOptions {
    /// As the broker's settings say.
    pub fn of(config: &GroupsConfig) -> Self {
        let ms = |time: Millis| u32::try_from(time.ms()).unwrap_or(u32::MAX);
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let own = config.offsets_retention_overrides.iter();
        Self {
            session_timeout_ms: ms(config.session_timeout_ms),
            session_timeout_ms_min: ms(config.session_timeout_ms_min),
            session_timeout_ms_max: ms(config.session_timeout_ms_max),
            heartbeat_interval_ms: ms(config.heartbeat_interval_ms),
            drain_timeout_ms: ms(config.drain_timeout_ms),
            drain_timeout_ms_max: ms(config.drain_timeout_ms_max),
            members_max: count(config.members_max),
            members_all_max: count(config.members_all_max),
            groups_max: count(config.groups_max),
            metadata_bytes_max: count(config.metadata_bytes_max),
            offsets_retention: config.offsets_retention_ms.duration(),
            offsets_retention_overrides: own
                .map(|own| (own.group.clone(), own.time.duration()))
                .collect(),
        }
    }

    /// How long the offsets of `group` are kept once it has no members.
    pub fn retention_of(&self, group: &str) -> Duration {
        let fits = |(name, _): &&(String, Duration)| match name.strip_suffix('*') {
            Some(start) => group.starts_with(start),
            None => group == name,
        };
        let own = self.offsets_retention_overrides.iter().find(fits);
        own.map_or(self.offsets_retention, |(_, time)| *time)
    }
}

/// One topic as groups see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    /// Its id.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: usize,
}

/// The topics of the cluster, as of now.
pub trait Topics: Sync {
    /// The topic of this name.
    fn named(&self, name: &str) -> Option<TopicFacts>;

    /// The topic with this id.
    fn with_id(&self, id: TopicId) -> Option<TopicFacts>;

    /// The name of the topic with this id.
    fn name_of(&self, id: TopicId) -> Option<&str>;

    /// All topics that are not the brokers' own, by name.
    fn each(&self, visit: &mut dyn FnMut(&str, TopicFacts));

    /// The end of a partition's log; none when this broker does not lead it.
    fn log_end(&self, at: TopicPartition) -> Option<Offset>;
}

/// What a question comes with: the time, and the world around the groups.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// For sessions.
    pub now: Monotonic,
    /// For commit times and the age of offsets.
    pub wall: TimestampMs,
    /// The topics.
    pub topics: &'a dyn Topics,
    /// Groups that other shards of this broker keep.
    pub groups_elsewhere: usize,
    /// Members that these have.
    pub members_elsewhere: usize,
}

impl Moment<'_> {
    /// A topic as people know it; one that is gone has only its id.
    pub(super) fn name_of_topic(&self, id: TopicId) -> String {
        self.topics.name_of(id).map_or_else(|| id.to_string(), str::to_owned)
    }

    /// A partition as people know it.
    pub(super) fn name_of_partition(&self, at: TopicPartition) -> String {
        format!("{}-{}", self.name_of_topic(at.topic), at.partition)
    }
}
