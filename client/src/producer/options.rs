//! The options of a producer, and how they fit together.

use std::time::Duration;

use thalweg_protocol::batch::Compression;
use thalweg_protocol::native::Acks;

use super::Producer;
use crate::client::Client;
use crate::config::{duration, in_range};
use crate::error::{ConfigError, SendError};

/// How a producer batches, waits and retries.
#[derive(Clone, Debug)]
pub(crate) struct ProducerOptions {
    pub(crate) acks: Acks,
    pub(crate) idempotence: Option<bool>,
    pub(crate) compression: Compression,
    pub(crate) linger: Option<Duration>,
    pub(crate) batch_bytes: usize,
    pub(crate) memory_bytes_max: usize,
    pub(crate) delivery_timeout: Duration,
    pub(crate) send_timeout: Duration,
    pub(crate) in_flight_max: usize,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            idempotence: None,
            compression: Compression::None,
            linger: None,
            batch_bytes: 1024 * 1024,
            memory_bytes_max: 64 * 1024 * 1024,
            delivery_timeout: Duration::from_mins(2),
            send_timeout: Duration::from_mins(1),
            in_flight_max: IN_FLIGHT_MAX,
        }
    }
}

/// As many batches of one producer a partition remembers, so as many may be in flight for it.
const IN_FLIGHT_MAX: usize = 5;

impl ProducerOptions {
    /// Whether batches carry sequences, so that a retry never duplicates or reorders.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.idempotence.unwrap_or(self.acks == Acks::All)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.is_idempotent() && self.acks != Acks::All {
            let acks = match self.acks {
                Acks::Leader => "leader",
                Acks::None | Acks::All => "none",
            };
            return Err(ConfigError::IdempotenceNeedsAcksAll { acks });
        }
        let bytes = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        in_range("batch_bytes", bytes(self.batch_bytes), 1024, 64 * 1024 * 1024)?;
        in_range(
            "memory_bytes_max",
            bytes(self.memory_bytes_max),
            bytes(self.batch_bytes),
            u64::MAX,
        )?;
        in_range("in_flight_max", bytes(self.in_flight_max), 1, bytes(IN_FLIGHT_MAX))?;
        duration("linger", self.linger.unwrap_or_default(), 0)?;
        duration("send_timeout", self.send_timeout, 1)?;
        duration("delivery_timeout", self.delivery_timeout, 1)
    }
}

/// Makes a [`Producer`].
///
/// ```no_run
/// # async fn example(client: thalweg_client::Client) -> Result<(), thalweg_client::SendError> {
/// use thalweg_client::Compression;
///
/// let producer = client.producer().compression(Compression::Lz4).build().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "`build` makes the producer"]
pub struct ProducerBuilder {
    client: Client,
    options: ProducerOptions,
}

impl ProducerBuilder {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, options: ProducerOptions::default() }
    }

    /// When a batch counts as delivered; default [`Acks::All`]. Weaker ones switch idempotence off: a
    /// retry may then store a batch twice, or after a later one. With [`Acks::None`] nothing is known
    /// about delivery: a receipt is good as soon as the batch is handed to the connection.
    pub const fn acks(mut self, acks: Acks) -> Self {
        self.options.acks = acks;
        self
    }

    /// Whether a retry never duplicates or reorders; the default follows from the acknowledgements, and
    /// `true` together with weaker ones is an error.
    pub const fn idempotence(mut self, idempotence: bool) -> Self {
        self.options.idempotence = Some(idempotence);
        self
    }

    /// The codec of the batches; default none.
    pub const fn compression(mut self, compression: Compression) -> Self {
        self.options.compression = compression;
        self
    }

    /// How long a batch that is not full waits for more records.
    ///
    /// By default nobody waits for nothing: a batch goes out at once when nothing is in flight to its
    /// broker; while something is, records gather until the answer comes, the batch is full, or 5 ms
    /// have passed. So a record alone is quick, and many records make large batches by themselves.
    /// With a linger set, every batch that is not full waits so long; with zero, none waits, but while many requests are
    /// under way that take long they keep a small distance, 5 ms at most, so that each takes along what has come since.
    pub const fn linger(mut self, linger: Duration) -> Self {
        self.options.linger = Some(linger);
        self
    }

    /// The largest batch, in bytes before compression; default 1 MiB, from 1 KiB to 64 MiB.
    pub const fn batch_bytes(mut self, bytes: usize) -> Self {
        self.options.batch_bytes = bytes;
        self
    }

    /// How much may wait for the brokers, in bytes; default 64 MiB. When it is full, `send` waits.
    pub const fn memory_bytes_max(mut self, bytes: usize) -> Self {
        self.options.memory_bytes_max = bytes;
        self
    }

    /// How long delivery may take, from `send` to the answer with all retries; default 120 s.
    pub const fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.options.delivery_timeout = timeout;
        self
    }

    /// How long `send` may wait for metadata and for memory; default 60 s.
    pub const fn send_timeout(mut self, timeout: Duration) -> Self {
        self.options.send_timeout = timeout;
        self
    }

    /// How many batches of one partition may be in flight; default and largest 5, as many as a partition
    /// remembers of a producer.
    pub const fn in_flight_max(mut self, batches: usize) -> Self {
        self.options.in_flight_max = batches;
        self
    }

    /// Checks the options and starts the producer. Connects to nobody yet.
    #[expect(
        clippy::unused_async,
        reason = "a later release asks the broker here; callers shall not change"
    )]
    pub async fn build(self) -> Result<Producer, SendError> {
        self.options.check()?;
        Ok(Producer::start(&self.client, self.options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weaker_acknowledgements_switch_idempotence_off_and_asking_for_both_is_an_error() {
        let mut options = ProducerOptions::default();
        assert!(options.is_idempotent() && options.check().is_ok());
        options.acks = Acks::Leader;
        assert!(!options.is_idempotent() && options.check().is_ok());
        options.idempotence = Some(true);
        let expected = ConfigError::IdempotenceNeedsAcksAll { acks: "leader" };
        assert_eq!(options.check(), Err(expected));
    }

    #[test]
    fn a_batch_must_fit_in_the_memory() {
        let options = ProducerOptions { memory_bytes_max: 4096, ..ProducerOptions::default() };
        assert!(matches!(
            options.check(),
            Err(ConfigError::OutOfRange { option: "memory_bytes_max", found: 4096, .. })
        ));
    }
}
