//! Topics: create, describe, alter, delete.

use thalweg_client::{AlterTopic, NewTopic, Record, SendError};

use crate::support::{Fixture, create, within};

#[tokio::test]
async fn a_topic_lives_from_creation_to_deletion() {
    let fixture = Fixture::start();
    let client = fixture.client();
    let admin = client.admin();
    create(&client, "events", 3, &[("retention.ms", "1h")]).await;
    let described = admin.describe_topic("events").await.unwrap();
    assert_eq!(described.partitions.len(), 3);
    let config = |key: &str| {
        described.configs.iter().find(|config| config.key == key).unwrap().value.clone()
    };
    assert_eq!(config("retention.ms"), "3600000");
    assert_eq!(config("durability"), "synced");

    admin.alter_topic(AlterTopic::new("events").partitions(5)).await.unwrap();
    assert_eq!(admin.describe_topic("events").await.unwrap().partitions.len(), 5);
    let producer = client.producer().build().await.unwrap();
    let record = Record::to("events").partition(4).value("in a new partition");
    within(producer.send(record).await.unwrap()).await.unwrap();

    admin.delete_topic("events").await.unwrap();
    assert!(admin.describe_topic("events").await.is_err());
    assert!(admin.list_topics().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_topic_created_again_is_another_and_begins_empty() {
    let fixture = Fixture::start();
    let client = fixture.client();
    let admin = client.admin();
    let first = admin.create_topic(NewTopic::new("again")).await.unwrap();
    let producer = client.producer().build().await.unwrap();
    within(producer.send(Record::to("again").value("old")).await.unwrap()).await.unwrap();
    admin.delete_topic("again").await.unwrap();
    let second = admin.create_topic(NewTopic::new("again")).await.unwrap();
    assert_ne!(first.id, second.id);
    let partition = &admin.describe_topic("again").await.unwrap().partitions[0];
    assert_eq!(partition.log_end.get(), 0);
    // What a producer meant for the old topic is not put into the new one behind its back; it is told, and its
    // next record finds the new one.
    let receipt = producer.send(Record::to("again").value("meant for the old one")).await.unwrap();
    let told = within(receipt).await.unwrap_err();
    assert!(matches!(told, SendError::TopicReplaced { .. }), "{told:?}");
    let receipt = producer.send(Record::to("again").value("new")).await.unwrap();
    assert_eq!(within(receipt).await.unwrap().offset.get(), 0);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_reason() {
    let fixture = Fixture::start();
    let client = fixture.client();
    let admin = client.admin();
    create(&client, "taken", 2, &[]).await;
    let cases = [
        (NewTopic::new("taken"), "taken"),
        (NewTopic::new("a/b"), "allowed are"),
        (NewTopic::new("none").partitions(0), "partitions"),
        (NewTopic::new("many").partitions(1_000_000), "partitions"),
        (NewTopic::new("copies").replication_factor(3), "replication"),
        (NewTopic::new("typo").config("retention.mss", "1"), "retention.ms"),
        (NewTopic::new("range").config("segment.bytes", "-5"), "segment.bytes"),
        (NewTopic::new("mix").config("durability", "eternal"), "replicated"),
    ];
    for (topic, expected) in cases {
        let error = admin.create_topic(topic).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }
    let shrink = admin.alter_topic(AlterTopic::new("taken").partitions(1)).await.unwrap_err();
    assert!(shrink.to_string().contains("partitions"), "{shrink}");
    assert!(admin.delete_topic("unknown").await.is_err());
    assert_eq!(admin.list_topics().await.unwrap().len(), 1);
}

/// The answer says that the setting is agreed; the partition hears of it a moment later.
#[tokio::test]
async fn a_new_setting_holds_without_a_restart() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "altered", 1, &[]).await;
    let producer = client.producer().build().await.unwrap();
    let large = "x".repeat(3_000);
    let publish = || async {
        within(producer.send(Record::to("altered").value(&large)).await.unwrap()).await
    };
    publish().await.unwrap();
    let change = AlterTopic::new("altered").set("max.message.bytes", "1000");
    client.admin().alter_topic(change).await.unwrap();
    within(async { while publish().await.is_ok() {} }).await;
    let reset = AlterTopic::new("altered").reset("max.message.bytes");
    client.admin().alter_topic(reset).await.unwrap();
    within(async { while publish().await.is_err() {} }).await;
}
