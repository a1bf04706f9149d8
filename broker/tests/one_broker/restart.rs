//! Restarts: clean ones, and those that look like a crash to the next start.

use thalweg_client::{NewTopic, Record};

use crate::bad_input::{Raw, long_poll, request};
use crate::support::{Fixture, create, numbered, publish, read, values, within};

#[tokio::test]
async fn a_clean_restart_keeps_topics_records_and_settings() {
    let mut fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "kept", 3, &[("retention.ms", "1h")]).await;
    let producer = client.producer().build().await.unwrap();
    let sent = numbered("before-", 200);
    publish(&producer, "kept", 1, &sent).await;
    within(producer.close()).await.unwrap();
    drop(client);
    assert!(fixture.stop(), "the stop was not clean");

    fixture.restart_with(|_| {});
    let client = fixture.client();
    assert_eq!(values(&read(&client, "kept", 200).await), sent);
    let producer = client.producer().build().await.unwrap();
    let after = numbered("after-", 50);
    publish(&producer, "kept", 1, &after).await;
    let all = values(&read(&client, "kept", 250).await);
    assert_eq!(all[200..], after);
}

#[tokio::test]
async fn an_unclean_restart_keeps_what_was_acknowledged() {
    let mut fixture = Fixture::start();
    let mut expected = Vec::new();
    create(&fixture.client(), "kept", 1, &[]).await;
    for round in 0..5 {
        let client = fixture.client();
        let producer = client.producer().build().await.unwrap();
        let sent = numbered(&format!("{round}-"), 100);
        publish(&producer, "kept", 0, &sent).await;
        expected.extend(sent);
        drop((producer, client));
        fixture.abandon();
        fixture.restart_with(|_| {});
        let read = values(&read(&fixture.client(), "kept", expected.len()).await);
        assert_eq!(read, expected);
    }
}

#[tokio::test]
async fn one_producer_goes_on_across_a_restart_without_a_gap_or_a_double() {
    let mut fixture = Fixture::start();
    let port = fixture.broker().addresses()[0].port();
    let client = fixture.client();
    create(&client, "through", 1, &[]).await;
    let producer = client.producer().build().await.unwrap();
    let sent = numbered("r", 1_000);
    let mut receipts = Vec::new();
    for (number, value) in sent.iter().enumerate() {
        if number == 500 {
            fixture.abandon();
            fixture.restart_with(|config| config.listeners[0].address.port = port);
        }
        let record = Record::to("through").value(value);
        receipts.push(producer.send(record).await.unwrap());
    }
    for (number, receipt) in receipts.into_iter().enumerate() {
        let offset = within(receipt).await.unwrap().offset;
        assert_eq!(offset.get(), i64::try_from(number).unwrap());
    }
    assert_eq!(values(&read(&client, "through", 1_000).await), sent);
}

#[tokio::test]
async fn producer_ids_are_never_given_twice_over_restarts() {
    let mut fixture = Fixture::start();
    let mut seen = std::collections::BTreeSet::new();
    create(&fixture.client(), "ids", 1, &[]).await;
    for round in 0..4 {
        for _ in 0..5 {
            let client = fixture.client();
            let producer = client.producer().build().await.unwrap();
            let receipt = producer.send(Record::to("ids").value("x")).await.unwrap();
            within(receipt).await.unwrap();
        }
        let batches = producer_ids(&fixture);
        seen = batches.iter().copied().collect();
        assert_eq!(seen.len(), batches.len(), "an id was given twice");
        if round % 2 == 0 {
            fixture.abandon();
        } else {
            assert!(fixture.stop());
        }
        fixture.restart_with(|_| {});
    }
    assert_eq!(seen.len(), 20);
}

/// The producer id of every batch in the log, read off the file.
fn producer_ids(fixture: &Fixture) -> Vec<i64> {
    let folder = std::fs::read_dir(fixture.data())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with("-0"))
        .unwrap();
    let bytes = std::fs::read(folder.join("00000000000000000000.log")).unwrap();
    let reader = thalweg_protocol::batch::BatchReader::new(bytes.into());
    reader.map(|batch| batch.unwrap().header.producer.get()).collect()
}

#[tokio::test]
async fn deleted_topics_stay_deleted() {
    let mut fixture = Fixture::start();
    let client = fixture.client();
    client.admin().create_topic(NewTopic::new("gone").partitions(4)).await.unwrap();
    client.admin().create_topic(NewTopic::new("here")).await.unwrap();
    client.admin().delete_topic("gone").await.unwrap();
    drop(client);
    fixture.abandon();
    fixture.restart_with(|_| {});
    let topics = fixture.client().admin().list_topics().await.unwrap();
    assert_eq!(topics.iter().map(|topic| topic.name.as_str()).collect::<Vec<_>>(), ["here"]);
    assert!(fixture.stop());
}

#[tokio::test]
async fn a_long_poll_does_not_hold_up_a_stop() {
    let mut fixture = Fixture::start_with(|config| {
        config.drain_ms_max = thalweg_broker::base::Millis::minutes(2);
    });
    create(&fixture.client(), "quiet", 1, &[]).await;
    let topic = fixture.client().admin().describe_topic("quiet").await.unwrap().id;
    let mut raw = Raw::open(&fixture).await;
    raw.send(&long_poll(1, topic)).await;
    // Requests begin in order: when this one is answered, the poll waits.
    raw.send(&request(2, &thalweg_protocol::native::DescribeClusterRequest {})).await;
    let answer = raw.answer::<thalweg_protocol::native::DescribeClusterResponse>().await.unwrap();
    assert_eq!(answer.0.correlation, 2);
    let stopping = tokio::task::spawn_blocking(move || fixture.stop());
    assert!(within(stopping).await.unwrap(), "the stop was not clean");
    let (header, _) = raw.answer::<thalweg_protocol::native::FetchResponse>().await.unwrap();
    assert_eq!(header.correlation, 1, "the poll was answered with what there was");
}
