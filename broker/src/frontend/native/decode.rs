//! From a frame of the native protocol to a request of the broker's own.

mod groups;

use std::time::Duration;

use thalweg_protocol::codec::{DecodeError, Reader};
use thalweg_protocol::native::{self, Api, RequestHeader, Wire};
use thalweg_protocol::{ErrorCode, TopicPartition};

use crate::api::{
    Failure, Request, compact_topics, delete_records, describe_topics, fetch, init_producer,
};
use crate::api::{leader_epoch, list_offsets, metadata, produce, topics};
use crate::cluster::{NewTopic, TopicChange};
use crate::partition::OffsetQuery;

/// What a frame holds.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// The first request on a connection.
    Handshake(native::HandshakeRequest),
    /// A round of authentication.
    Authenticate(native::AuthenticateRequest),
    /// A request for a handler.
    Request(Request),
}

/// Reads the body that `header` announces.
pub(crate) fn decode(header: &RequestHeader, body: Reader) -> Result<Decoded, Failure> {
    let Some(api) = Api::from_number(header.api) else {
        return Err(Failure::new(
            ErrorCode::UnsupportedVersion,
            format!("request number {} is unknown to this broker", header.api),
        ));
    };
    let range = api.range();
    if !(range.version_min..=range.version_max).contains(&header.version) {
        return Err(Failure::new(
            ErrorCode::UnsupportedVersion,
            format!(
                "{} version {} is unknown to this broker, which speaks {} to {}",
                api.name(),
                header.version,
                range.version_min,
                range.version_max
            ),
        ));
    }
    decode_body(api, body)
}

fn decode_body(api: Api, body: Reader) -> Result<Decoded, Failure> {
    let request = match api {
        Api::Handshake => return whole(api, body).map(Decoded::Handshake),
        Api::Authenticate => return whole(api, body).map(Decoded::Authenticate),
        Api::Metadata => Request::Metadata(from_metadata(whole(api, body)?)),
        Api::DescribeCluster => {
            whole::<native::DescribeClusterRequest>(api, body)?;
            Request::DescribeCluster
        }
        Api::CreateTopics => Request::CreateTopics(from_create_topics(whole(api, body)?)),
        Api::DeleteTopics => Request::DeleteTopics(from_delete_topics(whole(api, body)?)),
        Api::AlterTopics => Request::AlterTopics(from_alter_topics(whole(api, body)?)),
        Api::DescribeTopics => {
            let native::DescribeTopicsRequest { names } = whole(api, body)?;
            Request::DescribeTopics(describe_topics::Request { names })
        }
        Api::CompactTopics => Request::CompactTopics(from_compact_topics(whole(api, body)?)),
        Api::Produce => Request::Produce(from_produce(whole(api, body)?)),
        Api::Fetch => Request::Fetch(from_fetch(whole(api, body)?)),
        Api::ListOffsets => Request::ListOffsets(from_list_offsets(whole(api, body)?)),
        Api::InitProducer => {
            let native::InitProducerRequest { transactional_id, producer, epoch } =
                whole(api, body)?;
            Request::InitProducer(init_producer::Request { transactional_id, producer, epoch })
        }
        Api::LeaderEpoch => Request::LeaderEpoch(from_leader_epoch(whole(api, body)?)),
        Api::DeleteRecords => Request::DeleteRecords(from_delete_records(whole(api, body)?)),
        Api::FindCoordinator
        | Api::GroupHeartbeat
        | Api::CommitOffsets
        | Api::FetchOffsets
        | Api::DescribeGroups
        | Api::ListGroups
        | Api::DeleteGroups
        | Api::DeleteOffsets => Request::Group(groups::decode(api, body)?),
    };
    Ok(Decoded::Request(request))
}

/// Reads a body to its last byte.
fn whole<T: Wire>(api: Api, mut body: Reader) -> Result<T, Failure> {
    let value = T::decode(&mut body, api.name()).and_then(|value| {
        body.finish(api.name())?;
        Ok(value)
    });
    value.map_err(|error| {
        let code = match error {
            // Sound, and still more than this broker takes at once.
            DecodeError::Elements { .. } => ErrorCode::InvalidRequest,
            _ => ErrorCode::MalformedRequest,
        };
        Failure::new(code, format!("{} request: {error}", api.name()))
    })
}

/// A size on the wire; what does not fit is as good as no limit.
fn size(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn from_metadata(request: native::MetadataRequest) -> metadata::Request {
    metadata::Request { names: request.names, ids: request.ids }
}

fn from_create_topics(request: native::CreateTopicsRequest) -> topics::Create {
    let topic = |topic: native::NewTopic| NewTopic {
        name: topic.name,
        partitions: (topic.partitions != -1).then_some(topic.partitions),
        replication_factor: (topic.replication_factor != -1).then_some(topic.replication_factor),
        configs: topic.configs.into_iter().map(|entry| (entry.key, entry.value)).collect(),
        internal: false,
    };
    topics::Create {
        topics: request.topics.into_iter().map(topic).collect(),
        validate_only: request.validate_only,
    }
}

fn from_delete_topics(request: native::DeleteTopicsRequest) -> topics::Delete {
    topics::Delete { names: request.names }
}

fn from_alter_topics(request: native::AlterTopicsRequest) -> topics::Alter {
    let topic = |topic: native::AlterTopic| TopicChange {
        name: topic.name,
        partitions: topic.partitions,
        configs: topic.configs.into_iter().map(|change| (change.key, change.value)).collect(),
    };
    topics::Alter {
        topics: request.topics.into_iter().map(topic).collect(),
        validate_only: request.validate_only,
    }
}

fn from_produce(request: native::ProduceRequest) -> produce::Request {
    let acks = match request.acks {
        native::Acks::None => produce::Acks::None,
        native::Acks::Leader => produce::Acks::Leader,
        native::Acks::All => produce::Acks::All,
    };
    let mut items = Vec::new();
    for topic in request.topics {
        items.extend(topic.partitions.into_iter().map(|partition| produce::Item {
            partition: TopicPartition::new(topic.topic, partition.partition),
            leader_epoch: partition.leader_epoch,
            records: partition.records,
        }));
    }
    produce::Request { acks, items }
}

fn from_fetch(request: native::FetchRequest) -> fetch::Request {
    let mut items = Vec::new();
    for topic in request.topics {
        items.extend(topic.partitions.into_iter().map(|partition| fetch::Item {
            partition: TopicPartition::new(topic.topic, partition.partition),
            leader_epoch: partition.leader_epoch,
            last_epoch: partition.last_epoch,
            offset: partition.offset,
            bytes_max: size(partition.bytes_max),
        }));
    }
    fetch::Request {
        wait_max: Duration::from_millis(u64::from(request.wait_ms_max)),
        bytes_min: size(request.bytes_min),
        bytes_max: size(request.bytes_max),
        items,
    }
}

fn from_list_offsets(request: native::ListOffsetsRequest) -> list_offsets::Request {
    let query = |query| match query {
        native::OffsetQuery::Earliest => OffsetQuery::Earliest,
        native::OffsetQuery::Latest => OffsetQuery::Latest,
        native::OffsetQuery::MaxTimestamp => OffsetQuery::MaxTimestamp,
        native::OffsetQuery::AtOrAfter(time) => OffsetQuery::AtOrAfter(time),
    };
    let mut items = Vec::new();
    for topic in request.topics {
        items.extend(topic.partitions.into_iter().map(|partition| list_offsets::Item {
            partition: TopicPartition::new(topic.topic, partition.partition),
            leader_epoch: partition.leader_epoch,
            query: query(partition.query),
        }));
    }
    list_offsets::Request { items }
}

fn from_leader_epoch(request: native::LeaderEpochRequest) -> leader_epoch::Request {
    let mut items = Vec::new();
    for topic in request.topics {
        items.extend(topic.partitions.into_iter().map(|partition| leader_epoch::Item {
            partition: TopicPartition::new(topic.topic, partition.partition),
            leader_epoch: partition.leader_epoch,
            wanted: partition.wanted,
        }));
    }
    leader_epoch::Request { items }
}

fn from_delete_records(request: native::DeleteRecordsRequest) -> delete_records::Request {
    let mut items = Vec::new();
    for topic in request.topics {
        items.extend(topic.partitions.into_iter().map(|partition| delete_records::Item {
            partition: TopicPartition::new(topic.topic, partition.partition),
            before: (partition.before.get() >= 0).then_some(partition.before),
        }));
    }
    delete_records::Request { items }
}

fn from_compact_topics(request: native::CompactTopicsRequest) -> compact_topics::Request {
    let mut items = Vec::new();
    for native::CompactTopic { topic, partitions } in request.topics {
        items.extend(partitions.into_iter().map(|partition| TopicPartition::new(topic, partition)));
    }
    compact_topics::Request { items, run: request.run }
}
