//! Writers and a reader at work, who count what they do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use thalweg_client::{Client, NewTopic, Record, StartAt};
use tokio::task::JoinHandle;

use crate::support::DEADLINE;

/// Bytes of one value.
const VALUE_BYTES: usize = 200;
/// Records that are sent before their receipts are waited for.
const ROUND: u64 = 50;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Records acknowledged.
    pub records: u64,
    /// Bytes of their values.
    pub value_bytes: u64,
}

/// A load that runs.
pub struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    writing: JoinHandle<u64>,
    reading: JoinHandle<()>,
}

/// A topic without records.
pub async fn create(client: &Client, topic: &str) {
    client.admin().create_topic(NewTopic::new(topic).partitions(3)).await.unwrap();
}

impl Load {
    /// Publishes round after round to `topic` and reads what is published, each record once.
    pub async fn start(client: &Client, topic: &'static str) -> Self {
        let (stop, acknowledged) = (Arc::default(), Arc::default());
        let producer = client.producer().build().await.unwrap();
        let consumer = client.consumer().topic(topic, StartAt::Earliest).build();
        let mut consumer = consumer.await.unwrap();
        let (stopped, count) =
            (Arc::<AtomicBool>::clone(&stop), Arc::<AtomicU64>::clone(&acknowledged));
        let writing = tokio::spawn(async move {
            let value = "v".repeat(VALUE_BYTES);
            while !stopped.load(Ordering::Acquire) {
                let mut receipts = Vec::new();
                for _ in 0..ROUND {
                    let record = Record::to(topic).value(&value);
                    receipts.push(producer.send(record).await.unwrap());
                }
                for receipt in receipts {
                    receipt.await.unwrap();
                    count.fetch_add(1, Ordering::AcqRel);
                }
            }
            producer.close().await.unwrap();
            count.load(Ordering::Acquire)
        });
        let (stopped, count) =
            (Arc::<AtomicBool>::clone(&stop), Arc::<AtomicU64>::clone(&acknowledged));
        let reading = tokio::spawn(async move {
            let mut read = 0;
            let all =
                |read| stopped.load(Ordering::Acquire) && read == count.load(Ordering::Acquire);
            while !all(read) {
                // The writer may stop while nothing is left to read.
                let next = tokio::time::timeout(Duration::from_millis(200), consumer.next()).await;
                let Ok(next) = next else { continue };
                assert_eq!(next.unwrap().unwrap().value.unwrap().len(), VALUE_BYTES);
                read += 1;
            }
        });
        Self { stop, acknowledged, writing, reading }
    }

    /// Records acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    /// Ends it once everything published is read, and says what was done.
    pub async fn finish(self) -> Done {
        self.stop.store(true, Ordering::Release);
        let records = tokio::time::timeout(DEADLINE, self.writing).await.unwrap().unwrap();
        tokio::time::timeout(DEADLINE, self.reading).await.unwrap().unwrap();
        Done { records, value_bytes: records * VALUE_BYTES as u64 }
    }
}
