//! Short requests that ask for much: very many items, very large answers, very many waits.

use thalweg_broker::base::ByteSize;
use thalweg_protocol::native::{
    Acks, DescribeGroupsRequest, DescribeGroupsResponse, DescribeTopicsRequest,
    DescribeTopicsResponse, FetchPartition, FetchRequest, FetchResponse, FetchTopic,
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
    MetadataRequest, MetadataResponse, OffsetQuery, ProduceResponse,
};
use thalweg_protocol::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};

use crate::bad_input::{Raw, good_batch, long_poll, produce, request};
use crate::limits::http;
use crate::support::{Fixture, create, within};

const MIB: f64 = 1_048_576.0;

async fn topic(fixture: &Fixture, name: &str, partitions: i32) -> TopicId {
    let client = fixture.client();
    create(&client, name, partitions, &[]).await;
    client.admin().describe_topic(name).await.unwrap().id
}

fn list_offsets(topic: TopicId, items: usize) -> ListOffsetsRequest {
    let partition = |_| ListOffsetsPartition {
        partition: PartitionIndex::new(0),
        leader_epoch: LeaderEpoch::UNCHECKED,
        query: OffsetQuery::Earliest,
    };
    let partitions = (0..items).map(partition).collect();
    ListOffsetsRequest { topics: vec![ListOffsetsTopic { topic, partitions }] }
}

fn described(name: &str, times: usize) -> DescribeTopicsRequest {
    DescribeTopicsRequest { names: Some(vec![name.to_owned(); times]) }
}

async fn figure(fixture: &Fixture, name: &str) -> f64 {
    let text = http(fixture, "/metrics").await;
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

#[tokio::test]
async fn a_request_with_too_many_elements_is_refused_and_the_connection_goes_on() {
    let fixture = Fixture::start_with(|config| config.limits.request_elements_max = 1_000);
    let topic = topic(&fixture, "listed", 1).await;
    let mut raw = Raw::open(&fixture).await;
    // The topic is an element as well.
    raw.send(&request(1, &list_offsets(topic, 1_000))).await;
    let (header, _) = raw.answer::<ListOffsetsResponse>().await.unwrap();
    let error = header.error.unwrap();
    assert_eq!(error.code, ErrorCode::InvalidRequest, "{error}");
    assert!(error.message.contains("count 1000"), "{error}");
    raw.send(&request(2, &list_offsets(topic, 999))).await;
    let (_, answer) = raw.answer::<ListOffsetsResponse>().await.unwrap();
    assert_eq!(answer.unwrap().topics[0].partitions.len(), 999);
}

/// More than is answered at once, and more than a thread of the pool does in one turn.
#[tokio::test]
async fn requests_about_very_many_things_are_answered_in_order() {
    let fixture = Fixture::start();
    let topic = topic(&fixture, "many", 3).await;
    let mut raw = Raw::open(&fixture).await;
    let mut asked = list_offsets(topic, 3_001);
    for (place, item) in asked.topics[0].partitions.iter_mut().enumerate() {
        item.partition = PartitionIndex::new(i32::try_from(place % 4).unwrap());
    }
    raw.send(&request(1, &asked)).await;
    let (_, answer) = raw.answer::<ListOffsetsResponse>().await.unwrap();
    let partitions = answer.unwrap().topics.remove(0).partitions;
    assert_eq!(partitions.len(), 3_001);
    for (place, answer) in partitions.iter().enumerate() {
        assert_eq!(answer.partition.get(), i32::try_from(place % 4).unwrap());
        assert_eq!(answer.error.is_some(), place % 4 == 3, "{place}");
    }
    raw.send(&request(2, &described("many", 1_500))).await;
    let (_, answer) = raw.answer::<DescribeTopicsResponse>().await.unwrap();
    assert!(answer.unwrap().topics.iter().all(|topic| topic.partitions.len() == 3));
    let names = (0..1_500).map(|number| format!("none-{number}")).collect();
    raw.send(&request(3, &MetadataRequest { names: Some(names), ids: Vec::new() })).await;
    let (_, answer) = raw.answer::<MetadataResponse>().await.unwrap();
    assert_eq!(answer.unwrap().topics.len(), 1_500);
}

/// Once each name made the partition wake the reader once more, at the expense of whoever appended to it.
#[tokio::test]
async fn a_fetch_that_names_a_partition_very_often_waits_and_is_answered() {
    let fixture = Fixture::start();
    let topic = topic(&fixture, "often", 1).await;
    let partition = FetchPartition {
        partition: PartitionIndex::new(0),
        leader_epoch: LeaderEpoch::UNCHECKED,
        last_epoch: LeaderEpoch::UNCHECKED,
        offset: Offset::ZERO,
        bytes_max: 1 << 10,
    };
    let fetch = FetchRequest {
        wait_ms_max: 60_000,
        bytes_min: 1,
        bytes_max: 1 << 10,
        topics: vec![FetchTopic { topic, partitions: vec![partition; 5_000] }],
    };
    let (mut reader, mut writer) = (Raw::open(&fixture).await, Raw::open(&fixture).await);
    reader.send(&request(1, &fetch)).await;
    within(async {
        while figure(&fixture, "thalweg_requests_waiting{door=\"native\",request=\"fetch\"").await
            < 1.0
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    writer.send(&request(2, &produce(topic, Acks::All, good_batch()))).await;
    let (_, answer) = writer.answer::<ProduceResponse>().await.unwrap();
    assert_eq!(answer.unwrap().topics[0].partitions[0].error, None);
    let (_, answer) = reader.answer::<FetchResponse>().await.unwrap();
    let partitions = answer.unwrap().topics.remove(0).partitions;
    assert_eq!(partitions.len(), 5_000);
    // The append may come while they are read.
    assert!(partitions.iter().any(|partition| !partition.records.is_empty()));
}

#[tokio::test]
async fn an_answer_that_would_be_too_large_is_refused_before_it_is_made() {
    let fixture = Fixture::start_with(|config| config.limits.answer_bytes_max = ByteSize::mib(1));
    topic(&fixture, "wide", 50).await;
    let mut raw = Raw::open(&fixture).await;
    raw.send(&request(1, &described("wide", 400))).await;
    let (header, _) = raw.answer::<DescribeTopicsResponse>().await.unwrap();
    let error = header.error.unwrap();
    assert_eq!(error.code, ErrorCode::InvalidRequest, "{error}");
    assert!(error.message.contains("limits.answer_bytes_max"), "{error}");
    let names = Some(vec!["wide".to_owned(); 900]);
    raw.send(&request(2, &MetadataRequest { names, ids: Vec::new() })).await;
    let (header, _) = raw.answer::<MetadataResponse>().await.unwrap();
    assert_eq!(header.error.unwrap().code, ErrorCode::InvalidRequest);
    raw.send(&request(3, &described("wide", 1))).await;
    let (_, answer) = raw.answer::<DescribeTopicsResponse>().await.unwrap();
    assert_eq!(answer.unwrap().topics[0].partitions.len(), 50);
}

#[tokio::test]
async fn a_group_is_described_once() {
    let fixture = Fixture::start();
    let mut raw = Raw::open(&fixture).await;
    let groups = vec!["readers".to_owned(), "writers".to_owned(), "readers".to_owned()];
    raw.send(&request(1, &DescribeGroupsRequest { groups })).await;
    let (header, _) = raw.answer::<DescribeGroupsResponse>().await.unwrap();
    let error = header.error.unwrap();
    assert_eq!(error.code, ErrorCode::InvalidRequest, "{error}");
    assert!(error.message.contains("readers"), "{error}");
}

/// Each connection may leave an answer unread; together they hold no more than was set.
#[tokio::test]
async fn large_answers_that_nobody_takes_leave_memory_to_others() {
    const ANSWERS: &str = "thalweg_answer_memory_bytes";
    const ANSWERS_MAX: &str = "thalweg_answer_memory_max_bytes";
    let fixture = Fixture::start_with(|config| {
        config.limits.answer_bytes_max = ByteSize::mib(1);
        config.limits.answer_memory_bytes_max = ByteSize::mib(1);
    });
    topic(&fixture, "told", 100).await;
    let asked = request(1, &described("told", 50));
    let mut readers = Vec::new();
    let mut other = Raw::open(&fixture).await;
    let refused = within(async {
        loop {
            // Each has the socket's buffers full, and then one answer in memory.
            let mut reader = Raw::open(&fixture).await;
            for _ in 0..60 {
                reader.send(&asked).await;
            }
            readers.push(reader);
            other.send(&asked).await;
            let (header, _) = other.answer::<DescribeTopicsResponse>().await.unwrap();
            if let Some(error) = header.error {
                return error;
            }
        }
    })
    .await;
    assert_eq!(refused.code, ErrorCode::Overloaded, "{refused}");
    let (held, max) = (figure(&fixture, ANSWERS).await, figure(&fixture, ANSWERS_MAX).await);
    assert!(held > 0.0 && held <= max && max == MIB, "{held} of {max} bytes are held");
    // Small answers go on, and large ones as soon as those who did not read are gone.
    other.send(&request(2, &described("told", 1))).await;
    let (header, _) = other.answer::<DescribeTopicsResponse>().await.unwrap();
    assert_eq!(header.error, None);
    drop(readers);
    within(async {
        loop {
            other.send(&asked).await;
            let (header, _) = other.answer::<DescribeTopicsResponse>().await.unwrap();
            if header.error.is_none() {
                return;
            }
        }
    })
    .await;
    within(async { while figure(&fixture, ANSWERS).await > 0.0 {} }).await;
}

/// A connection that has nothing waiting is always let in, however many others wait.
#[tokio::test]
async fn requests_that_wait_are_bounded_over_all_connections() {
    const WAITING: &str = "thalweg_requests_waiting{door=\"native\",request=\"fetch\"";
    const ALLOWED: f64 = 2.0 * MIB;
    let fixture = Fixture::start_with(|config| {
        config.limits.frame_bytes_max = ByteSize::mib(2);
        config.limits.request_memory_bytes_max = ByteSize::mib(2);
        config.limits.requests_in_flight_max = 2_000;
    });
    let topic = topic(&fixture, "awaited", 1).await;
    let mut raws = Vec::new();
    for _ in 0..3 {
        raws.push(Raw::open(&fixture).await);
    }
    for raw in &mut raws {
        for correlation in 0..900 {
            raw.send(&long_poll(correlation, topic)).await;
        }
    }
    // Each counts for 1 KiB.
    within(async {
        while figure(&fixture, WAITING).await < 2_048.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let held = figure(&fixture, "thalweg_waiting_request_memory_bytes").await;
    let max = figure(&fixture, "thalweg_request_memory_max_bytes").await;
    assert!(held >= max && held <= max + 3.0 * 1_024.0, "{held} of {max} bytes are held");
    assert!(max == ALLOWED, "{max}");
    let mut writer = Raw::open(&fixture).await;
    writer.send(&request(1, &produce(topic, Acks::All, good_batch()))).await;
    let waiting = figure(&fixture, WAITING).await;
    assert!(waiting <= 2_051.0, "{waiting} wait");
    let (_, answer) = writer.answer::<ProduceResponse>().await.unwrap();
    assert_eq!(answer.unwrap().topics[0].partitions[0].error, None);
    // All of them are answered: those that had to wait for their begin, too.
    for raw in &mut raws {
        for _ in 0..900 {
            let (header, _) = raw.answer::<FetchResponse>().await.unwrap();
            assert_eq!(header.error, None);
        }
    }
}
