//! A machine with a simulated disk, a broker on it, and clients over loopback.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thalweg_broker::Broker;
use thalweg_broker::base::{ByteSize, Clock, Millis, SystemClock};
use thalweg_broker::config::{Address, BrokerConfig, Listener};
use thalweg_client::{Client, ConsumedRecord, Delivered, NewTopic, Record, SendError, StartAt};
use thalweg_storage::fs::FileSystem;
use thalweg_storage::fs::sim::{Crash, SimDisk};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::verdict::{Verdict, demand};

/// The topic of every scenario.
pub const TOPIC: &str = "events";

/// No single step takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a record is tried that is to be refused, and how long an answer is waited for that may never come.
pub const REFUSED_AFTER: Duration = Duration::from_secs(3);

/// How often such a record is tried: where the machine stands still for as long as one try takes, nobody has said anything.
const TRIES_MAX: usize = 8;

pub struct Machine {
    pub disk: SimDisk,
    broker: Option<Broker>,
    runtime: Runtime,
    /// Value and place of every record that was acknowledged.
    acknowledged: Vec<(String, Delivered)>,
}

impl Machine {
    pub fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub fn start_with(change: impl FnOnce(&mut BrokerConfig)) -> Self {
        let mut machine = Self {
            disk: SimDisk::new(1),
            broker: None,
            runtime: Runtime::new().unwrap(),
            acknowledged: Vec::new(),
        };
        machine.start_broker_with(change);
        machine
    }

    pub fn start_broker(&mut self) {
        self.start_broker_with(|_| {});
    }

    pub fn start_broker_with(&mut self, change: impl FnOnce(&mut BrokerConfig)) {
        assert!(self.broker.is_none(), "the broker is running");
        let mut config = BrokerConfig {
            data_dirs: vec![PathBuf::from("/data")],
            listeners: vec![Listener::at(Address::new("127.0.0.1", 0))],
            http_address: Some(Address::new("127.0.0.1", 0)),
            ..BrokerConfig::default()
        };
        config.storage.free_bytes_min = ByteSize::mib(1);
        // A checkpoint's sync must not meet the fault that is meant for a log.
        config.storage.checkpoint_interval_ms = Millis::new(3_600_000);
        change(&mut config);
        let fs: Arc<dyn FileSystem> = Arc::new(self.disk.clone());
        self.broker = Some(Broker::start_on(&fs, config).unwrap());
    }

    pub fn broker(&self) -> &Broker {
        self.broker.as_ref().unwrap()
    }

    /// Stops in order, with the mark of a clean stop.
    pub fn stop_broker(&mut self) {
        assert!(self.broker.take().unwrap().stop(), "the stop was not clean");
    }

    /// The power goes: the disk answers nothing more, the broker ends, and `crash` says what is left.
    pub fn lose_power(&mut self, crash: Crash) {
        self.disk.crash_at_sync(1);
        self.disk.crash_at_write(1);
        drop(self.broker.take());
        self.disk.crash(crash);
    }

    pub fn client(&self) -> Client {
        let address = self.broker().addresses()[0].to_string();
        Client::builder().bootstrap(address).client_name("defects").build().unwrap()
    }

    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let bounded = async { timeout(PATIENCE, future).await };
        self.runtime.block_on(bounded).expect("took too long")
    }

    pub fn create_topic(&self, partitions: i32, configs: &[(&str, &str)]) {
        let mut topic = NewTopic::new(TOPIC).partitions(partitions);
        for (key, value) in configs {
            topic = topic.config(*key, *value);
        }
        let client = self.client();
        self.run(async { client.admin().create_topic(topic).await }).unwrap();
    }

    /// Publishes with `acks=all`, as a new producer, and notes where.
    pub fn publish(&mut self, partition: i32, value: &str) {
        self.publish_within(partition, value, PATIENCE).unwrap();
    }

    /// The same for a record that is perhaps refused.
    pub fn try_publish(&mut self, partition: i32, value: &str) -> Result<Delivered, SendError> {
        self.publish_within(partition, value, REFUSED_AFTER)
    }

    fn publish_within(
        &mut self,
        partition: i32,
        value: &str,
        patience: Duration,
    ) -> Result<Delivered, SendError> {
        let client = self.client();
        let delivered = self.run(async {
            let producer = client.producer().delivery_timeout(patience).build().await?;
            let record = Record::to(TOPIC).partition(partition).value(value);
            producer.send(record).await?.await
        });
        if let Ok(at) = &delivered {
            self.acknowledged.push((value.to_owned(), *at));
        }
        delivered
    }

    /// Tries a record that must be refused until one of these reasons is told, and gives what was told.
    pub fn refused(&mut self, partition: i32, value: &str, reasons: &[&str]) -> String {
        let mut told = Vec::new();
        for _ in 0..TRIES_MAX {
            let error = self.try_publish(partition, value).unwrap_err().to_string();
            if reasons.iter().any(|reason| error.contains(reason)) {
                return error;
            }
            told.push(error);
        }
        panic!("none of {reasons:?} was told: {told:?}");
    }

    /// Publishes a record into a fault, and waits until it has happened: acknowledged or not, the answer must be true.
    pub fn publish_into(&mut self, partition: i32, value: &str, fault: impl Fn(&SimDisk) -> bool) {
        let (client, record) = (self.client(), value.to_owned());
        let mut publishing = self.spawn(async move {
            let producer = client.producer().delivery_timeout(PATIENCE).build().await?;
            let record = Record::to(TOPIC).partition(partition).value(&record);
            producer.send(record).await?.await
        });
        Self::until("vacuous: the fault did not happen", || fault(&self.disk));
        let answer = self.run(async { timeout(REFUSED_AFTER, &mut publishing).await });
        publishing.abort();
        if let Ok(answered) = answer
            && let Ok(at) = answered.unwrap()
        {
            self.acknowledged.push((value.to_owned(), at));
        }
    }

    /// Runs beside the test.
    pub fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.runtime.spawn(future)
    }

    /// Everything that can be read now.
    pub fn read(&self) -> Vec<ConsumedRecord> {
        let client = self.client();
        self.run(async {
            let builder = client.consumer().topic(TOPIC, StartAt::Earliest).stop_at_end();
            let mut consumer = builder.build().await.unwrap();
            let mut records = Vec::new();
            while let Some(record) = consumer.next().await {
                records.push(record.unwrap());
            }
            records
        })
    }

    pub fn acknowledged_count(&self) -> usize {
        self.acknowledged.len()
    }

    /// Every acknowledged record is at its place, and nowhere else.
    pub fn check_acknowledged(&self) -> Verdict {
        let read = self.read();
        for (value, at) in &self.acknowledged {
            let same =
                read.iter().filter(|record| record.value.as_deref() == Some(value.as_bytes()));
            let places: Vec<_> = same.map(|record| (record.partition, record.offset)).collect();
            let name: String = value.chars().take(20).collect();
            demand(
                places == [(at.partition, at.offset)],
                format!("{name:?} was acknowledged at {at:?} and is at {places:?}"),
            )?;
        }
        Ok(())
    }

    /// The folder of a partition.
    pub fn folder(&self, partition: i32) -> PathBuf {
        let ending = format!("-{partition}");
        let mut folders = self.disk.list(Path::new("/data")).unwrap();
        // The id of the topic has 36 characters.
        folders.retain(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.len() == 36 + ending.len() && name.ends_with(&ending)
        });
        folders.pop().expect("the partition has a folder")
    }

    /// The number that `/metrics` shows for a series; nothing when there is none.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let shown = self.http("/metrics");
        let number = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
        shown.lines().find_map(number)
    }

    /// Waits until the condition holds.
    pub fn until(what: &str, holds: impl Fn() -> bool) {
        let clock = SystemClock::new();
        let began = clock.now();
        while !holds() {
            assert!(clock.now().since(began) < PATIENCE, "{what}");
            std::thread::yield_now();
        }
    }

    /// The answer to an HTTP request, with its head.
    pub fn http(&self, path: &str) -> String {
        let address = self.broker().http_address().unwrap();
        self.run(async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        })
    }
}
