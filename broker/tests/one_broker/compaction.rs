//! Compaction: a real broker, asked for a run, then by itself; readers before, between and after.

use std::collections::BTreeMap;

use thalweg_broker::base::Millis;
use thalweg_client::{AdminError, Client, CompactionStatus, ErrorCode, Offset, Record, StartAt};

use crate::support::{Fixture, PATIENCE, create, numbered, publish, within};

const SMALL: [(&str, &str); 3] =
    [("cleanup.policy", "compact"), ("segment.bytes", "4096"), ("max.message.bytes", "2048")];

/// Writes `rounds` values for each of ten keys; the last round of the last key is its end.
async fn write_rounds(client: &Client, topic: &'static str, rounds: i32) {
    let producer = client.producer().build().await.unwrap();
    for round in 0..rounds {
        for key in 0..10 {
            let (key, value) = (format!("key {key}"), format!("round {round}"));
            let record = Record::to(topic).partition(0).key(&key).value(&value);
            within(producer.send(record).await.unwrap()).await.unwrap();
        }
    }
    within(producer.close()).await.unwrap();
}

/// Each key with its records, read from the start to `end`.
async fn read_to(client: &Client, topic: &str, end: i64) -> BTreeMap<String, Vec<(i64, String)>> {
    let mut consumer = client.consumer().topic(topic, StartAt::Earliest).build().await.unwrap();
    let mut found: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    loop {
        let record = within(consumer.next()).await.unwrap().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let key = record.key.as_deref().map(text).unwrap();
        let value = record.value.as_deref().map(text).unwrap();
        found.entry(key).or_default().push((record.offset.get(), value));
        if record.offset.get() >= end - 1 {
            return found;
        }
    }
}

/// Waits until a run that was asked for has ended.
async fn compacted(client: &Client, topic: &str) -> CompactionStatus {
    let admin = client.admin();
    let mut status = admin.compact(topic, 0).await.unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while status.waits {
        assert!(tokio::time::Instant::now() < deadline, "{status:?}");
        tokio::task::yield_now().await;
        status = admin.compaction_status(topic, 0).await.unwrap();
    }
    status
}

#[tokio::test]
async fn a_topic_that_is_compacted_keeps_the_last_record_of_each_key_at_its_offset() {
    let mut fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "keys", 1, &SMALL).await;
    write_rounds(&client, "keys", 30).await;
    // Begins before the run and goes on behind it.
    let mut early = client.consumer().topic("keys", StartAt::Earliest).build().await.unwrap();
    assert_eq!(within(early.next()).await.unwrap().unwrap().offset.get(), 0);
    let status = compacted(&client, "keys").await;
    assert_eq!((status.failure.as_deref(), status.runs), (None, 1), "{status:?}");
    assert_eq!(status.cleaned_end.get(), 300);
    assert!(status.after_bytes < status.before_bytes / 4, "{status:?}");
    let expected = |client: Client| async move {
        let found = read_to(&client, "keys", 300).await;
        assert_eq!(found.len(), 10);
        for (place, (key, records)) in found.into_iter().enumerate() {
            let last = 290 + i64::try_from(place).unwrap();
            assert_eq!(records, [(last, "round 29".to_owned())], "{key}");
        }
    };
    expected(client.clone()).await;
    let mut last = 0;
    while last < 299 {
        last = within(early.next()).await.unwrap().unwrap().offset.get();
    }
    // An offset in a hole is as good as the next record's.
    let start = StartAt::Offset(Offset::new(137));
    let mut inside = client.consumer().topic("keys", start).build().await.unwrap();
    assert_eq!(within(inside.next()).await.unwrap().unwrap().offset.get(), 290);
    drop((early, inside));
    drop(client);
    assert!(fixture.stop(), "not a clean stop");
    fixture.restart_with(|_| {});
    expected(fixture.client()).await;
    write_rounds(&fixture.client(), "keys", 1).await;
    let again = compacted(&fixture.client(), "keys").await;
    assert_eq!(again.cleaned_end.get(), 310);
}

#[tokio::test]
async fn a_log_that_is_due_is_compacted_without_being_asked() {
    let fixture = Fixture::start_with(|config| {
        config.storage.compaction_check_interval_ms = Millis::new(10);
    });
    let client = fixture.client();
    let settings = [&SMALL[..], &[("min.cleanable.dirty.ratio", "0.1")]].concat();
    create(&client, "due", 1, &settings).await;
    write_rounds(&client, "due", 30).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let status = client.admin().compaction_status("due", 0).await.unwrap();
        if status.runs > 0 && status.cleaned_end.get() > 200 {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{status:?}");
        tokio::task::yield_now().await;
    }
    let found = read_to(&client, "due", 300).await;
    assert!(found.values().all(|records| records.last().unwrap().1 == "round 29"));
}

#[tokio::test]
async fn only_compacted_topics_can_be_asked_for_and_take_only_records_with_keys() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "plain", 1, &[]).await;
    let producer = client.producer().build().await.unwrap();
    publish(&producer, "plain", 0, &numbered("v", 3)).await;
    let error = client.admin().compact("plain", 0).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::InvalidConfig), "{error}");
    assert!(error.to_string().contains("cleanup.policy"), "{error}");
    let missing: AdminError = client.admin().compact("plain", 7).await.unwrap_err();
    assert_eq!(missing.code(), Some(ErrorCode::UnknownPartition), "{missing}");
    create(&client, "keys", 1, &SMALL).await;
    let refused = within(producer.send(Record::to("keys").value("x")).await.unwrap()).await;
    assert!(refused.unwrap_err().to_string().contains("no key"));
}
