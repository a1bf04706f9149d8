//! The options of a run, and the check that they make sense together.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::payload::Kind;
use super::plan::{Durability, Limit, Plan, Workload};
use super::stamp::STAMP_BYTES;
use crate::failure::Failure;
use crate::produce::{AcksName, CompressionName};
use crate::values;

/// A run lasts so long when nothing is said.
const DURATION: Duration = Duration::from_secs(10);

/// With a number of records, the warm-up has at most this part of them.
const WARM_UP_PART: u64 = 10;

/// The client's own default, which the control takes as well.
const BATCH_BYTES: usize = 1024 * 1024;

/// What all workloads have in common.
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
#[derive(Clone, Debug, Args)]
pub(crate) struct WorkloadArgs {
    /// Start a broker for this run, in a process and a temporary folder of its own
    #[arg(long, conflicts_with_all = ["broker", "http"])]
    pub(super) embedded: bool,

    /// Brokers to ask first, separated by commas (default: as for the other commands)
    #[arg(long, value_name = "HOST:PORT[,…]")]
    pub(super) broker: Option<String>,

    /// Where that broker's metrics are; without it, its CPU time and its flushes are not known
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) http: Option<String>,

    /// How long to try before giving up
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::duration)]
    pub(super) timeout: Duration,

    /// Where the temporary folder is made, and the control's files (default: on this folder's disk)
    #[arg(long, value_name = "FOLDER")]
    pub(super) data_dir: Option<PathBuf>,

    /// The topic; it is made if it is not there, and then deleted again
    #[arg(long, value_name = "NAME", default_value = "bench")]
    pub(super) topic: String,

    /// Partitions of the topic
    #[arg(short, long, value_name = "COUNT", default_value = "8", value_parser = clap::value_parser!(i32).range(1..))]
    pub(super) partitions: i32,

    /// Stop after so many records (default: after 10 s)
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) records: Option<u64>,

    /// Stop after so long
    #[arg(short, long, value_name = "TIME", value_parser = values::duration)]
    pub(super) duration: Option<Duration>,

    /// How long, or for a tenth of the records, to run before anything is measured
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = values::duration)]
    pub(super) warm_up: Duration,

    /// Bytes of a record's value
    #[arg(short = 's', long, value_name = "SIZE", default_value = "1024", value_parser = values::bytes)]
    pub(super) record_size: usize,

    /// Producers, each with a connection of its own
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(super) producers: u16,

    /// Consumers, each with a connection of its own; they share the partitions
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(super) consumers: u16,

    /// When a record counts as delivered
    #[arg(short, long, value_enum, default_value = "all")]
    pub(super) acks: AcksName,

    /// When the broker calls a record committed (default: as the broker says, which is synced)
    #[arg(long, value_enum)]
    pub(super) durability: Option<Durability>,

    /// The codec of the batches
    #[arg(short, long, value_enum, default_value = "none")]
    pub(super) compression: CompressionName,

    /// The largest batch before compression (default 1MiB)
    #[arg(long, value_name = "SIZE", value_parser = values::bytes)]
    pub(super) batch_bytes: Option<usize>,

    /// How long a batch that is not full waits for more records (default: as long as others are in flight)
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(super) linger: Option<Duration>,

    /// Records a second, all producers together; latency then counts from the scheduled moment
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) rate: Option<u64>,

    /// Each producer waits for the acknowledgement before it sends the next record
    #[arg(long)]
    pub(super) one_at_a_time: bool,

    /// Hand so many records to the producer in one call
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(super) send_many: u16,

    /// What goes to another partition: each batch, or each record
    #[arg(long, value_enum, default_value = "batch")]
    pub(super) spread: Spread,

    /// What records hold: random, half-random, zero, or `file:PATH` for pieces of a file
    #[arg(long, value_name = "KIND", default_value = "random")]
    pub(super) payload: Kind,

    /// Prove by a hash chain per partition that nothing is missing, doubled, reordered or changed
    #[arg(long)]
    pub(super) verify: bool,

    /// Do not measure what the machine can do
    #[arg(long)]
    pub(super) no_control: bool,
}

/// What goes to another partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Spread {
    Batch,
    Record,
}

impl WorkloadArgs {
    /// The run that these options describe.
    pub(super) fn plan(&self, workload: Workload) -> Result<Plan, Failure> {
        if self.record_size == 0 {
            return Err(Failure::usage(
                "--record-size 0: a record without a byte measures nothing",
            ));
        }
        let batch_bytes = self.batch_bytes.unwrap_or(BATCH_BYTES);
        if self.record_size > batch_bytes / 2 {
            return Err(Failure::usage(format!(
                "--record-size {} does not fit twice in --batch-bytes {batch_bytes}: raise the batch size",
                self.record_size
            )));
        }
        self.check(workload)?;
        let limit = self.limit()?;
        let limit_warm_up = self.records.map_or(u64::MAX, |records| records / WARM_UP_PART);
        Ok(Plan {
            workload,
            topic: self.topic.clone(),
            partitions: self.partitions,
            record_bytes: self.record_size,
            producers: self.producers.into(),
            consumers: self.consumers.into(),
            acks: self.acks.into(),
            durability: self.durability,
            compression: self.compression.into(),
            batch_bytes,
            linger: self.linger,
            rate: self.rate,
            // Its first question is how long one record takes.
            one_at_a_time: self.one_at_a_time
                || (workload == Workload::EndToEnd && self.rate.is_none()),
            send_many: self.send_many.into(),
            spread_records: self.spread == Spread::Record,
            payload: self.payload.clone(),
            verify: self.verify,
            limit,
            warm_up: Limit { records: limit_warm_up, time: self.warm_up },
            timeout: self.timeout,
            control: !self.no_control,
        })
    }

    /// Refuses what makes no sense together.
    fn check(&self, workload: Workload) -> Result<(), Failure> {
        let wrong = |text: String| Err(Failure::usage(text));
        let is_stamped = self.verify || matches!(workload, Workload::EndToEnd | Workload::Mixed);
        if is_stamped && self.record_size < STAMP_BYTES {
            return wrong(format!(
                "--record-size {}: a record that is to be found again holds a stamp of {STAMP_BYTES} bytes",
                self.record_size
            ));
        }
        if workload != Workload::Produce && i32::from(self.consumers) > self.partitions {
            return wrong(format!(
                "--consumers {} share --partitions {}: some would have nothing to read",
                self.consumers, self.partitions
            ));
        }
        let is_read = matches!(workload, Workload::EndToEnd | Workload::Mixed);
        if is_read && matches!(self.acks, AcksName::None) {
            return wrong(
                "--acks none: what nobody acknowledges need not reach a reader".to_owned(),
            );
        }
        if self.send_many > 1 && (is_stamped || self.one_at_a_time || self.rate.is_some()) {
            return wrong(
                "--send-many: records that are stamped, paced or waited for are handed over one by one".to_owned(),
            );
        }
        if self.one_at_a_time && matches!(self.acks, AcksName::None) {
            return wrong(
                "--one-at-a-time waits for acknowledgements, and --acks none asks for none"
                    .to_owned(),
            );
        }
        if workload == Workload::Consume && (self.rate.is_some() || self.one_at_a_time) {
            return wrong(
                "--rate and --one-at-a-time are for writers; readers take what is there".to_owned(),
            );
        }
        Ok(())
    }

    fn limit(&self) -> Result<Limit, Failure> {
        if self.duration.is_some_and(|time| time.is_zero()) {
            return Err(Failure::usage("--duration 0: nothing can be measured in no time"));
        }
        let without_end = Duration::from_hours(24);
        Ok(match (self.records, self.duration) {
            (None, time) => Limit { records: u64::MAX, time: time.unwrap_or(DURATION) },
            (Some(records), time) => Limit { records, time: time.unwrap_or(without_end) },
        })
    }
}
