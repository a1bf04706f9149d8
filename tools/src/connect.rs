//! How the client commands reach a broker.

use std::time::Duration;

use clap::Args;
use thalweg_client::{Client, ClientBuilder};
use tokio::runtime::{Builder, Runtime};

use crate::failure::Failure;
use crate::values;

/// Which broker, and for how long to try.
#[derive(Clone, Debug, Args)]
pub(crate) struct Connect {
    /// Brokers to ask first, separated by commas; one that answers is enough
    #[arg(
        long,
        env = "THALWEG_BROKER",
        value_name = "HOST:PORT[,…]",
        default_value = "127.0.0.1:9092"
    )]
    pub(crate) broker: String,

    /// How long to try before giving up, such as 500ms or 1min
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::duration)]
    pub(crate) timeout: Duration,
}

impl Connect {
    /// A client by these options; connects with its first operation.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Ok(self.builder().build()?)
    }

    fn builder(&self) -> ClientBuilder {
        Client::builder()
            .bootstrap(&self.broker)
            .client_name("thalweg-cli")
            .connect_timeout(self.timeout.min(Duration::from_secs(5)))
            .api_timeout(self.timeout)
    }
}

/// The runtime that a client command runs on.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| Failure::failed(format!("cannot start a thread: {error}")))
}
