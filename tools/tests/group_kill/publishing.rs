//! Chained records, published at a steady rate.

use std::collections::BTreeMap;
use std::time::Duration;

use thalweg_client::{Client, Producer, Record};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::TOPIC;
use crate::chain::Chain;
use crate::support::DEADLINE;

const PARTITIONS: i32 = 24;

/// How many records come in a second: 1,000,000 take about a minute.
const RECORDS_PER_SECOND: u64 = 17_000;
/// The small proof is as long as some pauses need.
const PUBLISHING_MIN: Duration = Duration::from_secs(8);

/// Publishes chained records at a steady rate once it is told to begin, until it is told to end or all are published; says
/// how many went to each partition.
async fn publish(
    producer: Producer,
    records: u64,
    mut orders: watch::Receiver<Order>,
) -> BTreeMap<i32, u64> {
    orders.wait_for(|order| *order != Order::Wait).await.unwrap();
    let lasting = Duration::from_millis(records * 1_000 / RECORDS_PER_SECOND).max(PUBLISHING_MIN);
    let mut chains: Vec<Chain> = (0..PARTITIONS).map(Chain::new).collect();
    let mut published = BTreeMap::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let begun = ticks.tick().await;
    let mut sent = 0;
    while sent < records && *orders.borrow() != Order::End {
        let share = Instant::now().duration_since(begun).as_secs_f64() / lasting.as_secs_f64();
        while sent < records && (sent as f64) < share * records as f64 {
            let partition = i32::try_from(sent).unwrap() % PARTITIONS;
            let value = chains[usize::try_from(partition).unwrap()].next();
            let record = Record::to(TOPIC).partition(partition).value(&value);
            // Closing waits for what is under way, and tells what failed.
            drop(producer.send(record).await.unwrap());
            *published.entry(partition).or_default() += 1;
            sent += 1;
        }
        ticks.tick().await;
    }
    producer.close().await.unwrap();
    published
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Wait,
    Begin,
    End,
}

/// The publisher, in a task of its own.
pub struct Publishing {
    orders: watch::Sender<Order>,
    task: JoinHandle<BTreeMap<i32, u64>>,
}

impl Publishing {
    /// Begins when it is told to.
    pub async fn start(address: &str, records: u64) -> Self {
        let client = Client::builder().bootstrap(address).client_name("chain").build().unwrap();
        let producer = client.producer().build().await.unwrap();
        let (orders, ordered) = watch::channel(Order::Wait);
        Self { orders, task: tokio::spawn(publish(producer, records, ordered)) }
    }

    pub fn begin(&self) {
        self.orders.send_replace(Order::Begin);
    }

    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// How many records went to each partition, once all are published.
    pub async fn all(self) -> BTreeMap<i32, u64> {
        timeout(DEADLINE, self.task).await.unwrap().unwrap()
    }

    /// The same, without those that are not published yet.
    pub async fn end(self) -> BTreeMap<i32, u64> {
        self.orders.send_replace(Order::End);
        self.all().await
    }
}
