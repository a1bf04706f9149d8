//! Records that go in one by one and must come out as they were acknowledged.

use std::collections::BTreeMap;
use std::time::Duration;

use thalweg_client::{Client, NewTopic, OnCorrupt, Producer, Record, SendError, StartAt};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::support::{Broker, DEADLINE};

pub fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

pub fn client(broker: &Broker) -> Client {
    Client::builder().bootstrap(broker.address.as_str()).client_name("faults").build().unwrap()
}

pub async fn create(client: &Client, topic: &str, partitions: i32, configs: &[(&str, &str)]) {
    let new = NewTopic::new(topic).partitions(partitions);
    let new = configs.iter().fold(new, |new, (key, value)| new.config(*key, *value));
    client.admin().create_topic(new).await.unwrap();
}

/// What a topic's partitions were acknowledged to hold: partition and offset to value.
pub type Ledger = BTreeMap<(i32, i64), Vec<u8>>;

/// A producer for records that are to be stored, or refused for good.
pub async fn patient(client: &Client) -> Producer {
    client.producer().linger(Duration::ZERO).build().await.unwrap()
}

/// A producer that gives up soon: for records that must not be acknowledged.
pub async fn impatient(client: &Client) -> Producer {
    let builder = client.producer().delivery_timeout(Duration::from_secs(2));
    builder.linger(Duration::ZERO).build().await.unwrap()
}

/// Publishes one record and waits until it is acknowledged; notes it then.
pub async fn publish(
    producer: &Producer,
    topic: &str,
    partition: i32,
    value: &[u8],
    ledger: &mut Ledger,
) -> Result<(), SendError> {
    let receipt = producer.send(Record::to(topic).partition(partition).value(value)).await?;
    let at = timeout(DEADLINE, receipt).await.expect("no answer")?;
    ledger.insert((partition, at.offset.get()), value.to_vec());
    Ok(())
}

/// Publishes `count` records of `bytes` bytes each, many at a time; all must be acknowledged.
pub async fn publish_many(
    client: &Client,
    topic: &str,
    partition: i32,
    count: usize,
    bytes: usize,
    ledger: &mut Ledger,
) {
    let producer = client.producer().batch_bytes(4 * 1024).build().await.unwrap();
    let mut waiting = Vec::new();
    for number in 0..count {
        let value = value(number, bytes);
        let record = Record::to(topic).partition(partition).value(&value);
        waiting.push((producer.send(record).await.unwrap(), value.clone()));
    }
    for (receipt, value) in waiting {
        let at = timeout(DEADLINE, receipt).await.expect("no answer").unwrap();
        ledger.insert((partition, at.offset.get()), value);
    }
}

/// The value with this number; no two are alike, and no part of one repeats.
pub fn value(number: usize, bytes: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(u64::try_from(number).unwrap());
    (0..bytes).map(|_| rng.u8(..)).collect()
}

/// Everything that a topic holds now; what is damaged is left out when `skip` says so, else it is an error.
pub async fn read(client: &Client, topic: &str, skip: bool) -> Ledger {
    let builder = client.consumer().topic(topic, StartAt::Earliest).stop_at_end();
    let on_corrupt = if skip { OnCorrupt::Skip } else { OnCorrupt::Fail };
    let mut consumer = builder.on_corrupt(on_corrupt).build().await.unwrap();
    let mut found = Ledger::new();
    while let Some(record) =
        timeout(DEADLINE, consumer.next()).await.expect("the read stands still")
    {
        let record = record.unwrap();
        let at = (record.partition.get(), record.offset.get());
        assert_eq!(found.insert(at, record.value.unwrap().to_vec()), None, "{at:?} came twice");
    }
    found
}

/// Demands that everything acknowledged is there as it was.
pub fn holds(found: &Ledger, acknowledged: &Ledger) {
    for (at, value) in acknowledged {
        assert_eq!(found.get(at), Some(value), "{at:?} was acknowledged, and is not there");
    }
}
