//! A client that does nothing wrong, beside the attackers: what it is told must hold, and how long it waits is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use thalweg_client::{Acks, Client, NewTopic, Record, StartAt};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::support::{Broker, DEADLINE};

/// Where the good client writes.
pub const TOPIC: &str = "good";

/// The topic that attackers aim at.
pub const TARGET: &str = "target";

pub fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

pub fn client(broker: &Broker) -> Client {
    let builder = Client::builder().bootstrap(broker.address.as_str());
    builder.client_name("good").build().unwrap()
}

pub async fn create(client: &Client, topic: &str, configs: &[(&str, &str)]) {
    let new = NewTopic::new(topic).partitions(1);
    let new = configs.iter().fold(new, |new, (key, value)| new.config(*key, *value));
    client.admin().create_topic(new).await.unwrap();
}

/// What a good client did and how long it waited.
#[derive(Clone, Debug)]
pub struct Figures {
    pub acknowledged: u64,
    pub seconds: f64,
    pub latency_us: Histogram<u64>,
}

impl Figures {
    pub fn per_second(&self) -> f64 {
        f64::from(u32::try_from(self.acknowledged).unwrap()) / self.seconds
    }

    pub fn p99_us(&self) -> u64 {
        self.latency_us.value_at_quantile(0.99)
    }
}

/// Publishes one record at a time until it is stopped.
pub struct Publisher {
    stop: Arc<AtomicBool>,
    task: JoinHandle<u64>,
}

impl Publisher {
    pub fn start(runtime: &Runtime, client: Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = runtime.spawn(async move {
            let producer = client.producer().build().await.unwrap();
            let mut count = 0;
            while !stopped.load(Ordering::Relaxed) {
                let value = format!("record {count}");
                let sent = producer.send(Record::to(TOPIC).value(&value)).await.unwrap();
                tokio::time::timeout(DEADLINE, sent).await.expect("no answer").unwrap();
                count += 1;
            }
            count
        });
        Self { stop, task }
    }

    /// How many were acknowledged.
    pub fn stop(self, runtime: &Runtime) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        runtime.block_on(self.task).unwrap()
    }
}

/// Demands that the topic holds exactly the records 0 to `count`, in order.
pub async fn check(client: &Client, count: u64) {
    let builder = client.consumer().topic(TOPIC, StartAt::Earliest).stop_at_end();
    let mut consumer = builder.build().await.unwrap();
    let mut next = 0;
    while let Some(record) =
        tokio::time::timeout(DEADLINE, consumer.next()).await.expect("the read stands still")
    {
        let record = record.unwrap();
        assert_eq!(record.value.as_deref(), Some(format!("record {next}").as_bytes()));
        next += 1;
    }
    assert_eq!(next, count, "acknowledged and read are not the same");
}

/// Publishes at a rate and says how long each record took from the moment it was due; every record a batch of its
/// own, acknowledged when it is written.
pub async fn at_rate(client: &Client, rate: u32, time: Duration) -> Figures {
    let producer =
        client.producer().acks(Acks::Leader).linger(Duration::ZERO).build().await.unwrap();
    let (sender, mut receipts) = tokio::sync::mpsc::channel(4096);
    let value = vec![7; 1000];
    let waiting = tokio::spawn(async move {
        let mut latency_us = Histogram::new(3).unwrap();
        while let Some((due, receipt)) = receipts.recv().await {
            let receipt: thalweg_client::Receipt = receipt;
            receipt.await.unwrap();
            let waited: Duration = Instant::now().duration_since(due);
            latency_us.record(u64::try_from(waited.as_micros()).unwrap().max(1)).unwrap();
        }
        latency_us
    });
    let (began, mut number) = (Instant::now(), 0);
    while began.elapsed() < time {
        let due = began + Duration::from_secs(1) * number / rate;
        tokio::time::sleep_until(due.into()).await;
        let receipt = producer.send(Record::to(TOPIC).value(&value)).await.unwrap();
        sender.send((due, receipt)).await.unwrap();
        number += 1;
    }
    drop(sender);
    let latency_us = waiting.await.unwrap();
    Figures { acknowledged: u64::from(number), seconds: began.elapsed().as_secs_f64(), latency_us }
}

/// Publishes as fast as the broker takes it.
pub async fn at_full_speed(client: &Client, time: Duration) -> Figures {
    let producer = client.producer().acks(Acks::Leader).build().await.unwrap();
    let value = vec![7; 1000];
    let began = Instant::now();
    let mut waiting = std::collections::VecDeque::new();
    let mut acknowledged = 0;
    while began.elapsed() < time {
        waiting.push_back(producer.send(Record::to(TOPIC).value(&value)).await.unwrap());
        if waiting.len() > 10_000 {
            waiting.pop_front().unwrap().await.unwrap();
            acknowledged += 1;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    Figures { acknowledged, seconds, latency_us: Histogram::new(3).unwrap() }
}
