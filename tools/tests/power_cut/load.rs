//! The load that a power cut falls into: producers with every codec, and a reader that follows them.

use std::sync::Arc;

use thalweg_client::{Client, Compression, NewTopic, Record, StartAt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::history::{History, Id};

/// Acknowledged when it is on stable storage: nothing of it may be lost.
pub const SYNCED: &str = "synced";

/// Acknowledged when it is written: a power cut must take some of it, or it was none.
pub const REPLICATED: &str = "replicated";

const PARTITIONS: i32 = 3;

/// Small, so that the cut also falls upon rolls.
const SEGMENT_BYTES: &str = "2097152";

/// So much of each producer is under way at most, in bytes.
const MEMORY_BYTES: usize = 256 * 1024;

/// Records of the replicated topic for each one that the synced topic has acknowledged.
const UNSYNCED_SHARE: u64 = 2;

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

pub async fn create_topics(client: &Client) {
    for topic in [SYNCED, REPLICATED] {
        let new = NewTopic::new(topic).partitions(PARTITIONS);
        let new = new.config("segment.bytes", SEGMENT_BYTES).config("durability", topic);
        client.admin().create_topic(new).await.unwrap();
    }
}

/// Runs until told to stop.
pub struct Load {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Load {
    pub fn start(client: &Client, history: &Arc<History>) -> Self {
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        let topics = CODECS.map(|codec| (SYNCED, codec)).into_iter();
        let topics = topics.chain([(REPLICATED, Compression::None)]);
        for (number, (topic, codec)) in (0..).zip(topics) {
            let publisher = Publisher { client: client.clone(), topic, number, codec };
            tasks.spawn(publisher.run(history.clone(), stop.subscribe()));
        }
        tasks.spawn(follow(client.clone(), history.clone(), stop.subscribe()));
        Self { tasks, stop }
    }

    /// Ends all tasks; what was acknowledged until now is in the history.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

struct Publisher {
    client: Client,
    topic: &'static str,
    number: u64,
    codec: Compression,
}

impl Publisher {
    async fn run(self, history: Arc<History>, mut stop: watch::Receiver<bool>) {
        let builder = self.client.producer().compression(self.codec);
        let builder = builder.batch_bytes(64 * 1024).memory_bytes_max(MEMORY_BYTES);
        let producer = builder.build().await.unwrap();
        let (receipts, mut waiting) = mpsc::unbounded_channel();
        let (topic, known) = (self.topic, history.clone());
        let acknowledged = tokio::spawn(async move {
            while let Some((id, bytes, receipt)) = waiting.recv().await {
                let receipt: thalweg_client::Receipt = receipt;
                // What fails is what the cut took, or what was under way then.
                if let Ok(at) = receipt.await {
                    known.acknowledged(topic, id, bytes, at);
                }
            }
        });
        for number in 0.. {
            let id = Id { producer: self.number, number };
            let (key, value) = (id.key(), id.value());
            history.sending(&value);
            let record = Record::to(topic).key(&key).value(&value);
            let send = async {
                if topic == REPLICATED {
                    // Without a brake it would fill the disk before the synced topic has its share.
                    history.reaches(number / UNSYNCED_SHARE).await;
                }
                producer.send(record).await
            };
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                sent = send => match sent {
                    Ok(receipt) => receipts.send((id, value.len(), receipt)).unwrap(),
                    Err(_) => break,
                },
            }
        }
        // Dropped, the producer gives up what is under way, and its receipts end.
        drop((producer, receipts));
        acknowledged.await.unwrap();
    }
}

/// Reads what is readable while it is written.
async fn follow(client: Client, history: Arc<History>, mut stop: watch::Receiver<bool>) {
    let mut consumer = client.consumer().topic(SYNCED, StartAt::Earliest).build().await.unwrap();
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            record = consumer.next() => match record {
                Some(Ok(record)) => history.seen(SYNCED, &record),
                _ => break,
            },
        }
    }
}
