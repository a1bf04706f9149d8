//! The options of a client, and the check of its bootstrap addresses.

use std::sync::Arc;
use std::time::Duration;

use crate::client::Client;
use crate::error::ConfigError;

/// What all producers, consumers and admins of one [`Client`] share.
#[derive(Clone, Debug)]
pub(crate) struct ClientOptions {
    pub(crate) bootstrap: Vec<String>,
    pub(crate) client_name: String,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) api_timeout: Duration,
    pub(crate) metadata_age_max: Duration,
    pub(crate) retry_backoff: Duration,
    pub(crate) retry_backoff_max: Duration,
    pub(crate) breaker_failures: u32,
    pub(crate) breaker_rest: Duration,
    pub(crate) response_bytes_max: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            bootstrap: Vec::new(),
            client_name: "thalweg-client".to_owned(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            api_timeout: Duration::from_mins(1),
            metadata_age_max: Duration::from_mins(5),
            retry_backoff: Duration::from_millis(20),
            retry_backoff_max: Duration::from_millis(500),
            breaker_failures: 8,
            breaker_rest: Duration::from_secs(1),
            response_bytes_max: 128 * 1024 * 1024,
        }
    }
}

/// Options of a [`Client`], with the field's usual names and defaults.
#[derive(Clone, Debug, Default)]
#[must_use = "`build` makes the client"]
pub struct ClientBuilder {
    options: ClientOptions,
}

impl ClientBuilder {
    /// Brokers to ask first, as `HOST:PORT`: a comma-separated list, or several. One that answers is
    /// enough; the others are found through it.
    pub fn bootstrap(mut self, addresses: impl Addresses) -> Self {
        self.options.bootstrap = addresses.into_addresses();
        self
    }

    /// The name by which the brokers' logs and metrics call this client; default `thalweg-client`.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.options.client_name = name.into();
        self
    }

    /// How long to wait for a connection and its handshake; default 5 s.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.options.connect_timeout = timeout;
        self
    }

    /// How long to wait for the answer to one request; default 30 s. A broker that does not keep it
    /// loses the connection.
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.options.request_timeout = timeout;
        self
    }

    /// How long an operation may take, with all its attempts; default 60 s. Deliveries have
    /// [their own](crate::ProducerBuilder::delivery_timeout).
    pub const fn api_timeout(mut self, timeout: Duration) -> Self {
        self.options.api_timeout = timeout;
        self
    }

    /// After how long metadata is asked for again even if nothing failed; default 5 min.
    pub const fn metadata_age_max(mut self, age: Duration) -> Self {
        self.options.metadata_age_max = age;
        self
    }

    /// The first pause before trying again, and the longest: the pause doubles, and half of it is
    /// random; defaults 20 ms and 500 ms.
    pub const fn retry_backoff(mut self, first: Duration, max: Duration) -> Self {
        self.options.retry_backoff = first;
        self.options.retry_backoff_max = max;
        self
    }

    /// A broker that fails so many times in a row is left alone for so long; defaults 8 and 1 s.
    pub const fn breaker(mut self, failures: u32, rest: Duration) -> Self {
        self.options.breaker_failures = failures;
        self.options.breaker_rest = rest;
        self
    }

    /// The largest answer that is taken, in bytes; default 128 MiB. A broker that announces more loses
    /// the connection.
    pub const fn response_bytes_max(mut self, bytes: usize) -> Self {
        self.options.response_bytes_max = bytes;
        self
    }

    /// Checks the options. Connects to nobody yet: the first operation does.
    pub fn build(self) -> Result<Client, ConfigError> {
        check(&self.options)?;
        Ok(Client::with_options(Arc::new(self.options)))
    }
}

/// Text that names brokers: one comma-separated list, or several texts.
pub trait Addresses {
    /// The addresses, one by one.
    fn into_addresses(self) -> Vec<String>;
}

fn split(list: &str) -> Vec<String> {
    let addresses = list.split(',').map(str::trim);
    addresses.filter(|address| !address.is_empty()).map(str::to_owned).collect()
}

impl Addresses for &str {
    fn into_addresses(self) -> Vec<String> {
        split(self)
    }
}

impl Addresses for String {
    fn into_addresses(self) -> Vec<String> {
        split(&self)
    }
}

impl Addresses for &String {
    fn into_addresses(self) -> Vec<String> {
        split(self)
    }
}

impl<S: AsRef<str>> Addresses for Vec<S> {
    fn into_addresses(self) -> Vec<String> {
        self.iter().flat_map(|list| split(list.as_ref())).collect()
    }
}

impl<S: AsRef<str>> Addresses for &[S] {
    fn into_addresses(self) -> Vec<String> {
        self.iter().flat_map(|list| split(list.as_ref())).collect()
    }
}

impl<S: AsRef<str>, const N: usize> Addresses for [S; N] {
    fn into_addresses(self) -> Vec<String> {
        self.iter().flat_map(|list| split(list.as_ref())).collect()
    }
}

fn check(options: &ClientOptions) -> Result<(), ConfigError> {
    if options.bootstrap.is_empty() {
        return Err(ConfigError::NoBootstrap);
    }
    for address in &options.bootstrap {
        check_address(address)?;
    }
    let response_bytes_max = u64::try_from(options.response_bytes_max).unwrap_or(u64::MAX);
    in_range("response_bytes_max", response_bytes_max, 64 * 1024, u64::from(u32::MAX))?;
    duration("connect_timeout", options.connect_timeout, 1)?;
    duration("request_timeout", options.request_timeout, 1)?;
    duration("api_timeout", options.api_timeout, 1)?;
    duration("metadata_age_max", options.metadata_age_max, 1)
}

fn check_address(address: &str) -> Result<(), ConfigError> {
    let wrong = |reason| ConfigError::Address { address: address.to_owned(), reason };
    let (host, port) = address.rsplit_once(':').ok_or_else(|| wrong("the port is missing"))?;
    if host.is_empty() {
        return Err(wrong("the host is missing"));
    }
    match port.parse::<u16>() {
        Ok(0) | Err(_) => Err(wrong("the port is not a number from 1 to 65535")),
        Ok(_) => Ok(()),
    }
}

/// Demands that a number lies within what its option allows.
pub(crate) fn in_range(
    option: &'static str,
    found: u64,
    min: u64,
    max: u64,
) -> Result<(), ConfigError> {
    if (min..=max).contains(&found) {
        Ok(())
    } else {
        Err(ConfigError::OutOfRange { option, found, min, max })
    }
}

/// Demands that a duration is at least `ms_min` and fits on the wire, in milliseconds.
pub(crate) fn duration(
    option: &'static str,
    found: Duration,
    ms_min: u64,
) -> Result<(), ConfigError> {
    let found = u64::try_from(found.as_millis()).unwrap_or(u64::MAX);
    in_range(option, found, ms_min, u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bootstrap_takes_lists_and_iterables() {
        let one = "a:1, b:2,".into_addresses();
        assert_eq!(one, ["a:1", "b:2"]);
        assert_eq!(["a:1", "b:2,c:3"].into_addresses(), ["a:1", "b:2", "c:3"]);
    }

    #[test]
    fn a_bad_address_says_what_is_wrong_with_it() {
        for (address, reason) in [
            ("localhost", "the port is missing"),
            (":9092", "the host is missing"),
            ("a:x", "the port is not a number from 1 to 65535"),
            ("a:0", "the port is not a number from 1 to 65535"),
        ] {
            let error = Client::builder().bootstrap(address).build().unwrap_err();
            let address = address.to_owned();
            assert_eq!(error, ConfigError::Address { address, reason });
        }
        let error = Client::builder().build().unwrap_err();
        assert_eq!(error, ConfigError::NoBootstrap);
    }
}
