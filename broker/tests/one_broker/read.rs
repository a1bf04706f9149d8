//! Reading: by offset and time, across segments, beyond the ends, while records are deleted.

use thalweg_client::{
    Compression, ConsumeError, ErrorCode, Offset, OffsetQuery, Record, StartAt, TimestampMs,
};

use crate::support::{Fixture, create, numbered, publish, values, within};

#[tokio::test]
async fn every_offset_can_be_the_first_to_read_across_rolled_segments() {
    let fixture = Fixture::start();
    let client = fixture.client();
    let settings = [("segment.bytes", "16384"), ("max.message.bytes", "8192")];
    create(&client, "rolled", 1, &settings).await;
    let codecs = [Compression::None, Compression::Lz4, Compression::Zstd, Compression::Gzip];
    let mut sent = Vec::new();
    for round in 0..20 {
        let codec = codecs[round % codecs.len()];
        let producer =
            client.producer().compression(codec).batch_bytes(1_500).build().await.unwrap();
        // Random letters, so that the codecs cannot make the log too small to roll.
        let mut random = fastrand::Rng::with_seed(u64::try_from(round).unwrap());
        let letters = |_| std::iter::repeat_with(|| random.alphanumeric()).take(90).collect();
        let part: Vec<String> = (0..50).map(letters).collect();
        publish(&producer, "rolled", 0, &part).await;
        sent.extend(part);
    }
    let folder = std::fs::read_dir(fixture.data()).unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        (path.is_dir() && path.to_string_lossy().ends_with("-0")).then_some(path)
    });
    let folder = folder.last().unwrap();
    let logs = std::fs::read_dir(folder)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "log"));
    assert!(logs.count() > 3, "the log did not roll");
    for first in (0..sent.len()).step_by(37) {
        let start = StartAt::Offset(Offset::new(i64::try_from(first).unwrap()));
        let mut consumer = client.consumer().topic("rolled", start).build().await.unwrap();
        for expected in sent.iter().skip(first).take(120) {
            let record = within(consumer.next()).await.unwrap().unwrap();
            assert_eq!(&values(&[record])[0], expected);
        }
    }
}

/// An answer is filled in the order of the request. Once that was always the same, and the last partitions of a backlog
/// waited until the first ones were read to their end.
#[tokio::test]
async fn every_partition_has_its_turn_where_an_answer_does_not_hold_them_all() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "backlog", 4, &[]).await;
    let producer = client.producer().batch_bytes(1_500).build().await.unwrap();
    let records: Vec<String> = (0..200).map(|number| format!("{number:01000}")).collect();
    for partition in 0..4 {
        publish(&producer, "backlog", partition, &records).await;
    }
    let consumer = client.consumer().topic("backlog", StartAt::Earliest);
    let consumer = consumer.fetch_bytes_max(4_096).partition_bytes_max(2_048);
    let mut consumer = consumer.prefetch_bytes_max(4_096).build().await.unwrap();
    let mut read = [0; 4];
    while read.contains(&0) {
        let record = within(consumer.next()).await.unwrap().unwrap();
        read[usize::try_from(record.partition.get()).unwrap()] += 1;
        assert!(read.iter().all(|count| *count < 100), "{read:?}");
    }
}

#[tokio::test]
async fn offsets_are_found_by_time() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "timed", 1, &[]).await;
    let producer = client.producer().build().await.unwrap();
    for second in 0..100 {
        let time = TimestampMs::new(1_000_000 + second * 1_000);
        let record = Record::to("timed").value("x").timestamp(time);
        within(producer.send(record).await.unwrap()).await.unwrap();
    }
    let admin = client.admin();
    let find = async |query| admin.list_offset("timed", 0, query).await.unwrap().offset.get();
    assert_eq!(find(OffsetQuery::Earliest).await, 0);
    assert_eq!(find(OffsetQuery::Latest).await, 100);
    assert_eq!(find(OffsetQuery::AtOrAfter(TimestampMs::new(1_041_500))).await, 42);
    assert_eq!(find(OffsetQuery::AtOrAfter(TimestampMs::new(1_042_000))).await, 42);
    assert_eq!(find(OffsetQuery::AtOrAfter(TimestampMs::new(9_000_000))).await, -1);
    assert_eq!(find(OffsetQuery::MaxTimestamp).await, 99);
}

#[tokio::test]
async fn deleted_records_are_gone_and_the_range_is_told() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "cut", 1, &[]).await;
    let producer = client.producer().build().await.unwrap();
    publish(&producer, "cut", 0, &numbered("v", 100)).await;
    let log_start = client.admin().delete_records("cut", 0, Offset::new(40)).await.unwrap();
    assert_eq!(log_start.get(), 40);
    let start = StartAt::Offset(Offset::new(10));
    let mut consumer = client.consumer().topic("cut", start).build().await.unwrap();
    let error = within(consumer.next()).await.unwrap().unwrap_err();
    let ConsumeError::OffsetOutOfRange { log_start, log_end, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((log_start.get(), log_end.get()), (40, 100));
    let mut consumer = client.consumer().topic("cut", StartAt::Earliest).build().await.unwrap();
    assert_eq!(within(consumer.next()).await.unwrap().unwrap().offset.get(), 40);
    let beyond = client.admin().delete_records("cut", 0, Offset::new(1_000)).await.unwrap_err();
    assert!(beyond.to_string().contains("100"), "{beyond}");
}

#[tokio::test]
async fn a_reader_at_the_end_gets_what_comes_next() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "live", 2, &[]).await;
    let mut consumer = client.consumer().topic("live", StartAt::Latest).build().await.unwrap();
    let producer = client.producer().build().await.unwrap();
    for number in 0..20 {
        let value = number.to_string();
        let record = Record::to("live").partition(number % 2).value(&value);
        within(producer.send(record).await.unwrap()).await.unwrap();
        let read = within(consumer.next()).await.unwrap().unwrap();
        assert_eq!(values(&[read])[0], value);
    }
}

#[tokio::test]
async fn retention_by_size_deletes_whole_segments_under_a_reader() {
    let fixture = Fixture::start_with(|config| {
        config.storage.retention_check_interval_ms = thalweg_broker::base::Millis::new(20);
    });
    let client = fixture.client();
    let settings =
        [("segment.bytes", "16384"), ("max.message.bytes", "8192"), ("retention.bytes", "50000")];
    create(&client, "kept", 1, &settings).await;
    let producer = client.producer().batch_bytes(2_000).build().await.unwrap();
    let mut consumer = client.consumer().topic("kept", StartAt::Earliest).build().await.unwrap();
    for round in 0..30 {
        publish(&producer, "kept", 0, &numbered(&format!("{round}-{}", "z".repeat(100)), 50)).await;
        // The reader keeps up, so it never misses a record.
        for number in 0..50 {
            let record = within(consumer.next()).await.unwrap().unwrap();
            assert_eq!(record.offset.get(), round * 50 + number);
        }
    }
    let admin = client.admin();
    let deleted = within(async {
        loop {
            let start = admin.list_offset("kept", 0, OffsetQuery::Earliest).await.unwrap().offset;
            if start.get() > 0 {
                return start;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(deleted.get() < 1_500);
    // Where it begins may be deleted before it is read.
    let first = within(async {
        loop {
            let consumer = client.consumer().topic("kept", StartAt::Earliest);
            match consumer.build().await.unwrap().next().await.unwrap() {
                Ok(record) => return record.offset,
                Err(error) => {
                    assert!(matches!(error, ConsumeError::OffsetOutOfRange { .. }), "{error}");
                }
            }
        }
    });
    assert!(first.await >= deleted);
}

#[tokio::test]
async fn an_unknown_topic_is_told_as_such() {
    let fixture = Fixture::start();
    let error = fixture
        .client()
        .consumer()
        .topic("nowhere", StartAt::Earliest)
        .build()
        .await
        .map(drop)
        .unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
    let _ = ErrorCode::UnknownTopic;
}
