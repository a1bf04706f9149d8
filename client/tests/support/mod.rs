//! A small broker in the test's own process: the native protocol over loopback, a log in memory that checks
//! sequences as the real one does, and faults on demand.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking, and each test binary uses its own part"
)]

pub mod chaos;
pub mod faults;
pub mod groups;
pub mod log;
mod serve;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use thalweg_client::{Client, TopicId};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use faults::{Fault, Faults};
pub use log::PartitionLog;

/// What all brokers of a fake cluster share.
pub struct State {
    pub topics: BTreeMap<String, Topic>,
    pub brokers: Vec<SocketAddr>,
    pub faults: Faults,
    pub next_producer: i64,
    pub init_requests: usize,
    pub metadata_requests: usize,
    /// Number of batches and requests of each produce request, in order of arrival.
    pub produce_requests: Vec<Vec<(i32, i32)>>,
    pub fetch_bytes_max: Vec<u32>,
    /// Partitions and offsets of each fetch, in order of arrival.
    pub fetches: Vec<Vec<(i32, i64)>>,
    pub requests_in_flight_max: u32,
    pub frame_bytes_max: u32,
    pub groups: groups::Groups,
    /// Answers to produce requests wait for this.
    pub produce_gate: Option<Arc<tokio::sync::Semaphore>>,
    /// Answers to fetches wait for this, with what they read before.
    pub fetch_gate: Option<Arc<tokio::sync::Semaphore>>,
    /// The last bytes of large answers wait for this; nothing overtakes them.
    pub tail_gate: Option<Arc<tokio::sync::Semaphore>>,
}

pub struct Topic {
    pub id: TopicId,
    pub partitions: Vec<PartitionLog>,
}

/// A fake cluster; its brokers share one log, and each partition has its leader.
#[derive(Clone)]
pub struct Cluster {
    pub state: Arc<Mutex<State>>,
    brokers: Vec<Arc<Broker>>,
    broken: Arc<AtomicBool>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let is_sound = !self.broken.load(Ordering::SeqCst) || std::thread::panicking();
        assert!(is_sound, "a part of the fake broker has panicked");
    }
}

struct Broker {
    id: i32,
    address: SocketAddr,
    running: Mutex<CancellationToken>,
    pub connections: Arc<AtomicUsize>,
}

impl Cluster {
    pub async fn start(brokers: usize) -> Self {
        let state = State {
            topics: BTreeMap::new(),
            brokers: Vec::new(),
            faults: Faults::none(),
            next_producer: 100,
            init_requests: 0,
            metadata_requests: 0,
            produce_requests: Vec::new(),
            fetch_bytes_max: Vec::new(),
            fetches: Vec::new(),
            requests_in_flight_max: 64,
            frame_bytes_max: 64 * 1024 * 1024,
            groups: groups::Groups::default(),
            produce_gate: None,
            fetch_gate: None,
            tail_gate: None,
        };
        let state = Arc::new(Mutex::new(state));
        let mut cluster = Self { state, brokers: Vec::new(), broken: Arc::default() };
        for id in 0..brokers {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let broker = Arc::new(Broker {
                id: i32::try_from(id).unwrap(),
                address,
                running: Mutex::default(),
                connections: Arc::default(),
            });
            cluster.state().brokers.push(address);
            cluster.serve(&broker, listener);
            cluster.brokers.push(broker);
        }
        cluster
    }

    fn serve(&self, broker: &Arc<Broker>, listener: TcpListener) {
        let token = CancellationToken::new();
        *broker.running.lock().unwrap() = token.clone();
        let server = serve::Server {
            id: broker.id,
            state: self.state.clone(),
            connections: broker.connections.clone(),
            token,
            broken: self.broken.clone(),
        };
        server.spawn(server.clone().accept(listener));
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn create(&self, name: &str, partitions: usize) {
        let mut state = self.state();
        let brokers = state.brokers.len().max(1);
        let partitions = (0..partitions).map(|index| PartitionLog::new(index % brokers));
        let topic = Topic { id: TopicId::random(), partitions: partitions.collect() };
        state.topics.insert(name.to_owned(), topic);
    }

    /// All values in a partition, in order.
    pub fn values(&self, topic: &str, partition: usize) -> Vec<Vec<u8>> {
        self.state().topics[topic].partitions[partition].values()
    }

    pub fn address(&self, broker: usize) -> String {
        self.brokers[broker].address.to_string()
    }

    pub fn connections(&self) -> usize {
        let open = |broker: &Arc<Broker>| broker.connections.load(Ordering::SeqCst);
        self.brokers.iter().map(open).sum()
    }

    /// As SIGKILL does: all connections are cut and nobody listens any more.
    pub fn kill(&self, broker: usize) {
        self.brokers[broker].running.lock().unwrap().cancel();
    }

    /// Listens again at the same address.
    pub async fn restart(&self, broker: usize) {
        let broker = &self.brokers[broker];
        let listener = loop {
            match TcpListener::bind(broker.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        self.serve(broker, listener);
    }

    /// A client that tries again quickly.
    pub fn client(&self) -> Client {
        let ms = Duration::from_millis;
        Client::builder()
            .bootstrap(self.address(0))
            .retry_backoff(ms(1), ms(10))
            .breaker(20, ms(20))
            .connect_timeout(ms(2000))
            .request_timeout(ms(5000))
            .api_timeout(ms(10_000))
            .build()
            .unwrap()
    }
}

/// Waits until `condition` holds; fails after 20 s.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    assert!(waited.is_ok(), "{what} did not happen");
}
