//! Finds the partitions to read, and where to begin in each.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use thalweg_protocol::native::{FetchOffsetsRequest, GroupPartitions, OffsetQuery};
use thalweg_protocol::{
    LeaderEpoch, MemberEpoch, Offset, PartitionIndex, TopicId, TopicName, TopicPartition,
};

use super::options::{Assigned, ConsumerOptions, StartAt};
use super::position::{Activity, Track};
use crate::clock::{millis, now, wall_clock};
use crate::error::{AdminError, CallError, ConsumeError};
use crate::router::{Router, UNKNOWN_TOPIC_GRACE};

/// Offsets looked for at the same time.
const LOOKUPS_MAX: usize = 32;

/// All partitions of what is assigned, each with its place to begin.
pub(crate) async fn tracks(
    router: &Router,
    options: &ConsumerOptions,
) -> Result<Vec<Track>, ConsumeError> {
    let mut wanted = Vec::new();
    for assigned in &options.assigned {
        wanted.extend(partitions(router, assigned).await?);
    }
    let committed = committed(router, options.group.group.as_deref(), &wanted).await?;
    let committed = &committed;
    let looked_up = stream::iter(wanted)
        .map(|mut track| async move {
            let at = TopicPartition::new(track.id, track.partition);
            let origin = track.origin.unwrap_or(StartAt::Earliest);
            if let Some((offset, epoch)) = committed.get(&at) {
                track.go_on_from(*offset, *epoch);
            } else if let (StartAt::Committed, Some(group)) = (origin, &options.group.group) {
                let (group, topic) = (group.clone(), track.topic.to_string());
                let partition = track.partition;
                return Err(ConsumeError::NothingCommitted { group, topic, partition });
            } else {
                let begin = resolve(router, &track.topic, track.partition, origin).await?;
                track.begin_at(begin);
            }
            if options.stop_at_end {
                let latest = StartAt::Latest;
                let end = resolve(router, &track.topic, track.partition, latest).await?;
                track.stop = Some(end);
                if track.fetch_from >= end {
                    track.activity = Activity::Finished;
                }
            }
            Ok::<_, ConsumeError>(track)
        })
        .buffered(LOOKUPS_MAX);
    looked_up.try_collect().await
}

/// What the group has committed for these partitions.
async fn committed(
    router: &Router,
    group: Option<&str>,
    tracks: &[Track],
) -> Result<BTreeMap<TopicPartition, (Offset, LeaderEpoch)>, ConsumeError> {
    let Some(group) = group.filter(|_| !tracks.is_empty()) else {
        return Ok(BTreeMap::new());
    };
    let mut topics: BTreeMap<TopicId, Vec<PartitionIndex>> = BTreeMap::new();
    for track in tracks {
        topics.entry(track.id).or_default().push(track.partition);
    }
    let of_topic = |(topic, partitions)| GroupPartitions { topic, partitions };
    let request = FetchOffsetsRequest {
        group: group.to_owned(),
        member: String::new(),
        epoch: MemberEpoch::NONE,
        topics: Some(topics.into_iter().map(of_topic).collect()),
    };
    let operation = format!("find what group {group} has committed");
    let asked = router.ask_coordinator(&operation, group, &request, |answer, _| {
        let mut found = BTreeMap::new();
        for topic in answer.topics {
            for one in topic.partitions {
                if let Some(error) = one.error {
                    return Err(error);
                }
                if one.offset != Offset::NONE {
                    let at = TopicPartition::new(topic.topic, one.partition);
                    found.insert(at, (one.offset, one.leader_epoch));
                }
            }
        }
        Ok(found)
    });
    asked.await.map_err(consume_error)
}

async fn partitions(router: &Router, assigned: &Assigned) -> Result<Vec<Track>, ConsumeError> {
    let begun = now();
    let deadline = begun + router.options().api_timeout;
    let unreachable = |last: CallError| ConsumeError::Unreachable {
        operation: format!("find the leaders of topic {}", assigned.topic),
        waited_ms: u64::from(millis(now() - begun)),
        last,
    };
    let found = router.topic(&assigned.topic, deadline, UNKNOWN_TOPIC_GRACE);
    let Some(mut topic) = found.await.map_err(unreachable)? else {
        return Err(ConsumeError::UnknownTopic { topic: assigned.topic.to_string() });
    };
    let start = Some(assigned.start);
    let Some(partition) = assigned.partition else {
        // What is cached may be from before partitions were added.
        let seen = router.image().version;
        router.refresh(seen).await.map_err(unreachable)?;
        if let Some(newer) = router.image().topics.get(&assigned.topic) {
            topic = newer.clone();
        }
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let track = |partition| {
            let partition = PartitionIndex::new(partition);
            Track::new(&topic.name, topic.id, partition, Offset::ZERO, start)
        };
        return Ok((0..count).map(track).collect());
    };
    if topic.leadership(partition).is_none() {
        let seen = router.image().version;
        router.refresh(seen).await.map_err(unreachable)?;
        if let Some(newer) = router.image().topics.get(&assigned.topic) {
            topic = newer.clone();
        }
    }
    if topic.leadership(partition).is_none() {
        return Err(ConsumeError::UnknownPartition {
            topic: topic.name.to_string(),
            partition,
            partitions: topic.partitions.len(),
        });
    }
    let track = Track::new(&topic.name, topic.id, partition, Offset::ZERO, start);
    Ok(vec![track])
}

/// The offset that a place means now.
pub(crate) async fn resolve(
    router: &Router,
    topic: &TopicName,
    partition: PartitionIndex,
    start: StartAt,
) -> Result<Offset, ConsumeError> {
    let query = match start {
        StartAt::Offset(offset) => return Ok(offset),
        StartAt::Earliest => OffsetQuery::Earliest,
        StartAt::Latest => OffsetQuery::Latest,
        StartAt::Time(time) => OffsetQuery::AtOrAfter(time.max(EPOCH)),
        StartAt::Ago(age) => OffsetQuery::AtOrAfter(before(age)),
        StartAt::Committed => return Err(crate::ConfigError::NoGroup.into()),
    };
    let listed = router.list_offset(topic, partition, query);
    let offset = listed.await.map_err(consume_error)?.offset;
    if offset != Offset::NONE {
        return Ok(offset);
    }
    // No record is that young.
    let latest = router.list_offset(topic, partition, OffsetQuery::Latest);
    Ok(latest.await.map_err(consume_error)?.offset)
}

const EPOCH: thalweg_protocol::TimestampMs = thalweg_protocol::TimestampMs::new(0);

fn before(age: Duration) -> thalweg_protocol::TimestampMs {
    let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    wall_clock().plus(age_ms.saturating_neg()).max(EPOCH)
}

/// The same failure as the consumer's callers see it.
pub(crate) fn consume_error(error: AdminError) -> ConsumeError {
    match error {
        AdminError::Unreachable { operation, waited_ms, last, .. } => {
            ConsumeError::Unreachable { operation, waited_ms, last }
        }
        AdminError::Refused { operation, code, message } => {
            ConsumeError::Refused { operation, code, message }
        }
        AdminError::Config(error) => ConsumeError::Config(error),
    }
}
