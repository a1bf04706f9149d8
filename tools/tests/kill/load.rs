//! Publishing as fast as it goes, and what was acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use thalweg_client::{Client, Producer, Record, StartAt};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::DEADLINE;
use crate::tally::{Acknowledged, Read, Source};

pub const TOPIC: &str = "load";

/// Records in flight: enough to keep the broker busy, few enough to know where a kill falls.
const IN_FLIGHT_MAX: usize = 64;

/// Some bytes that make batches worth writing.
const FILLING: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A producer in a task of its own.
pub struct Load {
    sent: Arc<AtomicU64>,
    acknowledged: watch::Receiver<u64>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<Vec<Acknowledged>, String>>,
}

impl Load {
    pub async fn start(address: &str, source: Source) -> Self {
        let client = Client::builder().bootstrap(address).client_name("load").build().unwrap();
        let mut builder = client.producer().linger(Duration::ZERO);
        if matches!(source, Source::Round(_)) {
            // Nobody waits for what it has under way when its broker dies.
            builder = builder.delivery_timeout(Duration::from_secs(20));
        }
        let producer = builder.build().await.unwrap();
        let (counter, acknowledged) = watch::channel(0);
        let (sent, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let task =
            tokio::spawn(publish(producer, source, Arc::clone(&sent), counter, Arc::clone(&stop)));
        Self { sent, acknowledged, stop, task }
    }

    pub fn acknowledged(&self) -> u64 {
        *self.acknowledged.borrow()
    }

    /// Records that were sent and not acknowledged.
    pub fn under_way(&self) -> u64 {
        self.sent.load(Ordering::Acquire).saturating_sub(self.acknowledged())
    }

    /// Waits until so many are acknowledged; false when the producer has failed, which its end tells.
    pub async fn wait_for(&self, acknowledged: u64) -> bool {
        let mut count = self.acknowledged.clone();
        let waiting = count.wait_for(|count| *count >= acknowledged);
        let waited = timeout(DEADLINE, waiting).await;
        waited.unwrap_or_else(|_| panic!("nothing is acknowledged any more")).is_ok()
    }

    /// Ends without waiting for anything; what was acknowledged counts.
    pub async fn give_up(self) -> Result<Vec<Acknowledged>, String> {
        self.stop.store(true, Ordering::Release);
        timeout(DEADLINE, self.task).await.unwrap().unwrap()
    }

    /// Sends no more and waits for everything that was sent.
    pub async fn finish(self) -> Result<Vec<Acknowledged>, String> {
        self.stop.store(true, Ordering::Release);
        let acknowledged = timeout(DEADLINE, self.task).await.unwrap().unwrap()?;
        let sent = self.sent.load(Ordering::Acquire);
        assert_eq!(sent, acknowledged.len() as u64, "an idempotent producer delivers everything");
        Ok(acknowledged)
    }
}

async fn publish(
    producer: Producer,
    source: Source,
    sent: Arc<AtomicU64>,
    counter: watch::Sender<u64>,
    stop: Arc<AtomicBool>,
) -> Result<Vec<Acknowledged>, String> {
    let mut acknowledged = Vec::new();
    let mut receipts = FuturesUnordered::new();
    let mut number = 0;
    loop {
        let stopping = stop.load(Ordering::Acquire);
        if stopping && (receipts.is_empty() || matches!(source, Source::Round(_))) {
            return Ok(acknowledged);
        }
        if !stopping && receipts.len() < IN_FLIGHT_MAX {
            let value = format!("{source} {number} {FILLING}");
            let partition = i32::try_from(number % 3).unwrap();
            let record = Record::to(TOPIC).partition(partition).value(&value);
            let receipt = producer.send(record).await.unwrap();
            receipts.push(async move { (number, receipt.await) });
            number += 1;
            sent.fetch_add(1, Ordering::Release);
            continue;
        }
        // Looks up now and then, for a broker that is dead acknowledges nothing.
        let next = timeout(Duration::from_millis(20), receipts.next()).await;
        if let Ok(Some((number, result))) = next {
            let delivered = result.map_err(|error| format!("{source} {number}: {error}"))?;
            acknowledged.push(Acknowledged {
                source,
                number,
                partition: delivered.partition.get(),
                offset: delivered.offset.get(),
            });
            counter.send_replace(acknowledged.len() as u64);
        }
    }
}

/// Everything that is stored.
pub async fn read_all(address: &str) -> Vec<Read> {
    let client = Client::builder().bootstrap(address).client_name("reader").build().unwrap();
    let builder = client.consumer().topic(TOPIC, StartAt::Earliest).stop_at_end();
    let mut consumer = builder.build().await.unwrap();
    let mut read = Vec::new();
    while let Some(record) = timeout(DEADLINE, consumer.next()).await.unwrap() {
        let record = record.unwrap();
        let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
        assert!(value.ends_with(FILLING), "another record than any that was sent: {value}");
        let mut words = value.split(' ');
        read.push(Read {
            source: words.next().unwrap().to_owned(),
            number: words.next().unwrap().parse().unwrap(),
            partition: record.partition.get(),
            offset: record.offset.get(),
        });
    }
    read
}
