//! Proves that every administrative operation says what it did or why not, and survives lost connections.
//!
//! How: one operation a test, against a fake broker on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod support;

use std::time::Duration;

use support::Cluster;
use thalweg_client::{
    AdminError, AlterTopic, Client, ErrorCode, LeaderEpoch, NewTopic, Offset, OffsetQuery, Record,
    TimestampMs,
};
use tokio::time::timeout;

/// A deadline that leaves time for several attempts, also where the machine stands still for a moment.
const SOON: Duration = Duration::from_secs(1);

#[tokio::test]
async fn topics_are_created_listed_described_altered_and_deleted() {
    let cluster = Cluster::start(2).await;
    let admin = cluster.client().admin();
    let checked = admin.validate_topic(NewTopic::new("events").partitions(3)).await.unwrap();
    assert_eq!(checked.partitions, 3);
    assert!(admin.list_topics().await.unwrap().is_empty(), "only checked");
    let created = admin.create_topic(NewTopic::new("events").partitions(3)).await.unwrap();
    let error = admin.create_topic(NewTopic::new("events")).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::TopicExists), "{error}");
    assert!(error.to_string().starts_with("create topic events: "), "{error}");
    let listed = admin.list_topics().await.unwrap();
    assert_eq!(
        (listed[0].name.as_str(), listed[0].id, listed[0].partitions),
        ("events", created.id, 3)
    );
    admin.alter_topic(AlterTopic::new("events").partitions(5)).await.unwrap();
    assert_eq!(admin.describe_topic("events").await.unwrap().partitions.len(), 5);
    assert_eq!(admin.describe_topics().await.unwrap().len(), 1);
    admin.delete_topic("events").await.unwrap();
    let error = admin.delete_topic("events").await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopic), "{error}");
    assert_eq!(admin.describe_cluster().await.unwrap().topics, 0);
}

#[tokio::test]
async fn offsets_are_found_at_the_leaders_wherever_they_are() {
    let cluster = Cluster::start(3).await;
    cluster.create("events", 3);
    let client = cluster.client();
    let producer = client.producer().build().await.unwrap();
    for number in 0..30 {
        let record = Record::to("events").partition(number % 3).value("v");
        let record = record.timestamp(TimestampMs::new(1000 + i64::from(number)));
        drop(producer.send(record).await.unwrap());
    }
    producer.close().await.unwrap();
    let admin = client.admin();
    for (query, expected) in [
        (OffsetQuery::Earliest, [0, 0, 0]),
        (OffsetQuery::Latest, [10, 10, 10]),
        (OffsetQuery::AtOrAfter(TimestampMs::new(1010)), [4, 3, 3]),
        (OffsetQuery::AtOrAfter(TimestampMs::new(5000)), [-1, -1, -1]),
    ] {
        let listed = admin.list_offsets("events", query).await.unwrap();
        let offsets: Vec<_> = listed.iter().map(|one| one.offset.get()).collect();
        assert_eq!(offsets, expected, "{query:?}");
    }
    assert_eq!(admin.delete_records("events", 1, Offset::new(4)).await.unwrap().get(), 4);
    assert_eq!(admin.delete_records("events", 1, Offset::NONE).await.unwrap().get(), 10);
    let start = admin.list_offset("events", 1, OffsetQuery::Earliest).await.unwrap();
    assert_eq!(start.offset.get(), 10);
    let end = admin.epoch_end("events", 2, LeaderEpoch::new(0)).await.unwrap().unwrap();
    assert_eq!((end.epoch.get(), end.end.get()), (0, 7));
}

#[tokio::test]
async fn what_is_not_there_is_told_soon_and_by_name() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 2);
    let admin = cluster.client().admin();
    let error = admin.list_offset("events", 2, OffsetQuery::Latest).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownPartition), "{error}");
    let error = admin.list_offset("nothing", 0, OffsetQuery::Latest).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopic), "{error}");
    let error = admin.describe_topic("nothing").await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopic), "{error}");
}

#[tokio::test]
async fn one_of_several_bootstrap_addresses_is_enough() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let dead = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    for addresses in [[dead.clone(), cluster.address(0)], [cluster.address(0), dead]] {
        let client = Client::builder().bootstrap(addresses).build().unwrap();
        assert_eq!(client.admin().list_topics().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_operation_without_any_broker_ends_by_its_deadline() {
    let dead = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let client = Client::builder().bootstrap(&dead).api_timeout(SOON).build().unwrap();
    let ended = timeout(Duration::from_secs(20), client.admin().describe_cluster()).await;
    let error = ended.expect("the deadline").unwrap_err();
    assert!(matches!(&error, AdminError::Unreachable { attempts: 2.., .. }), "{error}");
    assert!(error.to_string().contains(&dead), "{error}");
}

#[tokio::test]
async fn a_broker_that_accepts_and_says_nothing_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = Client::builder()
        .bootstrap(&address)
        .connect_timeout(Duration::from_millis(20))
        .api_timeout(SOON)
        .build()
        .unwrap();
    let error = client.admin().list_topics().await.unwrap_err();
    assert!(error.to_string().contains("nothing within 20 ms"), "{error}");
}

#[tokio::test]
async fn an_answer_larger_than_the_limit_is_refused_before_room_is_made_for_it() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut greeting = [0; 64];
            let _ = stream.read(&mut greeting).await;
            let _ = stream.write_all(&u32::MAX.to_be_bytes()).await;
        }
    });
    let client = Client::builder().bootstrap(&address).api_timeout(SOON).build().unwrap();
    let error = client.admin().list_topics().await.unwrap_err();
    assert!(error.to_string().contains("4294967295 bytes announced"), "{error}");
}
