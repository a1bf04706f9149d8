//! The options, and the reading from where they say to where they say.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use clap::Args;
use thalweg_client::{
    ConsumeError, ConsumedRecord, Consumer, DescribedPartition, DescribedTopic, Offset, StartAt,
};

use super::format::{Encoding, Format, Printer};
use super::start::StartFrom;
use crate::connect::{Connect, runtime};
use crate::console::Console;
use crate::failure::Failure;
use crate::values;

/// What to read, from where, and how to print it.
#[derive(Debug, Args)]
#[command(
    after_help = "Without --follow and --count it ends at the end that the log has when it starts.\n\n\
    Examples:\n  \
    thalweg consume events --from beginning --count 10 --format json\n  \
    thalweg consume events --from 2018-02-01T12:00:00Z --format '%T %k %v'\n  \
    thalweg consume events --from end --follow\n  \
    thalweg consume events --group alerts --follow\n  \
    thalweg consume --pattern 'orders\\..*' --group billing --follow"
)]
pub(crate) struct ConsumeArgs {
    /// The topic (or --pattern)
    #[arg(required_unless_present = "pattern")]
    topic: Option<String>,

    /// Instead of a topic: all topics whose whole name matches this regular expression, also those that come later;
    /// JSON then names the topic of each record
    #[arg(long, value_name = "REGEX", requires = "group", conflicts_with = "topic")]
    pattern: Option<String>,

    /// Where to begin: beginning, end, an offset, a moment (2018-02-01T12:30:00Z, @milliseconds), or how long
    /// ago (1h)
    #[arg(long, value_name = "WHERE", default_value = "beginning")]
    pub(super) from: StartFrom,

    /// The partition (default: all of them)
    #[arg(short, long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,

    /// Ends after so many records, and waits for them
    #[arg(short = 'n', long, value_name = "RECORDS")]
    pub(super) count: Option<u64>,

    /// Does not end: prints records as they come
    #[arg(short, long)]
    pub(super) follow: bool,

    /// What is printed: value, json, or a pattern such as '%k %v' of %t topic, %p partition, %o offset,
    /// %T timestamp, %k key, %v value, %h headers
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,

    /// How keys, values and headers are printed
    #[arg(long, value_enum, default_value = "text")]
    encoding: Encoding,

    /// Reads as a member of this group: members share the partitions and go on where the group has committed;
    /// --from counts only where it has committed nothing
    #[arg(short, long, value_name = "GROUP", conflicts_with = "partition")]
    pub(super) group: Option<String>,

    /// A name that the member keeps: when it comes back within its session, it has its partitions back
    #[arg(long, value_name = "NAME", requires = "group")]
    pub(super) instance: Option<String>,

    /// How the group's partitions are shared out; when members ask for different ways, the one that most ask for is taken
    /// (default: the group's, which is sticky when nobody asks)
    #[arg(long, value_enum, requires = "group")]
    pub(super) assignor: Option<Assignor>,

    /// A member that is silent for so long is taken for dead, and others read on
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = values::duration, requires = "group")]
    pub(super) session_timeout: Duration,

    #[command(flatten)]
    connect: Connect,
}

/// Ways to share out partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Assignor {
    /// Evenly, and as few as possible move
    Sticky,
    /// Neighbours together: of each topic the first partitions to the first member, and so on
    Range,
}

impl Assignor {
    /// As brokers call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sticky => "sticky",
            Self::Range => "range",
        }
    }
}

/// What is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject<'a> {
    Topic(&'a str),
    Pattern(&'a str),
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(name) => write!(f, "topic {name}"),
            Self::Pattern(pattern) => write!(f, "the topics that match {pattern}"),
        }
    }
}

impl ConsumeArgs {
    /// Prints the records.
    pub(crate) fn run(self, console: &mut Console) -> Result<(), Failure> {
        if self.count == Some(0) {
            return Ok(());
        }
        let runtime = runtime()?;
        let result = runtime.block_on(self.read(console));
        runtime.shutdown_background();
        result
    }

    async fn read(self, console: &mut Console) -> Result<(), Failure> {
        let client = self.connect.client()?;
        // Says at once that there is no such broker, topic, partition or offset.
        if let Subject::Topic(topic) = self.subject() {
            self.check(topic, &client.admin().describe_topic(topic).await?)?;
        }
        let format = self.format.clone().unwrap_or(if console.is_json() {
            Format::Json
        } else {
            Format::Value
        });
        let mut printer = Printer::new(format, self.encoding, self.pattern.is_some());
        let result = match &self.group {
            Some(group) => super::member::read(&self, group, &client, &mut printer, console).await,
            None => self.read_assigned(&client, &mut printer, console).await,
        };
        console.flush()?;
        if printer.has_changed_text() {
            console.note(
                "note: some bytes are not UTF-8 and were replaced; --encoding base64 keeps them",
            );
        }
        let subject = self.subject();
        match (result?, &self.group) {
            (0, Some(group)) if !self.follow => console.note(&format!(
                "note: nothing of {subject} was left for this member; `thalweg group describe {group}` shows where the \
                 group stands"
            )),
            (0, None) => console.note(&format!(
                "note: {subject} has no record there; --from beginning starts at its first"
            )),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn subject(&self) -> Subject<'_> {
        match (&self.topic, &self.pattern) {
            (_, Some(pattern)) => Subject::Pattern(pattern),
            (topic, None) => Subject::Topic(topic.as_deref().unwrap_or_default()),
        }
    }

    /// Whether it ends at the end that the log has when it starts.
    pub(super) const fn ends(&self) -> bool {
        !self.follow && self.count.is_none()
    }

    fn check(&self, topic: &str, described: &DescribedTopic) -> Result<(), Failure> {
        let mut read: Vec<&DescribedPartition> = described.partitions.iter().collect();
        if let Some(partition) = self.partition {
            let last = read.len().saturating_sub(1);
            read.retain(|it| it.partition.get() == partition);
            if read.is_empty() {
                return Err(Failure::failed(format!(
                    "topic {topic} has no partition {partition}, only 0 to {last}"
                )));
            }
        }
        let StartAt::Offset(offset) = self.from.0 else { return Ok(()) };
        let holds = |it: &&DescribedPartition| {
            // An answering broker that holds no replica knows no offsets.
            it.high_watermark == Offset::NONE
                || (it.log_start..=it.high_watermark).contains(&offset)
        };
        if self.follow || read.iter().any(holds) {
            return Ok(());
        }
        let range = |it: &&DescribedPartition| {
            format!(
                "partition {} holds offsets {} up to {}",
                it.partition, it.log_start, it.high_watermark
            )
        };
        let ranges: Vec<String> = read.iter().map(range).collect();
        Err(Failure::failed(format!("topic {topic} has no offset {offset}: {}", ranges.join("; "))))
    }

    async fn consumer(&self, client: &thalweg_client::Client) -> Result<Consumer, ConsumeError> {
        let builder = client.consumer();
        let start: StartAt = self.from.0;
        let topic = self.topic.as_deref().unwrap_or_default();
        let builder = match self.partition {
            Some(partition) => builder.assign([(topic, partition, start)]),
            None => builder.topic(topic, start),
        };
        if self.ends() { builder.stop_at_end().build().await } else { builder.build().await }
    }

    /// Prints what is there, without a group; says how many records.
    async fn read_assigned(
        &self,
        client: &thalweg_client::Client,
        printer: &mut Printer,
        console: &mut Console,
    ) -> Result<u64, Failure> {
        let mut consumer = self.consumer(client).await?;
        let mut records = 0;
        while self.count.is_none_or(|count| records < count) {
            match next(&mut consumer, console).await? {
                None => break,
                Some(Ok(record)) => {
                    printer.write(console.out(), &record)?;
                    records += 1;
                }
                // It goes on trying; who follows wants to see what comes after the outage.
                Some(Err(error @ ConsumeError::Unreachable { .. })) if self.follow => {
                    console.note(&format!("warning: {error}; trying on"));
                }
                Some(Err(error)) => {
                    console.flush()?;
                    return Err(error.into());
                }
            }
        }
        Ok(records)
    }
}

/// The next record. What was printed before becomes visible before it is waited for.
async fn next(
    consumer: &mut Consumer,
    console: &mut Console,
) -> Result<Option<Result<ConsumedRecord, ConsumeError>>, Failure> {
    let mut next = pin!(consumer.next());
    let ready = std::future::poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await;
    match ready {
        Poll::Ready(record) => Ok(record),
        Poll::Pending => {
            console.flush()?;
            Ok(next.await)
        }
    }
}
