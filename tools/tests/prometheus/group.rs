//! A small group that falls behind on purpose: what it has read, committed and left is known to the record, and how
//! old the next record is, to the millisecond.
#![expect(clippy::cast_precision_loss, reason = "milliseconds far below 2^53")]

use std::time::{SystemTime, UNIX_EPOCH};

use thalweg_client::{
    Client, CommitOffset, ConsumedRecord, Consumer, NewTopic, Offset, Producer, Record, TimestampMs,
};

use crate::say;
use crate::server::{Prometheus, wait_until};
use crate::support::DEADLINE;

const TOPIC: &str = "behind";
/// In each of two partitions.
const RECORDS: u64 = 30;
/// Between one record's timestamp and the next one's.
const STEP_MS: i64 = 10_000;

/// A group with one member, which has stopped reading on its way.
pub struct Group {
    /// None once it has left.
    consumer: Option<Consumer>,
    producer: Producer,
    /// The time of each partition's first record.
    began: i64,
    committed: u64,
    /// A time before the last change was asked for.
    stood: i64,
}

impl Group {
    /// Publishes, reads on until `left` records are not read in partition 0, and commits.
    pub async fn start(client: &Client, left: u64) -> Self {
        client.admin().create_topic(NewTopic::new(TOPIC).partitions(2)).await.unwrap();
        let producer = client.producer().build().await.unwrap();
        let began = now() - 3_600_000;
        for number in 0..RECORDS {
            for partition in 0..2 {
                publish(&producer, partition, began + step(number)).await;
            }
        }
        let building = client.consumer().group("readers").subscribe([TOPIC]).manual_commit();
        let consumer = building.build().await.unwrap();
        let mut group =
            Self { consumer: Some(consumer), producer, began, committed: 0, stood: now() };
        let mut done: [Option<ConsumedRecord>; 2] = [None, None];
        // What lies behind a partition's mark is read, too, but not done.
        let marks = [RECORDS - left, RECORDS];
        let is_done = |done: &[Option<ConsumedRecord>; 2]| {
            let next = |it: &Option<ConsumedRecord>| it.as_ref().map(|it| it.offset.next().get());
            done.iter().zip(marks).all(|(it, mark)| next(it) == i64::try_from(mark).ok())
        };
        while !is_done(&done) {
            let record = group.next().await;
            let partition = usize::try_from(record.partition.get()).unwrap();
            if record.offset.get() < i64::try_from(marks[partition]).unwrap() {
                done[partition] = Some(record);
            }
        }
        group.stood = now();
        group.member().commit_records(done.iter().flatten()).await.unwrap();
        group.committed = 2;
        group
    }

    const fn member(&self) -> &Consumer {
        self.consumer.as_ref().unwrap()
    }

    async fn next(&mut self) -> ConsumedRecord {
        tokio::time::timeout(DEADLINE, self.consumer.as_mut().unwrap().next())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
    }

    /// Prometheus answers what is left: in records, and in seconds.
    pub async fn is_behind(&self, prometheus: &Prometheus, left: u64) {
        prometheus.wait_for(&of(1, "records"), 0.0).await;
        prometheus.wait_for(&of(1, "seconds"), 0.0).await;
        self.waits(prometheus, 0, left, self.began + step(RECORDS - left)).await;
        self.shows(prometheus, 1.0, "stable").await;
    }

    /// It commits all that there is and leaves; what comes later is still counted as its lag.
    pub async fn leave(mut self, prometheus: &Prometheus) {
        let end = Offset::new(i64::try_from(RECORDS).unwrap());
        self.member().commit_offsets([CommitOffset::new(TOPIC, 0, end)]).await.unwrap();
        self.committed += 1;
        prometheus.wait_for("sum(thalweg_group_lag_records{group=\"readers\"})", 0.0).await;
        prometheus.wait_for("max(thalweg_group_lag_seconds{group=\"readers\"})", 0.0).await;
        self.consumer.take().unwrap().close().await.unwrap();
        self.stood = now();
        let next = self.stood - 60_000;
        for number in 0..3 {
            publish(&self.producer, 1, next + step(number)).await;
        }
        self.waits(prometheus, 1, 3, next).await;
        self.shows(prometheus, 0.0, "empty").await;
    }

    /// So many records wait in a partition, and the first of them is from `time`.
    async fn waits(&self, prometheus: &Prometheus, partition: i32, records: u64, time: i64) {
        prometheus.wait_for(&of(partition, "records"), records as f64).await;
        // The age was taken after `stood` and before the answer was read.
        let (mut last, mut range) = (None, 0.0..=0.0);
        let seen = wait_until(|| {
            last = prometheus.value(&of(partition, "seconds"));
            range = seconds(self.stood - time)..=seconds(now() - time);
            last.is_some_and(|age| range.contains(&age))
        })
        .await;
        assert!(seen, "the next record is {last:?} s old, not {range:?}");
        let age = last.unwrap_or_default();
        say(&format!("PROMETHEUS: {records} records and {age} s behind, by hand {range:?}"));
    }

    async fn shows(&self, prometheus: &Prometheus, members: f64, state: &str) {
        let of_group =
            |metric: &str, more: &str| format!("thalweg_group_{metric}{{group=\"readers\"{more}}}");
        let committed = of_group("committed_offsets_total", "");
        prometheus.wait_for(&committed, self.committed as f64).await;
        prometheus.wait_for(&of_group("members", ""), members).await;
        prometheus.wait_for(&of_group("state", &format!(",state=\"{state}\"")), 1.0).await;
    }
}

fn of(partition: i32, unit: &str) -> String {
    format!(
        "thalweg_group_lag_{unit}{{group=\"readers\",topic=\"{TOPIC}\",partition=\"{partition}\"}}"
    )
}

async fn publish(producer: &Producer, partition: i32, time: i64) {
    let record =
        Record::to(TOPIC).partition(partition).timestamp(TimestampMs::new(time)).value("v");
    producer.send(record).await.unwrap().await.unwrap();
}

#[expect(clippy::disallowed_methods, reason = "ages are compared with the broker's wall clock")]
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

fn step(number: u64) -> i64 {
    i64::try_from(number).unwrap() * STEP_MS
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}
