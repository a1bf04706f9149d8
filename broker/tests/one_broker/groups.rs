//! Groups in a whole broker: offsets that outlive it, how far behind they are, and the topic that only it writes.

use std::time::Duration;

use thalweg_client::{AlterTopic, CommitOffset, NewTopic, Record};
use thalweg_protocol::{ErrorCode, Offset};

use crate::support::{Fixture, create, within};

const INTERNAL: &str = "__consumer_offsets";

#[tokio::test]
async fn committed_offsets_outlive_the_broker() {
    let mut fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "events", 2, &[]).await;
    let producer = client.producer().build().await.unwrap();
    for _ in 0..5 {
        let record = Record::to("events").partition(1).value("x");
        within(producer.send(record).await.unwrap()).await.unwrap();
    }
    let commit = CommitOffset::new("events", 1, Offset::new(3)).metadata("a note");
    within(client.admin().commit_group_offsets("g", [commit])).await.unwrap();
    for _ in 0..2 {
        let admin = fixture.client().admin();
        let committed = within(admin.group_offsets("g")).await.unwrap();
        assert_eq!(committed.len(), 1);
        assert_eq!((committed[0].offset, &*committed[0].metadata), (Offset::new(3), "a note"));
        let described = within(admin.describe_group("g")).await.unwrap();
        let partition = &described.offsets[0].partitions[0];
        assert_eq!((partition.lag_records, partition.high_watermark.get()), (2, 5));
        assert!(partition.lag_ms >= 0, "the next record has an age");
        drop(admin);
        fixture.stop();
        fixture.restart_with(|_| {});
    }
    let admin = fixture.client().admin();
    within(admin.delete_group("g")).await.unwrap();
    assert!(within(admin.list_groups(&[])).await.unwrap().groups.is_empty());
}

#[tokio::test]
async fn a_group_at_the_end_is_zero_records_and_zero_seconds_behind() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "events", 1, &[]).await;
    let producer = client.producer().build().await.unwrap();
    within(producer.send(Record::to("events").value("x")).await.unwrap()).await.unwrap();
    let admin = client.admin();
    let commit = CommitOffset::new("events", 0, Offset::new(1));
    within(admin.commit_group_offsets("g", [commit])).await.unwrap();
    let described = within(admin.describe_group("g")).await.unwrap();
    let partition = &described.offsets[0].partitions[0];
    assert_eq!((partition.lag_records, partition.lag_ms), (0, 0));
}

#[tokio::test]
async fn clients_cannot_touch_the_topic_of_the_offsets() {
    let fixture = Fixture::start();
    let client = fixture.client();
    let admin = client.admin();
    assert!(admin.create_topic(NewTopic::new(INTERNAL)).await.is_err(), "only the broker makes it");
    create(&client, "events", 1, &[]).await;
    let commit = CommitOffset::new("events", 0, Offset::new(0));
    within(admin.commit_group_offsets("g", [commit])).await.unwrap();
    let described = admin.describe_topic(INTERNAL).await.unwrap();
    assert_eq!(described.partitions.len(), 50);
    assert!(admin.delete_topic(INTERNAL).await.is_err());
    assert!(admin.alter_topic(AlterTopic::new(INTERNAL).partitions(60)).await.is_err());
    let producer =
        client.producer().delivery_timeout(Duration::from_secs(2)).build().await.unwrap();
    let record = Record::to(INTERNAL).partition(0).key("k").value("forged");
    let refused = within(producer.send(record).await.unwrap()).await;
    assert!(refused.is_err(), "{refused:?}");
    let all = within(admin.group_offsets("g")).await.unwrap();
    assert_eq!(all.len(), 1, "others are undisturbed");
}

#[tokio::test]
async fn commits_that_make_no_sense_are_refused_with_their_code() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "events", 1, &[]).await;
    let admin = client.admin();
    let beyond = CommitOffset::new("events", 0, Offset::new(9));
    let refused = within(admin.commit_group_offsets("g", [beyond])).await.unwrap_err();
    assert!(refused.to_string().contains("beyond"), "{refused}");
    let nameless = CommitOffset::new("events", 0, Offset::new(0));
    let refused = within(admin.commit_group_offsets("", [nameless])).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::InvalidGroup), "{refused}");
    assert!(within(admin.list_groups(&[])).await.unwrap().groups.is_empty());
}
