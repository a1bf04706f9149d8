//! The options, and the producer that they ask for.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use thalweg_client::{Acks, Client, Compression, Producer, SendError};

use super::fields::FieldPath;
use super::lines::Input;
use super::progress::Progress;
use super::run::Run;
use super::shape::Shape;
use crate::connect::{Connect, runtime};
use crate::console::Console;
use crate::failure::Failure;
use crate::values;

/// What to publish, and how.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    thalweg produce events --file events.jsonl --key-field properties.net\n  \
    tail -F app.log | thalweg produce logs --compression zstd --header host=web-1")]
pub(crate) struct ProduceArgs {
    /// The topic; it must exist
    topic: String,

    /// A file of lines, inflated if its name ends in .gz; may be given several times (default: standard input)
    #[arg(short, long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The field of each JSON line that becomes the record's key, such as properties.net
    #[arg(short, long, value_name = "FIELD")]
    key_field: Option<FieldPath>,

    /// The field of each JSON line that becomes the record's timestamp: milliseconds, or RFC 3339
    #[arg(long, value_name = "FIELD")]
    timestamp_field: Option<FieldPath>,

    /// A header for every record; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = values::pair)]
    headers: Vec<(String, String)>,

    /// The partition for every record (default: by key, or spread)
    #[arg(short, long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,

    /// When a record counts as delivered
    #[arg(short, long, value_enum, default_value = "all")]
    acks: AcksName,

    /// The codec of the batches
    #[arg(short, long, value_enum, default_value = "none")]
    compression: CompressionName,

    /// How long a batch that is not full waits for more records (default: as long as others are in flight)
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    linger: Option<Duration>,

    /// The largest batch before compression (default 1MiB)
    #[arg(long, value_name = "SIZE", value_parser = values::bytes)]
    batch_bytes: Option<usize>,

    /// How long delivery of a record may take with all retries, a restart of the broker included
    #[arg(long, value_name = "TIME", default_value = "2min", value_parser = values::duration)]
    delivery_timeout: Duration,

    #[command(flatten)]
    connect: Connect,
}

/// When a record counts as delivered.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AcksName {
    /// As soon as it is sent: it may get lost unnoticed
    None,
    /// When the leader has it in memory: a power cut may lose it
    Leader,
    /// When it is as durable as the topic says: on stable storage, by default
    All,
}

/// Codecs by name.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum CompressionName {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl From<AcksName> for Acks {
    fn from(name: AcksName) -> Self {
        match name {
            AcksName::None => Self::None,
            AcksName::Leader => Self::Leader,
            AcksName::All => Self::All,
        }
    }
}

impl From<CompressionName> for Compression {
    fn from(name: CompressionName) -> Self {
        match name {
            CompressionName::None => Self::None,
            CompressionName::Gzip => Self::Gzip,
            CompressionName::Snappy => Self::Snappy,
            CompressionName::Lz4 => Self::Lz4,
            CompressionName::Zstd => Self::Zstd,
        }
    }
}

impl ProduceArgs {
    /// Publishes all lines.
    pub(crate) fn run(self, console: &mut Console) -> Result<(), Failure> {
        let runtime = runtime()?;
        let result = runtime.block_on(self.publish(console));
        // The thread that waits for standard input cannot be woken.
        runtime.shutdown_background();
        result
    }

    async fn publish(self, console: &mut Console) -> Result<(), Failure> {
        let client = self.connect.client()?;
        // Says at once that there is no such broker or topic.
        client.admin().describe_topic(&self.topic).await?;
        let input = Input::new(self.files.clone());
        let progress = Progress::new(input.bytes(), console.errors_are_terminal());
        let pieces = input.read()?;
        let producer = self.producer(&client).await?;
        let shape = self.shape();
        let mut run = Run::new(&shape, producer, progress);
        let result = run.all(pieces).await;
        run.end(result, &self.topic, console).await
    }

    async fn producer(&self, client: &Client) -> Result<Producer, SendError> {
        let mut builder = client
            .producer()
            .acks(self.acks.into())
            .compression(self.compression.into())
            .delivery_timeout(self.delivery_timeout)
            // Memory is full as long as the broker is away: that may take as long as a delivery.
            .send_timeout(self.delivery_timeout);
        if let Some(linger) = self.linger {
            builder = builder.linger(linger);
        }
        if let Some(bytes) = self.batch_bytes {
            builder = builder.batch_bytes(bytes);
        }
        builder.build().await
    }

    fn shape(&self) -> Shape {
        Shape {
            topic: self.topic.clone(),
            key_field: self.key_field.clone(),
            timestamp_field: self.timestamp_field.clone(),
            headers: self.headers.clone(),
            partition: self.partition,
        }
    }
}
