//! Clients that never take their answers: what they ask for is bounded by what they have not read.

use std::io;
use std::time::Duration;

use thalweg_client::Record;
use thalweg_protocol::native::{
    DescribeTopicsRequest, FetchPartition, FetchRequest, FetchTopic, MetadataRequest,
};
use thalweg_protocol::{LeaderEpoch, Offset, PartitionIndex, TopicId};

use crate::GROWTH_KIB_MAX;
use crate::good::{self, Publisher, TARGET, TOPIC};
use crate::raw::{Raw, request};
use crate::support::observe::Watch;
use crate::support::{Broker, say};

const READERS: usize = 60;

/// Topics whose description makes a large answer of a small request.
const TOPICS: usize = 40;

/// Sends the same request until the socket takes no more, and never reads.
pub fn stuff(raw: &mut Raw, asked: &[u8], bytes_max: usize) -> io::Result<bool> {
    let (mut sent, mut at) = (0, 0);
    while sent < bytes_max {
        match raw.send_some(&asked[at..]) {
            Ok(count) => {
                sent += count;
                at = (at + count) % asked.len();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Reads from the beginning of a topic, as much as there is.
pub fn fetch(topic: TopicId, bytes_max: u32) -> Vec<u8> {
    let partition = FetchPartition {
        partition: PartitionIndex::new(0),
        leader_epoch: LeaderEpoch::UNCHECKED,
        last_epoch: LeaderEpoch::UNCHECKED,
        offset: Offset::ZERO,
        bytes_max,
    };
    let topics = vec![FetchTopic { topic, partitions: vec![partition] }];
    request(3, &FetchRequest { wait_ms_max: 0, bytes_min: 1, bytes_max, topics })
}

#[test]
fn requests_without_end_whose_answers_nobody_reads_hold_little_memory() {
    let temp = tempfile::tempdir().unwrap();
    let settings = ["limits.slow_reader_ms_max=3s", "log.level=error"];
    let mut broker = Broker::start_set(&temp.path().join("data"), &settings, &[]);
    let runtime = good::runtime();
    let client = good::client(&broker);
    let target = runtime.block_on(async {
        good::create(&client, TOPIC, &[]).await;
        good::create(&client, TARGET, &[]).await;
        for number in 0..TOPICS {
            good::create(&client, &format!("topic-{number}"), &[]).await;
        }
        let producer = client.producer().build().await.unwrap();
        let value = vec![7; 900_000];
        for _ in 0..8 {
            let sent = producer.send(Record::to(TARGET).value(&value)).await.unwrap();
            sent.await.unwrap();
        }
        client.admin().describe_topic(TARGET).await.unwrap().id
    });
    let names = |start: &str, count: usize| -> Option<Vec<String>> {
        Some((0..count).map(|number| format!("{start}-{number}")).collect())
    };
    let asked = [
        fetch(target, 1 << 20),
        request(4, &DescribeTopicsRequest { names: names("topic", TOPICS) }),
        request(5, &MetadataRequest { names: names("topic", TOPICS), ids: Vec::new() }),
        request(6, &DescribeTopicsRequest { names: names("none", 500) }),
        crate::arsenal::sentinel(),
    ];
    let publisher = Publisher::start(&runtime, client.clone());
    let before_kib = broker.anonymous_kib().unwrap();
    let watch = Watch::start(&broker);
    let mut stalled = 0;
    let held: Vec<Raw> = (0..READERS)
        .map(|number| {
            let mut raw = Raw::open(&broker.address).unwrap();
            let asked = asked[number % asked.len()].repeat(200);
            // The socket is full more than once: the broker reads on as long as it may.
            for _ in 0..20 {
                stalled += usize::from(stuff(&mut raw, &asked, 64 << 20).unwrap());
                std::thread::sleep(Duration::from_millis(1));
            }
            raw
        })
        .collect();
    let metrics = broker.metrics_until("all of them are closed as slow readers", |now| {
        now.sum("thalweg_connections_closed_total", "slow_reader")
            >= f64::from(u32::try_from(READERS).unwrap())
    });
    let acknowledged = publisher.stop(&runtime);
    runtime.block_on(good::check(&client, acknowledged));
    let largest_kib = watch.largest_kib();
    say(&format!(
        "READERS: {} connections that asked without end and never read were closed ({:?}); a good client got {acknowledged} \
         records acknowledged; anonymous memory {before_kib} KiB before, {largest_kib} KiB at most",
        held.len(),
        metrics.by_label("thalweg_connections_closed_total", "reason"),
    ));
    assert!(stalled >= READERS, "vacuous: the broker read on in {stalled} of {READERS} cases");
    assert!(
        largest_kib < before_kib + GROWTH_KIB_MAX,
        "memory grew from {before_kib} to {largest_kib} KiB"
    );
    assert!(broker.is_up() && acknowledged > 0);
}
