//! The client: what its producers, consumers and admins share.

use std::fmt;
use std::sync::Arc;

use crate::admin::Admin;
use crate::config::{ClientBuilder, ClientOptions};
use crate::consumer::ConsumerBuilder;
use crate::producer::ProducerBuilder;
use crate::router::Router;

/// The way to a cluster: makes producers, consumers and admins, which share its metadata and its
/// connections. Cheap to clone; the connections end with the last handle.
///
/// ```
/// use thalweg_client::Client;
///
/// let client = Client::builder().bootstrap("broker-1:9092,broker-2:9092").build()?;
/// # Ok::<(), thalweg_client::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Client {
    router: Arc<Router>,
}

impl Client {
    /// Options of a new client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    pub(crate) fn with_options(options: Arc<ClientOptions>) -> Self {
        Self { router: Arc::new(Router::new(options)) }
    }

    /// Options of a new producer.
    pub fn producer(&self) -> ProducerBuilder {
        ProducerBuilder::new(self.clone())
    }

    /// Options of a new consumer.
    pub fn consumer(&self) -> ConsumerBuilder {
        ConsumerBuilder::new(self.clone())
    }

    /// Topics, offsets, the cluster.
    pub fn admin(&self) -> Admin {
        Admin::new(self.router.clone())
    }

    pub(crate) const fn router(&self) -> &Arc<Router> {
        &self.router
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("bootstrap", &self.router.options().bootstrap)
            .field("client_name", &self.router.options().client_name)
            .finish_non_exhaustive()
    }
}
