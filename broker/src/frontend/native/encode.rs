//! From an answer of the broker's own to a frame of the native protocol.

mod groups;

use std::sync::Arc;

use bytes::Bytes;
use thalweg_protocol::codec::Chunks;
use thalweg_protocol::frame::{error_frame, response_frame};
use thalweg_protocol::native::{self, ApiError, EpochEnd, LeaderHint, ResponseHeader, Wire};
use thalweg_protocol::{BrokerId, LeaderEpoch, Offset, TimestampMs, TopicId, TopicPartition};

use crate::api::{
    Failure, Hint, Response, compact_topics, delete_records, describe_cluster, describe_topics,
};
use crate::api::{fetch, leader_epoch, list_offsets, metadata, produce, topics};
use crate::cluster::{Broker, CreatedTopic, Image, Partition, Topic};
use crate::config::{DescribedSetting, SettingSource};

/// An answer to the request `correlation`.
pub(crate) fn encode(correlation: u32, response: Response) -> Chunks {
    match response {
        Response::Produce(response) => frame(correlation, &produced(response)),
        Response::Fetch(response) => frame(correlation, &fetched(response)),
        Response::Metadata(response) => frame(correlation, &from_metadata(response)),
        Response::DescribeCluster(response) => frame(correlation, &cluster(response)),
        Response::CreateTopics(response) => frame(correlation, &created(response)),
        Response::DeleteTopics(response) => {
            frame(correlation, &native::DeleteTopicsResponse { topics: outcomes(response) })
        }
        Response::AlterTopics(response) => {
            frame(correlation, &native::AlterTopicsResponse { topics: outcomes(response) })
        }
        Response::DescribeTopics(response) => frame(correlation, &described(response)),
        Response::ListOffsets(response) => frame(correlation, &listed(response)),
        Response::InitProducer(response) => frame(
            correlation,
            &native::InitProducerResponse { producer: response.producer, epoch: response.epoch },
        ),
        Response::LeaderEpoch(response) => frame(correlation, &epoch_ends(response)),
        Response::DeleteRecords(response) => frame(correlation, &deleted(response)),
        Response::CompactTopics(response) => frame(correlation, &compacted(response)),
        Response::Group(response) => groups::encode(correlation, response),
    }
}

/// The answer to a request that failed as a whole.
pub(crate) fn encode_failure(correlation: u32, failure: Failure) -> Chunks {
    error_frame(&ResponseHeader::failed(correlation, error(failure)))
}

/// The answer to a handshake.
pub(crate) fn encode_handshake(correlation: u32, response: &native::HandshakeResponse) -> Chunks {
    frame(correlation, response)
}

/// A good answer.
fn frame(correlation: u32, body: &impl Wire) -> Chunks {
    response_frame(&ResponseHeader::ok(correlation), Some(body))
}

fn error(failure: Failure) -> ApiError {
    ApiError { code: failure.code, message: failure.message }
}

const fn leader(hint: Hint) -> Option<LeaderHint> {
    match hint {
        Hint::Leader(leader, leader_epoch) => Some(LeaderHint { leader, leader_epoch }),
        _ => None,
    }
}

/// Puts items that follow each other in one topic together, in the order of the request.
fn by_topic<T, P, G>(
    items: Vec<(TopicPartition, T)>,
    partition: impl Fn(TopicPartition, T) -> P,
    group: impl Fn(TopicId, Vec<P>) -> G,
) -> Vec<G> {
    let mut groups = Vec::new();
    let mut open: Option<(TopicId, Vec<P>)> = None;
    for (at, item) in items {
        match &mut open {
            Some((topic, partitions)) if *topic == at.topic => partitions.push(partition(at, item)),
            _ => {
                let begun = (at.topic, vec![partition(at, item)]);
                if let Some((topic, partitions)) = open.replace(begun) {
                    groups.push(group(topic, partitions));
                }
            }
        }
    }
    if let Some((topic, partitions)) = open {
        groups.push(group(topic, partitions));
    }
    groups
}

fn produced(response: produce::Response) -> native::ProduceResponse {
    let topics = by_topic(
        response.items,
        |at, outcome| match outcome {
            Ok(appended) => native::ProducedPartition {
                partition: at.partition,
                error: None,
                base_offset: appended.base_offset,
                log_append_time: appended.log_append_time,
                log_start: appended.log_start,
                leader: None,
            },
            Err(failure) => native::ProducedPartition {
                partition: at.partition,
                leader: leader(failure.hint),
                error: Some(error(failure)),
                base_offset: Offset::NONE,
                log_append_time: TimestampMs::NONE,
                log_start: Offset::NONE,
            },
        },
        |topic, partitions| native::ProducedTopic { topic, partitions },
    );
    native::ProduceResponse { topics }
}

fn fetched(response: fetch::Response) -> native::FetchResponse {
    let topics = by_topic(
        response.items,
        |at, outcome| match outcome {
            Ok(records) => native::FetchedPartition {
                partition: at.partition,
                error: None,
                high_watermark: records.high_watermark,
                log_start: records.log_start,
                next_good: Offset::NONE,
                diverging: None,
                leader: None,
                records: records.bytes,
            },
            Err(failure) => fetch_failed(at, failure),
        },
        |topic, partitions| native::FetchedTopic { topic, partitions },
    );
    native::FetchResponse { topics }
}

fn fetch_failed(at: TopicPartition, failure: Failure) -> native::FetchedPartition {
    let (log_start, high_watermark) = match failure.hint {
        Hint::Range(log_start, high_watermark) => (log_start, high_watermark),
        _ => (Offset::NONE, Offset::NONE),
    };
    native::FetchedPartition {
        partition: at.partition,
        high_watermark,
        log_start,
        next_good: match failure.hint {
            Hint::NextGood(offset) => offset,
            _ => Offset::NONE,
        },
        diverging: match failure.hint {
            Hint::Diverging(epoch, end) => Some(EpochEnd { epoch, end }),
            _ => None,
        },
        leader: leader(failure.hint),
        error: Some(error(failure)),
        records: Bytes::new(),
    }
}

fn listed(response: list_offsets::Response) -> native::ListOffsetsResponse {
    let topics = by_topic(
        response.items,
        |at, outcome| {
            let (found, failed) = split(outcome);
            native::ListedPartition {
                partition: at.partition,
                error: failed,
                offset: found.map_or(Offset::NONE, |found| found.offset),
                timestamp: found.map_or(TimestampMs::NONE, |found| found.timestamp),
                leader_epoch: found.map_or(LeaderEpoch::UNCHECKED, |found| found.leader_epoch),
            }
        },
        |topic, partitions| native::ListedTopic { topic, partitions },
    );
    native::ListOffsetsResponse { topics }
}

fn epoch_ends(response: leader_epoch::Response) -> native::LeaderEpochResponse {
    let topics = by_topic(
        response.items,
        |at, outcome| {
            let (found, failed) = split(outcome);
            native::PartitionEpochEnd {
                partition: at.partition,
                error: failed,
                found: found.flatten().map(|(epoch, end)| EpochEnd { epoch, end }),
            }
        },
        |topic, partitions| native::TopicEpochEnds { topic, partitions },
    );
    native::LeaderEpochResponse { topics }
}

fn deleted(response: delete_records::Response) -> native::DeleteRecordsResponse {
    let topics = by_topic(
        response.items,
        |at, outcome| {
            let (log_start, failed) = split(outcome);
            native::DeletedRecordsPartition {
                partition: at.partition,
                error: failed,
                log_start: log_start.unwrap_or(Offset::NONE),
            }
        },
        |topic, partitions| native::DeletedRecordsTopic { topic, partitions },
    );
    native::DeleteRecordsResponse { topics }
}

fn compacted(response: compact_topics::Response) -> native::CompactTopicsResponse {
    let topics = by_topic(
        response.items,
        |at, outcome| {
            let (log, failed) = split(outcome);
            let (bytes, standing) = log.map_or_else(Default::default, |log| {
                ((log.cleaned_end, log.clean_bytes, log.dirty_bytes), log.standing)
            });
            let (cleaned_end, clean_bytes, dirty_bytes) = bytes;
            native::CompactedPartition {
                partition: at.partition,
                cleaned_end: if failed.is_some() { Offset::NONE } else { cleaned_end },
                error: failed,
                waits: standing.is_asked,
                runs: standing.runs,
                clean_bytes,
                dirty_bytes,
                before_bytes: standing.before_bytes,
                after_bytes: standing.after_bytes,
                failure: standing.failure,
            }
        },
        |topic, partitions| native::CompactedTopic { topic, partitions },
    );
    native::CompactTopicsResponse { topics }
}

fn split<T>(outcome: Result<T, Failure>) -> (Option<T>, Option<ApiError>) {
    match outcome {
        Ok(value) => (Some(value), None),
        Err(failure) => (None, Some(error(failure))),
    }
}

fn created(response: topics::Created) -> native::CreateTopicsResponse {
    let topic = |(name, outcome): (String, Result<CreatedTopic, Failure>)| {
        let (topic, failed) = split(outcome);
        native::CreatedTopic {
            name,
            error: failed,
            id: topic.as_ref().map_or(TopicId::NONE, |topic| topic.id),
            partitions: topic.as_ref().map_or(-1, |topic| topic.partitions),
            replication_factor: topic.as_ref().map_or(-1, |topic| topic.replication_factor),
        }
    };
    native::CreateTopicsResponse { topics: response.topics.into_iter().map(topic).collect() }
}

fn outcomes(response: topics::Outcomes) -> Vec<native::TopicResult> {
    let topic = |(name, outcome): (String, Result<(), Failure>)| native::TopicResult {
        name,
        error: outcome.err().map(error),
    };
    response.topics.into_iter().map(topic).collect()
}

/// Where `broker` is reached by clients of `listener`; nowhere, when it has no such listener.
fn endpoint(broker: &Broker, listener: &str) -> (String, u16) {
    broker.endpoint(listener).map_or((String::new(), 0), |at| (at.host.clone(), at.port))
}

fn from_metadata(response: metadata::Response) -> native::MetadataResponse {
    let brokers = response.image.live_brokers().map(|broker| {
        let (host, port) = endpoint(broker, &response.listener);
        native::BrokerEndpoint {
            id: broker.id,
            epoch: broker.epoch,
            host,
            port,
            rack: broker.rack.clone(),
        }
    });
    let topic = |topic: Result<Arc<Topic>, metadata::Missing>| match topic {
        Ok(topic) => native::TopicMetadata {
            error: None,
            name: topic.name.to_string(),
            id: topic.id,
            internal: topic.internal,
            partitions: topic.partitions.iter().map(|at| partition(at)).collect(),
        },
        Err(missing) => native::TopicMetadata {
            error: Some(error(missing.failure)),
            name: missing.name,
            id: missing.id,
            internal: false,
            partitions: Vec::new(),
        },
    };
    native::MetadataResponse {
        cluster: response.image.cluster(),
        controller: controller(&response.image),
        brokers: brokers.collect(),
        topics: response.topics.into_iter().map(topic).collect(),
    }
}

/// The active controller: the broker itself as long as it is alone.
fn controller(image: &Image) -> BrokerId {
    image.live_brokers().next().map_or(BrokerId::NONE, |broker| broker.id)
}

fn partition(partition: &Partition) -> native::PartitionMetadata {
    native::PartitionMetadata {
        partition: partition.index,
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        replicas: partition.brokers().collect(),
        isr: partition.isr.clone(),
        offline: Vec::new(),
    }
}

fn cluster(response: describe_cluster::Response) -> native::DescribeClusterResponse {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let directory = |dir: describe_cluster::DescribedDirectory| native::DescribedDirectory {
        id: dir.id,
        path: dir.path,
        state: dir.state,
        reason: dir.reason,
        total_bytes: dir.total_bytes,
        free_bytes: dir.free_bytes,
        replicas: count(dir.replicas),
    };
    let broker = |described: describe_cluster::DescribedBroker| {
        let (host, port) = endpoint(&described.broker, &response.listener);
        native::DescribedBroker {
            id: described.broker.id,
            epoch: described.broker.epoch,
            host,
            port,
            rack: described.broker.rack.clone(),
            version: described.broker.release.clone(),
            leaders: count(described.leaders),
            replicas: count(described.replicas),
            directories: described.directories.into_iter().map(directory).collect(),
        }
    };
    native::DescribeClusterResponse {
        cluster: response.image.cluster(),
        controller: controller(&response.image),
        topics: count(response.image.topic_count()),
        partitions: count(response.image.partition_count()),
        partitions_leaderless: count(response.leaderless),
        partitions_under_replicated: count(response.under_replicated),
        brokers: response.brokers.into_iter().map(broker).collect(),
    }
}

fn described(response: describe_topics::Response) -> native::DescribeTopicsResponse {
    let topic = |topic: Result<describe_topics::Description, metadata::Missing>| match topic {
        Ok(description) => native::DescribedTopic {
            error: None,
            name: description.topic.name.to_string(),
            id: description.topic.id,
            internal: description.topic.internal,
            partitions: description.partitions.into_iter().map(described_partition).collect(),
            configs: description.configs.into_iter().map(config).collect(),
        },
        Err(missing) => native::DescribedTopic {
            error: Some(error(missing.failure)),
            name: missing.name,
            id: missing.id,
            internal: false,
            partitions: Vec::new(),
            configs: Vec::new(),
        },
    };
    native::DescribeTopicsResponse { topics: response.topics.into_iter().map(topic).collect() }
}

fn described_partition(
    described: describe_topics::PartitionDescription,
) -> native::DescribedPartition {
    let (log, failed) = split(described.log);
    native::DescribedPartition {
        partition: described.partition.index,
        error: failed,
        leader: described.partition.leader,
        leader_epoch: described.partition.leader_epoch,
        replicas: described.partition.brokers().collect(),
        isr: described.partition.isr.clone(),
        log_start: log.map_or(Offset::NONE, |log| log.log_start),
        high_watermark: log.map_or(Offset::NONE, |log| log.high_watermark),
        log_end: log.map_or(Offset::NONE, |log| log.log_end),
        log_bytes: log.map_or(-1, |log| i64::try_from(log.bytes).unwrap_or(i64::MAX)),
    }
}

fn config(config: DescribedSetting) -> native::DescribedConfig {
    native::DescribedConfig {
        key: config.key.to_owned(),
        value: config.value,
        source: match config.source {
            SettingSource::Default => native::ConfigSource::Default,
            SettingSource::Topic => native::ConfigSource::Topic,
            SettingSource::Broker => native::ConfigSource::Broker,
        },
        doc: config.doc.trim().to_owned(),
    }
}
