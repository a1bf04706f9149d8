//! Consumers that run in tasks of their own, and what can be seen of them from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use thalweg_client::{Client, Consumer, ConsumerBuilder, GroupEvent, GroupPartition};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{Fixture, PATIENCE};

pub const GROUP: &str = "g";

/// A broker whose members heartbeat often, so that tests need not wait.
pub fn broker() -> Fixture {
    Fixture::start_with(|config| quick(&mut config.groups))
}

pub fn quick(groups: &mut thalweg_broker::config::GroupsConfig) {
    groups.offsets_partitions = 3;
    groups.heartbeat_interval_ms = thalweg_broker::base::Millis::new(50);
}

/// What a member did.
#[derive(Default)]
pub struct Seen {
    /// Partition and offset of each record, in the order in which they came.
    pub records: Vec<(String, i32, i64)>,
    pub values: Vec<String>,
    pub events: Vec<GroupEvent>,
    pub owned: BTreeSet<GroupPartition>,
    pub errors: Vec<String>,
}

/// A consumer that reads in a task of its own.
pub struct Member {
    pub seen: Arc<Mutex<Seen>>,
    close: CancellationToken,
    task: JoinHandle<()>,
    pub id: String,
}

/// Options that suit tests.
pub fn subscribed(client: &Client, topics: &[&str]) -> ConsumerBuilder {
    client
        .consumer()
        .group(GROUP)
        .subscribe(topics)
        .session_timeout(Duration::from_secs(30))
        .auto_commit(Duration::from_millis(100))
}

impl Member {
    pub async fn start(builder: ConsumerBuilder) -> Self {
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let tells = seen.clone();
        let builder = builder.on_group_event(move |event| tells.lock().unwrap().hear(event));
        let consumer = builder.build().await.unwrap();
        let id = consumer.member_id().unwrap();
        let close = CancellationToken::new();
        let task = tokio::spawn(read(consumer, seen.clone(), close.clone()));
        Self { seen, close, task, id }
    }

    pub fn owned(&self) -> BTreeSet<GroupPartition> {
        self.seen.lock().unwrap().owned.clone()
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().records.len()
    }

    /// Leaves the group.
    pub async fn close(self) {
        self.close.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}

async fn read(mut consumer: Consumer, seen: Arc<Mutex<Seen>>, close: CancellationToken) {
    loop {
        tokio::select! {
            () = close.cancelled() => break,
            record = consumer.next() => match record {
                Some(Ok(record)) => {
                    let value = record.value.unwrap_or_default();
                    let mut seen = seen.lock().unwrap();
                    seen.values.push(String::from_utf8_lossy(&value).into_owned());
                    let (topic, partition) = (record.topic.to_string(), record.partition.get());
                    seen.records.push((topic, partition, record.offset.get()));
                }
                Some(Err(error)) => seen.lock().unwrap().errors.push(error.to_string()),
                None => break,
            },
        }
    }
    consumer.close().await.unwrap();
}

impl Seen {
    fn hear(&mut self, event: &GroupEvent) {
        match event {
            GroupEvent::Assigned { partitions } => {
                self.owned.extend(partitions.iter().map(|one| GroupPartition {
                    topic: one.topic.clone(),
                    partition: one.partition,
                }));
            }
            GroupEvent::Revoking { partitions, .. } | GroupEvent::Lost { partitions, .. } => {
                for one in partitions {
                    self.owned.remove(one);
                }
            }
            _ => {}
        }
        self.events.push(event.clone());
    }
}

/// Waits until `holds`; `what` says what for.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what} did not happen");
}

/// Waits until these members own these numbers of partitions, all different.
pub async fn shared(members: &[&Member], counts: &[usize]) {
    until(&format!("sharing as {counts:?}"), async || {
        let owned: Vec<_> = members.iter().map(|member| member.owned()).collect();
        let all: BTreeSet<_> = owned.iter().flatten().collect();
        let mut found: Vec<_> = owned.iter().map(BTreeSet::len).collect();
        found.sort_unstable();
        found == counts && all.len() == counts.iter().sum::<usize>()
    })
    .await;
}

/// How often each value was read, by all members together.
pub fn tally(members: &[&Member]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for member in members {
        for value in &member.seen.lock().unwrap().values {
            *tally.entry(value.clone()).or_default() += 1;
        }
    }
    tally
}
