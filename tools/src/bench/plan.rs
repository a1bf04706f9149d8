//! One run as a plain value: what is sent and read, how, and for how long.

use std::time::Duration;

use serde::Serialize;
use thalweg_client::{Acks, Compression};

use super::number::wide;
use super::payload::Kind;

/// When a run or its warm-up ends: at whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    /// After so many records.
    pub(super) records: u64,
    /// After so long.
    pub(super) time: Duration,
}

impl Limit {
    /// The part of one of several writers.
    pub(super) const fn part(self, index: u64, writers: u64) -> Self {
        let records = match self.records {
            u64::MAX => u64::MAX,
            records => records / writers + if index < records % writers { 1 } else { 0 },
        };
        Self { records, time: self.time }
    }
}

/// When the broker calls a record committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(super) enum Durability {
    /// When it is on stable storage
    Synced,
    /// When all in-sync replicas have it in memory
    Replicated,
}

impl Durability {
    /// As the topic's setting.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Replicated => "replicated",
        }
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Workload {
    /// Writers only.
    Produce,
    /// Readers only, of what was written before.
    Consume,
    /// A record, and the next one when a reader has it.
    EndToEnd,
    /// Writers and readers together.
    Mixed,
}

impl Workload {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Produce => "produce",
            Self::Consume => "consume",
            Self::EndToEnd => "end-to-end",
            Self::Mixed => "mixed",
        }
    }
}

/// One run.
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) workload: Workload,
    pub(super) topic: String,
    pub(super) partitions: i32,
    pub(super) record_bytes: usize,
    pub(super) producers: usize,
    pub(super) consumers: usize,
    pub(super) acks: Acks,
    pub(super) durability: Option<Durability>,
    pub(super) compression: Compression,
    pub(super) batch_bytes: usize,
    pub(super) linger: Option<Duration>,
    /// Records a second, all producers together.
    pub(super) rate: Option<u64>,
    /// Each producer waits for its record's acknowledgement before it sends the next.
    pub(super) one_at_a_time: bool,
    /// Records that are handed to the producer in one call.
    pub(super) send_many: u64,
    /// Each record goes to the next partition, instead of each batch.
    pub(super) spread_records: bool,
    pub(super) payload: Kind,
    pub(super) verify: bool,
    pub(super) limit: Limit,
    pub(super) warm_up: Limit,
    /// How long the client tries before it gives up.
    pub(super) timeout: Duration,
    /// Whether what the machine can do is measured, too.
    pub(super) control: bool,
}

/// Latencies of so many records a second are measured one by one, with a rate.
const MEASURED_PER_SECOND: u64 = 100_000;

/// Without a rate, one record of so many bytes is measured: often enough for every batch, and cheap.
const SAMPLE_BYTES: usize = 64 * 1024;

/// No producer that waits for each record gets more of them acknowledged in a second.
const ONE_AT_A_TIME_MAX: u64 = 50_000;

impl Plan {
    /// Whether records tell who wrote them and when.
    pub(super) const fn is_stamped(&self) -> bool {
        self.verify || matches!(self.workload, Workload::EndToEnd | Workload::Mixed)
    }

    /// Bytes that the run writes at most, its warm-up included; without a bound when it writes as fast as it can for a time.
    ///
    /// Memory is touched for so many: with more, the host of a virtual machine takes back what was touched in vain, and
    /// holds up all cores for tens of milliseconds in the middle of the run.
    pub(super) fn bytes_expected(&self) -> u64 {
        let a_second = match self.rate {
            Some(rate) => rate,
            None if self.one_at_a_time => wide(self.producers).saturating_mul(ONE_AT_A_TIME_MAX),
            None => u64::MAX,
        };
        let time = self.limit.time.saturating_add(self.warm_up.time);
        let records = a_second.saturating_mul(time.as_secs().saturating_add(1));
        self.limit.records.min(records).saturating_mul(wide(self.record_bytes))
    }

    /// Every how many records the latency of one is measured.
    pub(super) fn sample_every(&self) -> u64 {
        if self.one_at_a_time {
            return 1;
        }
        match self.rate {
            Some(rate) => rate.div_ceil(MEASURED_PER_SECOND).max(1),
            None => wide(SAMPLE_BYTES / self.record_bytes.max(1)).max(1),
        }
    }
}

/// The plan as programs read it.
#[derive(Debug, Serialize)]
pub(super) struct Settings {
    pub(super) partitions: i32,
    pub(super) record_size: usize,
    pub(super) producers: usize,
    pub(super) consumers: usize,
    pub(super) acks: &'static str,
    /// None when the topic was there already.
    pub(super) durability: Option<&'static str>,
    pub(super) compression: &'static str,
    pub(super) batch_bytes: usize,
    pub(super) linger_ms: Option<u64>,
    pub(super) rate: Option<u64>,
    pub(super) one_at_a_time: bool,
    pub(super) send_many: u64,
    pub(super) spread: &'static str,
    pub(super) payload: String,
    pub(super) verify: bool,
}

impl From<&Plan> for Settings {
    fn from(plan: &Plan) -> Self {
        Self {
            partitions: plan.partitions,
            record_size: plan.record_bytes,
            producers: plan.producers,
            consumers: plan.consumers,
            acks: match plan.acks {
                Acks::None => "none",
                Acks::Leader => "leader",
                Acks::All => "all",
            },
            durability: plan.durability.map(Durability::name),
            compression: match plan.compression {
                Compression::None => "none",
                Compression::Gzip => "gzip",
                Compression::Snappy => "snappy",
                Compression::Lz4 => "lz4",
                Compression::Zstd => "zstd",
            },
            batch_bytes: plan.batch_bytes,
            linger_ms: plan.linger.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            rate: plan.rate,
            one_at_a_time: plan.one_at_a_time,
            send_many: plan.send_many,
            spread: if plan.spread_records { "record" } else { "batch" },
            payload: plan.payload.to_string(),
            verify: plan.verify,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::options::WorkloadArgs;
    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: WorkloadArgs,
    }

    fn bytes_expected(workload: Workload, options: &str) -> u64 {
        let line = "bench --embedded --record-size 1000 ".to_owned() + options;
        let line = Line::parse_from(line.split_whitespace());
        line.args.plan(workload).unwrap().bytes_expected()
    }

    /// 2 GiB were touched for runs that write a tenth: their p99 was what the host does when it takes memory back.
    #[test]
    fn a_run_whose_speed_is_bounded_writes_no_more_than_there_is_time_for() {
        let (produce, end_to_end) = (Workload::Produce, Workload::EndToEnd);
        assert_eq!(bytes_expected(produce, "--rate 20000 --duration 5s --warm-up 1s"), 140_000_000);
        assert_eq!(bytes_expected(produce, "--rate 20000 --records 10"), 10_000);
        assert_eq!(bytes_expected(end_to_end, "--duration 1s --warm-up 0s"), 100_000_000);
        assert_eq!(bytes_expected(produce, "--records 3"), 3_000);
        assert_eq!(bytes_expected(produce, "--duration 1s"), u64::MAX, "as fast as it can");
        assert_eq!(bytes_expected(produce, "--one-at-a-time --records 2"), 2_000);
    }

    #[test]
    fn writers_share_the_records_and_each_has_all_the_time() {
        let limit = Limit { records: 10, time: Duration::from_secs(1) };
        let parts: Vec<u64> = (0..3).map(|index| limit.part(index, 3).records).collect();
        assert_eq!(parts, [4, 3, 3]);
        assert_eq!(limit.part(2, 3).time, limit.time);
        let endless = Limit { records: u64::MAX, time: Duration::from_secs(1) };
        assert_eq!(endless.part(0, 3), endless);
    }
}
