//! The handle of a producer: what callers hold.

use std::fmt;
use std::sync::Arc;

use thalweg_protocol::TopicName;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::accumulator::{Accumulator, Hindrance};
use super::options::ProducerOptions;
use super::receipt::{Receipt, Receipts};
use super::sender::{Command, Failures, Sender};
use super::stats::ProducerStats;
use crate::client::Client;
use crate::clock::{Instant, millis, now};
use crate::error::{CallError, ConfigError, FlushError, SendError};
use crate::record::Record;
use crate::router::{Router, UNKNOWN_TOPIC_GRACE};

/// Publishes records: in order for each partition, and exactly once, whatever fails on the way.
///
/// Cheap to clone; all clones share batches and memory. When the last one is dropped, its task ends, and
/// what was not delivered yet is given up: call [`Self::close`] to wait for it.
///
/// ```no_run
/// # async fn example(client: thalweg_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use thalweg_client::Record;
///
/// let producer = client.producer().build().await?;
/// for line in ["one", "two", "three"] {
///     // Waits only while the memory is full; the receipt may be dropped.
///     drop(producer.send(Record::to("events").value(line)).await?);
/// }
/// producer.flush().await?; // now all three are stored, or the error says how many are not
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
}

struct Shared {
    router: Arc<Router>,
    options: ProducerOptions,
    accumulator: Arc<Accumulator>,
    failures: Arc<Failures>,
    commands: mpsc::Sender<Command>,
    /// Ends the task with the last handle.
    _stop: DropGuard,
}

/// Commands that wait for the task.
const COMMANDS_MAX: usize = 16;

impl Producer {
    pub(super) fn start(client: &Client, options: ProducerOptions) -> Self {
        let router = client.router().clone();
        let accumulator = Arc::new(Accumulator::new(&options));
        let failures = Arc::new(Failures::default());
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let stop = CancellationToken::new();
        let sender = Sender::new(
            router.clone(),
            options.clone(),
            accumulator.clone(),
            failures.clone(),
            receiver,
            stop.clone(),
        );
        tokio::spawn(sender.run());
        Self {
            shared: Arc::new(Shared {
                router,
                options,
                accumulator,
                failures,
                commands,
                _stop: stop.drop_guard(),
            }),
        }
    }

    /// Takes a record. Waits only while the memory is full, and for the topic's metadata the first time;
    /// the receipt tells what became of it.
    ///
    /// Records of one partition are stored in the order in which this is called (and returns) for them.
    pub async fn send(&self, record: Record<'_>) -> Result<Receipt, SendError> {
        match self.shared.accumulator.try_append(&record)? {
            Ok(receipt) => Ok(receipt),
            // Boxed, so that the usual way does not carry its weight.
            Err(_) => Box::pin(self.shared.send_slowly(&record)).await,
        }
    }

    /// Takes many records in their order, as [`Self::send`] takes one, and quicker: neighbours for the same
    /// partition cost one lock together. Records that several callers send at a time may come to lie between them.
    ///
    /// An error is about the first record that was not taken; those before it are on their way.
    pub async fn send_all<'r>(
        &self,
        records: impl IntoIterator<Item = Record<'r>>,
    ) -> Result<Receipts, SendError> {
        let mut records = records.into_iter().peekable();
        let mut receipts = Receipts::default();
        while self.shared.accumulator.try_append_all(&mut records, &mut receipts)?.is_some() {
            if let Some(record) = records.next() {
                let receipt = Box::pin(self.shared.send_slowly(&record)).await?;
                receipts.add(&receipt.outcome);
            }
        }
        Ok(receipts)
    }

    /// Takes a record if that needs no waiting; `None` means that it was not taken, and [`Self::send`] waits.
    pub fn try_send(&self, record: &Record<'_>) -> Result<Option<Receipt>, SendError> {
        Ok(self.shared.accumulator.try_append(record)?.ok())
    }

    /// What was delivered so far, how often something was sent again, and what waits. Cheap: reads a few numbers.
    ///
    /// ```no_run
    /// # async fn example(producer: thalweg_client::Producer) {
    /// let stats = producer.stats();
    /// println!("{} records stored, {} retries", stats.records, stats.retries);
    /// # }
    /// ```
    pub fn stats(&self) -> ProducerStats {
        self.shared.accumulator.counters.read(self.memory_bytes())
    }

    /// Bytes that wait for the brokers now.
    pub fn memory_bytes(&self) -> usize {
        self.shared.accumulator.memory.used()
    }

    /// Sends what has gathered, and waits until all that was sent before has been delivered or has failed,
    /// at most until its delivery deadline.
    ///
    /// The error tells what failed since the last flush, whether or not receipts told it too.
    pub async fn flush(&self) -> Result<(), FlushError> {
        self.shared.flush().await
    }

    /// Takes no more records, also not through clones, and waits as [`Self::flush`] does.
    pub async fn close(self) -> Result<(), FlushError> {
        self.shared.accumulator.close();
        self.shared.flush().await
    }
}

impl Shared {
    async fn flush(&self) -> Result<(), FlushError> {
        let (reply, outcomes) = oneshot::channel();
        // The task lives as long as this handle does.
        if self.commands.send(Command::Flush(reply)).await.is_ok()
            && let Ok(outcomes) = outcomes.await
        {
            for outcome in outcomes {
                std::future::poll_fn(|context| outcome.poll(context).map(drop)).await;
            }
        }
        self.failures.take().map_or(Ok(()), Err)
    }

    async fn send_slowly(&self, record: &Record<'_>) -> Result<Receipt, SendError> {
        let begun = now();
        let deadline = begun + self.options.send_timeout;
        loop {
            match self.accumulator.try_append(record)? {
                Ok(receipt) => return Ok(receipt),
                Err(Hindrance::TopicUnknown) => self.learn(record, begun, deadline).await?,
                Err(Hindrance::MemoryFull) => {
                    let wake = || self.accumulator.wake.notify_one();
                    let attempt = || match self.accumulator.try_append(record) {
                        Ok(Err(Hindrance::MemoryFull)) => None,
                        other => Some(other),
                    };
                    let waiting = self.accumulator.memory.wait_for(deadline, wake, attempt);
                    match waiting.await {
                        Some(Ok(Ok(receipt))) => return Ok(receipt),
                        Some(Ok(Err(_))) => {}
                        Some(Err(error)) => return Err(error),
                        None => return Err(self.memory_full(begun)),
                    }
                }
            }
        }
    }

    fn memory_full(&self, begun: Instant) -> SendError {
        SendError::MemoryFull {
            waited_ms: u64::from(millis(now() - begun)),
            memory_bytes_max: self.accumulator.memory.bytes_max(),
        }
    }

    /// Finds out about the record's topic.
    async fn learn(
        &self,
        record: &Record<'_>,
        begun: Instant,
        deadline: Instant,
    ) -> Result<(), SendError> {
        let name = TopicName::new(record.topic).map_err(ConfigError::from)?;
        let no_metadata = |last| SendError::NoMetadata {
            topic: name.to_string(),
            waited_ms: u64::from(millis(now() - begun)),
            last,
        };
        let mut found =
            self.router.topic(&name, deadline, UNKNOWN_TOPIC_GRACE).await.map_err(no_metadata)?;
        let is_beyond = |count: usize| {
            let wanted = record.partition.map(|wanted| usize::try_from(wanted.get()));
            wanted.is_some_and(|wanted| wanted.is_ok_and(|wanted| wanted >= count))
        };
        // Partitions may have been added since.
        if found.as_ref().is_some_and(|topic| is_beyond(topic.partitions.len())) {
            let seen = self.router.image().version;
            self.router.refresh(seen).await.map_err(no_metadata)?;
            found = self.router.image().topics.get(&name).cloned();
        }
        let Some(topic) = found else {
            return Err(SendError::UnknownTopic { topic: name.to_string() });
        };
        let partitions = topic.partitions.len();
        if let Some(partition) = record.partition
            && (partition.get() < 0 || is_beyond(partitions))
        {
            return Err(SendError::UnknownPartition {
                topic: name.to_string(),
                partition,
                partitions,
            });
        }
        if partitions == 0 {
            return Err(no_metadata(CallError::NoLeader));
        }
        self.accumulator.learn(&name, topic.id, partitions);
        Ok(())
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("options", &self.shared.options)
            .field("memory_bytes", &self.memory_bytes())
            .finish_non_exhaustive()
    }
}
