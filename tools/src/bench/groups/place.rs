//! The broker of one question, and what it has done so far.

use std::path::Path;
use std::time::Duration;

use thalweg_client::{Client, NewTopic};

use super::super::counters::Counters;
use crate::broker::Broker;
use crate::failure::Failure;

/// A port that is free.
const FREE: &str = "127.0.0.1:0";

/// All members come from one address, and all at once.
const SETTINGS: [&str; 4] = [
    "storage.free_bytes_min=1GiB",
    "limits.connections_max=100000",
    "limits.connections_per_address_max=100000",
    "limits.handshakes_max=100000",
];

/// A thousand members that join at once on few cores may wait for each other.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A broker of this run's own.
pub(super) struct Place {
    broker: Broker,
}

impl Place {
    /// Starts a broker with its data in `folder`, and with these settings besides.
    pub(super) async fn open(folder: &Path, settings: &[&str]) -> Result<Self, Failure> {
        let settings = [&SETTINGS[..], settings].concat();
        Ok(Self { broker: Broker::start(folder, FREE, FREE, &settings).await? })
    }

    /// A client with connections of its own.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let builder = Client::builder().bootstrap(&self.broker.address).api_timeout(TIMEOUT);
        Ok(builder.client_name("thalweg-bench").build()?)
    }

    /// Makes a topic.
    pub(super) async fn make_topic(&self, name: &str, partitions: i32) -> Result<(), Failure> {
        let topic = NewTopic::new(name).partitions(partitions);
        self.client()?.admin().create_topic(topic).await?;
        Ok(())
    }

    /// What the broker has used and done so far.
    pub(super) async fn read(&self) -> Result<Counters, Failure> {
        let http = &self.broker.http;
        Counters::read(http).await.map_err(|error| {
            Failure::failed(format!("cannot read the metrics at http://{http}/metrics: {error}"))
        })
    }

    /// Ends the broker: what it has not synced is not missed.
    pub(super) fn kill(self) -> Result<(), Failure> {
        self.broker.kill()
    }
}

/// Looks until something is there, at most for the time that a member may take to join.
pub(super) async fn until(
    what: &str,
    mut is_there: impl AsyncFnMut() -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    let looking = async {
        while !is_there().await? {
            ticks.tick().await;
        }
        Ok(())
    };
    let looked = tokio::time::timeout(2 * TIMEOUT, looking).await;
    looked.map_err(|_| Failure::failed(format!("{what}: not within {:?}", 2 * TIMEOUT)))?
}
