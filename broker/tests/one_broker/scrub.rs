//! Damage on the disk of a running broker: found by the scrub before a reader meets it.

use std::os::unix::fs::FileExt;

use thalweg_broker::base::{ByteSize, Millis};
use thalweg_client::{Compression, ConsumeError, StartAt};

use crate::metrics::Shown;
use crate::support::{Fixture, create, numbered, publish, within};

#[tokio::test]
async fn a_bit_that_flips_on_the_disk_is_found_counted_and_told_to_its_readers() {
    let fixture = Fixture::start_with(|config| {
        config.storage.scrub_bytes_per_second = ByteSize::gib(1);
        config.storage.scrub_interval_ms = Millis::new(10);
    });
    let client = fixture.client();
    let settings = [("segment.bytes", "16384"), ("max.message.bytes", "8192")];
    create(&client, "old", 1, &settings).await;
    let producer =
        client.producer().compression(Compression::None).batch_bytes(2_000).build().await.unwrap();
    publish(&producer, "old", 0, &numbered(&"x".repeat(500), 100)).await;
    let folders = std::fs::read_dir(fixture.data()).unwrap().map(|entry| entry.unwrap().path());
    let first = "00000000000000000000.log";
    let logs = folders.filter(|folder| !folder.ends_with("metadata")).map(|it| it.join(first));
    let log = logs.into_iter().find(|log| log.exists()).unwrap();
    let file = std::fs::File::options().read(true).write(true).open(log).unwrap();
    let mut byte = [0];
    // In a record's value, where no header leads astray.
    file.read_exact_at(&mut byte, 5_000).unwrap();
    file.write_all_at(&[byte[0] ^ 4], 5_000).unwrap();

    let directory = fixture.data().display().to_string();
    let found = format!("thalweg_corrupt_ranges_total{{directory=\"{directory}\"}}");
    Shown::once(&fixture, &found, 1.0).await;
    // What is damaged is counted at once, the bytes of a segment at its end, and the pass when all are through.
    let bytes = format!("thalweg_scrubbed_bytes_total{{directory=\"{directory}\"}}");
    let read_through = async {
        while Shown::now(&fixture).await.get(&bytes) <= 16_000.0 {
            tokio::task::yield_now().await;
        }
    };
    within(read_through).await;
    let mut consumer = client.consumer().topic("old", StartAt::Earliest).build().await.unwrap();
    let mut read = 0;
    let error = loop {
        match within(consumer.next()).await.unwrap() {
            Ok(record) => {
                assert_eq!(record.offset.get(), read);
                read += 1;
            }
            Err(error) => break error,
        }
    };
    let ConsumeError::Corrupt { next_good, .. } = &error else { panic!("{error:?}") };
    assert!(read > 0 && next_good.get() > read, "{error}");
    // Passes go on, and find nothing twice.
    let passed = async {
        while Shown::now(&fixture).await.get("thalweg_scrub_last_pass_timestamp_seconds") <= 1.7e9 {
            tokio::task::yield_now().await;
        }
    };
    within(passed).await;
    assert!((Shown::now(&fixture).await.get(&found) - 1.0).abs() < 1e-9);
}
