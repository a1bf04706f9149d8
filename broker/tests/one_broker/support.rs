//! Starts brokers and clients for tests.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use thalweg_broker::base::ByteSize;
use thalweg_broker::config::{Address, BrokerConfig, Listener};
use thalweg_broker::{Broker, StartError};
use thalweg_client::{Client, ConsumedRecord, NewTopic, Producer, Record, StartAt};

/// No single step of a test takes longer.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A broker on a temporary folder.
pub struct Fixture {
    pub folder: TempDir,
    broker: Option<Broker>,
}

/// The settings of a test's broker: free ports, little disk.
pub fn config(folder: &Path) -> BrokerConfig {
    let mut config = BrokerConfig {
        data_dirs: vec![folder.join("data")],
        listeners: vec![Listener::at(Address::new("127.0.0.1", 0))],
        http_address: Some(Address::new("127.0.0.1", 0)),
        ..BrokerConfig::default()
    };
    config.storage.free_bytes_min = ByteSize::mib(1);
    config
}

impl Fixture {
    pub fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub fn start_with(change: impl FnOnce(&mut BrokerConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut fixture = Self { folder, broker: None };
        fixture.restart_with(change);
        fixture
    }

    /// Starts the broker on the same folder; it must not be running.
    pub fn restart_with(&mut self, change: impl FnOnce(&mut BrokerConfig)) {
        assert!(self.broker.is_none(), "the broker is running");
        self.broker = Some(self.try_start(change).unwrap());
    }

    pub fn try_start(&self, change: impl FnOnce(&mut BrokerConfig)) -> Result<Broker, StartError> {
        let mut config = config(self.folder.path());
        change(&mut config);
        // A broker blocks while it starts, which no async worker may.
        std::thread::scope(|scope| scope.spawn(|| Broker::start(config)).join().unwrap())
    }

    pub fn broker(&self) -> &Broker {
        self.broker.as_ref().unwrap()
    }

    pub fn address(&self) -> String {
        self.broker().addresses()[0].to_string()
    }

    pub fn client(&self) -> Client {
        Client::builder().bootstrap(self.address()).client_name("test").build().unwrap()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Drains and stops; says whether the stop was clean.
    pub fn stop(&mut self) -> bool {
        let broker = self.broker.take().unwrap();
        std::thread::scope(|scope| scope.spawn(|| broker.stop()).join().unwrap())
    }

    /// Stops without draining or marking clean.
    pub fn abandon(&mut self) {
        let broker = self.broker.take();
        std::thread::scope(|scope| scope.spawn(|| drop(broker)).join().unwrap());
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if self.broker.is_some() {
            self.abandon();
        }
    }
}

/// Creates a topic with these settings.
pub async fn create(client: &Client, name: &str, partitions: i32, configs: &[(&str, &str)]) {
    let mut topic = NewTopic::new(name).partitions(partitions);
    for (key, value) in configs {
        topic = topic.config(*key, *value);
    }
    client.admin().create_topic(topic).await.unwrap();
}

/// Publishes `<prefix><number>` for each number to one partition, and waits for all of them.
pub async fn publish(producer: &Producer, topic: &str, partition: i32, values: &[String]) {
    let mut receipts = Vec::new();
    for value in values {
        let record = Record::to(topic).partition(partition).value(value);
        receipts.push(producer.send(record).await.unwrap());
    }
    for receipt in receipts {
        within(receipt).await.unwrap();
    }
}

/// Reads `count` records of a topic from the beginning.
pub async fn read(client: &Client, topic: &str, count: usize) -> Vec<ConsumedRecord> {
    let mut consumer = client.consumer().topic(topic, StartAt::Earliest).build().await.unwrap();
    let mut records = Vec::with_capacity(count);
    while records.len() < count {
        records.push(within(consumer.next()).await.unwrap().unwrap());
    }
    records
}

/// The values of records as texts.
pub fn values(records: &[ConsumedRecord]) -> Vec<String> {
    let text = |record: &ConsumedRecord| {
        String::from_utf8(record.value.as_ref().unwrap().to_vec()).unwrap()
    };
    records.iter().map(text).collect()
}

/// Numbered values.
pub fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}")).collect()
}

/// Ends a wait that takes too long.
pub async fn within<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future.into_future()).await.expect("took too long")
}

/// Waits until the condition holds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = tokio::time::Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        tokio::task::yield_now().await;
    }
}
