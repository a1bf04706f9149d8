//! Publishing: codecs, acknowledgements, durabilities, idempotence.

use thalweg_client::{Acks, Compression, Record, SendError, StartAt};

use crate::support::{Fixture, create, numbered, publish, read, values, within};

#[tokio::test]
async fn what_was_published_is_read_in_order_by_every_codec() {
    let fixture = Fixture::start();
    let client = fixture.client();
    for codec in [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let topic = format!("by-{codec}");
        create(&client, &topic, 1, &[]).await;
        let producer = client.producer().compression(codec).build().await.unwrap();
        let sent = numbered("value-", 500);
        publish(&producer, &topic, 0, &sent).await;
        assert_eq!(values(&read(&client, &topic, 500).await), sent);
    }
}

#[tokio::test]
async fn keys_headers_and_timestamps_come_back_as_they_went() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "events", 1, &[]).await;
    let producer = client.producer().build().await.unwrap();
    let record = Record::to("events")
        .key("k")
        .value("v")
        .header("a", "1")
        .header("a", "2")
        .header_null("b")
        .timestamp(thalweg_client::TimestampMs::new(978_307_200_000));
    let delivered = within(producer.send(record).await.unwrap()).await.unwrap();
    assert_eq!(delivered.offset.get(), 0);
    let read = read(&client, "events", 1).await;
    assert_eq!(read[0].key.as_deref(), Some(&b"k"[..]));
    assert_eq!(read[0].timestamp.get(), 978_307_200_000);
    let headers: Vec<_> = read[0]
        .headers
        .iter()
        .map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)))
        .collect();
    assert_eq!(
        headers,
        [
            (b"a".to_vec(), Some(b"1".to_vec())),
            (b"a".to_vec(), Some(b"2".to_vec())),
            (b"b".to_vec(), None),
        ]
    );
}

#[tokio::test]
async fn every_kind_of_acknowledgement_and_durability_delivers() {
    let fixture = Fixture::start();
    let client = fixture.client();
    for durability in ["synced", "replicated"] {
        for acks in [Acks::None, Acks::Leader, Acks::All] {
            let topic = format!("{durability}-{acks:?}");
            create(&client, &topic, 1, &[("durability", durability)]).await;
            let producer =
                client.producer().acks(acks).idempotence(acks == Acks::All).build().await.unwrap();
            let sent = numbered("v", 50);
            publish(&producer, &topic, 0, &sent).await;
            within(producer.close()).await.unwrap();
            assert_eq!(values(&read(&client, &topic, 50).await), sent);
        }
    }
}

#[tokio::test]
async fn keys_choose_the_partition_as_kafka_does() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "keyed", 7, &[]).await;
    let producer = client.producer().build().await.unwrap();
    for number in 0..100_u32 {
        let key = format!("key-{number}");
        let record = Record::to("keyed").key(&key).value("v");
        let delivered = within(producer.send(record).await.unwrap()).await.unwrap();
        let expected = thalweg_protocol::murmur2::partition_for_key(key.as_bytes(), 7);
        assert_eq!(delivered.partition, expected);
    }
}

#[tokio::test]
async fn a_record_larger_than_the_topic_allows_is_refused_and_the_next_goes_through() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "small", 1, &[("max.message.bytes", "1000")]).await;
    let producer = client.producer().build().await.unwrap();
    let large = "x".repeat(5_000);
    let refused = within(producer.send(Record::to("small").value(&large)).await.unwrap()).await;
    let error = refused.unwrap_err();
    assert!(error.to_string().contains("1000"), "{error}");
    let fine = within(producer.send(Record::to("small").value("y")).await.unwrap()).await;
    assert_eq!(fine.unwrap().offset.get(), 0);
}

#[tokio::test]
async fn timestamps_far_ahead_are_refused_and_old_ones_taken() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "times", 1, &[]).await;
    let producer = client.producer().build().await.unwrap();
    let ahead = thalweg_client::TimestampMs::new(4_102_444_800_000);
    let refused = producer.send(Record::to("times").value("x").timestamp(ahead)).await.unwrap();
    let error = within(refused).await.unwrap_err();
    assert!(
        matches!(&error, SendError::Refused { code, .. }
        if *code == thalweg_client::ErrorCode::InvalidTimestamp),
        "{error:?}"
    );
    let old = thalweg_client::TimestampMs::new(0);
    within(producer.send(Record::to("times").value("x").timestamp(old)).await.unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn the_broker_stamps_where_the_topic_asks_for_it() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "stamped", 1, &[("message.timestamp.type", "LogAppendTime")]).await;
    let producer = client.producer().build().await.unwrap();
    let old = thalweg_client::TimestampMs::new(5);
    let receipt = producer.send(Record::to("stamped").value("x").timestamp(old)).await.unwrap();
    let delivered = within(receipt).await.unwrap();
    assert!(delivered.timestamp.get() > 1_700_000_000_000);
    assert_eq!(read(&client, "stamped", 1).await[0].timestamp, delivered.timestamp);
}

#[tokio::test]
async fn many_partitions_share_the_flusher_and_keep_their_order() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "wide", 50, &[]).await;
    let producer = client.producer().build().await.unwrap();
    let mut receipts = Vec::new();
    for number in 0..5_000 {
        let value = number.to_string();
        let record = Record::to("wide").partition(number % 50).value(&value);
        receipts.push(producer.send(record).await.unwrap());
    }
    for receipt in receipts {
        within(receipt).await.unwrap();
    }
    let mut consumer = client.consumer().topic("wide", StartAt::Earliest).build().await.unwrap();
    let mut next = [0; 50];
    for _ in 0..5_000 {
        let record = within(consumer.next()).await.unwrap().unwrap();
        let at = usize::try_from(record.partition.get()).unwrap();
        let number: usize = values(&[record])[0].parse().unwrap();
        assert_eq!(number, next[at] * 50 + at);
        next[at] += 1;
    }
}

/// The flusher has been told of bytes that may wait for 5 s; those that come then may not. Ten waits would be longer than
/// this takes on any machine.
#[tokio::test]
async fn a_topic_that_becomes_synced_is_synced_at_once() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "harder", 1, &[]).await;
    let producer = client.producer().build().await.unwrap();
    let set = async |durability| {
        let change = thalweg_client::AlterTopic::new("harder").set("durability", durability);
        client.admin().alter_topic(change).await.unwrap();
    };
    let rounds = async {
        for _ in 0..10 {
            set("replicated").await;
            publish(&producer, "harder", 0, &numbered("soft-", 20)).await;
            set("synced").await;
            publish(&producer, "harder", 0, &numbered("hard-", 20)).await;
        }
    };
    within(rounds).await;
}
