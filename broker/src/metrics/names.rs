//! Every metric, declared once: name, kind, unit, labels, help.
//!
//! Names follow Prometheus: snake case, the unit last, `_total` behind what only grows.

/// What a metric's number does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts samples by size; the bounds of the buckets, rising. Those of times are in nanoseconds.
    Histogram(&'static [u64]),
}

/// What a metric's number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds and fractions of them.
    Seconds,
}

/// One metric.
#[derive(Debug, PartialEq)]
pub struct Metric {
    /// Its name as Prometheus reads it.
    pub name: &'static str,
    /// What its number does.
    pub kind: Kind,
    /// What its number counts.
    pub unit: Unit,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// A sentence about it.
    pub help: &'static str,
}

const US: u64 = 1_000;
const MS: u64 = 1_000 * US;
const S: u64 = 1_000 * MS;

/// From 50 us, a warm append, to 10 s, a deadline.
const LATENCIES: &[u64] = &[
    50 * US,
    100 * US,
    250 * US,
    500 * US,
    MS,
    2_500 * US,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    S,
    2_500 * MS,
    5 * S,
    10 * S,
];

/// Coarser, as there are four for each kind of request; from 10 us, since parts are shorter than the whole.
const PARTS: &[u64] =
    &[10 * US, 50 * US, 250 * US, MS, 2_500 * US, 10 * MS, 50 * MS, 250 * MS, S, 5 * S];

/// How many logs one sync brings to the disk.
const GROUP_SIZES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096, 16_384];

/// How long a compaction run takes.
const RUN_TIMES: &[u64] = &[
    10 * MS,
    50 * MS,
    100 * MS,
    500 * MS,
    S,
    5 * S,
    10 * S,
    30 * S,
    60 * S,
    300 * S,
    600 * S,
    1_800 * S,
    3_600 * S,
];

/// Declares the metrics and lists them.
macro_rules! metrics {
    ($($name:ident = $kind:expr, $text:literal, $unit:ident, [$($label:literal),*], $help:literal;)*) => {
        $(
            #[doc = $help]
            pub(super) const $name: &Metric = &Metric {
                name: $text,
                kind: $kind,
                unit: Unit::$unit,
                labels: &[$($label),*],
                help: $help,
            };
        )*

        /// Every metric.
        pub const ALL: &[&Metric] = &[$($name),*];
    };
}

use Kind::{Counter, Gauge, Histogram};

metrics! {
    // the broker
    BUILD_INFO = Gauge, "thalweg_build_info", Count, ["version"],
        "Always 1; the label tells which release runs.";
    READY = Gauge, "thalweg_ready", Count, [],
        "1 when the broker is ready, 0 when /readyz gives reasons why not.";
    TASK_PANICS = Counter, "thalweg_task_panics_total", Count, [],
        "Tasks and threads that ended by a panic: each one is a defect.";
    TOPICS = Gauge, "thalweg_topics", Count, [], "Topics in the cluster.";
    PARTITIONS = Gauge, "thalweg_partitions", Count, ["state"],
        "Replicas on this broker, each in one state; those that are read-only may lead, too.";
    UNCLEAN_STARTS = Counter, "thalweg_unclean_sole_leader_starts_total", Count, [],
        "Partitions that lead again after an unclean start because no other replica was there.";
    PARTITIONS_WITHOUT_SERIES = Gauge, "thalweg_partitions_without_series", Count, [],
        "Replicas beyond `metrics.partition_series_max`: their logs count only in the directory's sums.";
    METADATA_QUEUE = Gauge, "thalweg_metadata_queue_requests", Count, [],
        "Changes of the metadata that wait for their turn.";
    COLD_READS = Gauge, "thalweg_cold_reads", Count, [],
        "Reads from the disk that are under way or wait for their turn.";
    SCRUB_LAST_PASS = Gauge, "thalweg_scrub_last_pass_timestamp_seconds", Seconds, [],
        "When the scrub last came to the end of all closed segments, since 1970; 0 when it never did.";
    OPEN_FILES = Gauge, "thalweg_open_log_files", Count, [],
        "Log files held open, mapped or not, in all log directories.";

    // the process
    PROCESS_CPU = Counter, "process_cpu_seconds_total", Seconds, [],
        "CPU time of this process, user and system.";
    PROCESS_MEMORY = Gauge, "process_resident_memory_bytes", Bytes, [],
        "Memory of this process in RAM, mapped log files included.";
    PROCESS_ANONYMOUS = Gauge, "thalweg_process_anonymous_memory_bytes", Bytes, [],
        "Memory of this process in RAM without mapped files.";
    PROCESS_VIRTUAL = Gauge, "process_virtual_memory_bytes", Bytes, [],
        "Address space of this process: mapped log files, whether in RAM or not, are most of it.";
    PROCESS_FILES = Gauge, "process_open_fds", Count, [], "File descriptors that are open.";
    PROCESS_FILES_MAX = Gauge, "process_max_fds", Count, [],
        "File descriptors that the system allows.";
    PROCESS_START = Gauge, "process_start_time_seconds", Seconds, [],
        "When the broker started, since 1970.";
    PROCESS_THREADS = Gauge, "thalweg_process_threads", Count, [], "Threads of this process.";

    // connections
    CONNECTIONS = Gauge, "thalweg_connections", Count, [], "Connections that are open.";
    CONNECTIONS_MAX = Gauge, "thalweg_connections_max", Count, [],
        "Connections that `limits.connections_max` allows.";
    HANDSHAKES = Gauge, "thalweg_connections_in_handshake", Count, [],
        "Connections that have not finished their handshake.";
    CONNECTIONS_ACCEPTED = Counter, "thalweg_connections_accepted_total", Count, [],
        "Connections that arrived, those refused included.";
    CONNECTIONS_CLOSED = Counter, "thalweg_connections_closed_total", Count, ["reason"],
        "Connections that ended or were refused.";
    RECEIVED_BYTES = Counter, "thalweg_received_bytes_total", Bytes, [],
        "Bytes of requests, frames included.";
    SENT_BYTES = Counter, "thalweg_sent_bytes_total", Bytes, [],
        "Bytes of answers, frames included.";

    // requests
    REQUESTS = Counter, "thalweg_requests_total", Count, ["door", "request"],
        "Requests that ended: answered, or carried out for a client that wants no answer.";
    REQUEST_ERRORS = Counter, "thalweg_request_errors_total", Count, ["door", "request", "code"],
        "Errors in answers, one for each partition or topic that failed.";
    REQUEST_SECONDS = Histogram(LATENCIES), "thalweg_request_seconds", Seconds, ["door", "request"],
        "From the whole request read to the last byte of its answer handed to the socket.";
    REQUEST_PHASE_SECONDS = Histogram(PARTS), "thalweg_request_phase_seconds", Seconds,
        ["door", "request", "phase"],
        "What requests spend their time on: queue, handling, waiting, sending.";
    REQUESTS_IN_FLIGHT = Gauge, "thalweg_requests_in_flight", Count, [], "Requests under way.";
    REQUESTS_WAITING = Gauge, "thalweg_requests_waiting", Count, ["door", "request"],
        "Those of them that wait: to be committed, for records to read, for a disk, for the metadata.";
    REQUEST_MEMORY = Gauge, "thalweg_request_memory_bytes", Bytes, [],
        "Memory that large requests hold while they arrive; small ones are not counted.";
    REQUEST_MEMORY_MAX = Gauge, "thalweg_request_memory_max_bytes", Bytes, [],
        "What `limits.request_memory_bytes_max` allows requests that arrive, and as much again those that wait.";
    REQUEST_MEMORY_WAITS = Counter, "thalweg_request_memory_waits_total", Count, [],
        "Times that a connection waited because requests held all memory allowed.";
    WAITING_MEMORY = Gauge, "thalweg_waiting_request_memory_bytes", Bytes, [],
        "Memory that requests hold while they wait for their answer, at least 1 KiB each.";
    ANSWER_MEMORY = Gauge, "thalweg_answer_memory_bytes", Bytes, [],
        "Memory of large answers that clients have not taken yet; records are not counted.";
    ANSWER_MEMORY_MAX = Gauge, "thalweg_answer_memory_max_bytes", Bytes, [],
        "What `limits.answer_memory_bytes_max` allows them.";
    MALFORMED = Counter, "thalweg_malformed_requests_total", Count, ["door"],
        "Requests that could not be read.";

    // topics
    PRODUCED_BYTES = Counter, "thalweg_produced_bytes_total", Bytes, ["topic"],
        "Bytes of batches appended, as stored.";
    PRODUCED_RECORDS = Counter, "thalweg_produced_records_total", Count, ["topic"],
        "Records appended.";
    PRODUCED_BATCHES = Counter, "thalweg_produced_batches_total", Count, ["topic"],
        "Batches appended.";
    ACKNOWLEDGED_BATCHES = Counter, "thalweg_acknowledged_batches_total", Count, ["topic"],
        "Batches whose producer was told that they are safe as it asked.";
    DUPLICATE_BATCHES = Counter, "thalweg_duplicate_batches_total", Count, ["topic"],
        "Batches that were there already and were answered like their original.";
    FETCHED_BYTES = Counter, "thalweg_fetched_bytes_total", Bytes, ["topic"],
        "Bytes of batches sent to readers.";
    FETCHED_RECORDS = Counter, "thalweg_fetched_records_total", Count, ["topic"],
        "Records in batches sent to readers, by their offsets: those compacted away count, too.";
    COLD_FETCHED_BYTES = Counter, "thalweg_cold_fetched_bytes_total", Bytes, ["topic"],
        "Bytes of batches that had to be read from the disk before they were sent.";

    // partitions
    LOG_START = Gauge, "thalweg_partition_log_start_offset", Count, ["topic", "partition"],
        "The first offset that can be read.";
    HIGH_WATERMARK = Gauge, "thalweg_partition_high_watermark_offset", Count, ["topic", "partition"],
        "Readers see what is below this offset.";
    LOG_END = Gauge, "thalweg_partition_log_end_offset", Count, ["topic", "partition"],
        "The offset of the next record.";
    LOG_BYTES = Gauge, "thalweg_partition_log_bytes", Bytes, ["topic", "partition"],
        "What the log takes, preallocated blocks not counted.";

    // log directories
    DIRECTORY_FREE = Gauge, "thalweg_log_directory_free_bytes", Bytes, ["directory"],
        "What may still be written on its disk.";
    DIRECTORY_SIZE = Gauge, "thalweg_log_directory_size_bytes", Bytes, ["directory"],
        "The size of its disk.";
    DIRECTORY_FREE_MIN = Gauge, "thalweg_log_directory_free_min_bytes", Bytes, ["directory"],
        "With less free space it takes no writes: `storage.free_bytes_min`.";
    DIRECTORY_LOGS = Gauge, "thalweg_log_directory_log_bytes", Bytes, ["directory"],
        "What its logs take, preallocated blocks not counted.";
    DIRECTORY_STATE = Gauge, "thalweg_log_directory_state", Count, ["directory", "state"],
        "1 for the state that it is in, 0 for the others.";
    SYNCS = Counter, "thalweg_syncs_total", Count, ["directory"],
        "Groups of logs brought to stable storage together.";
    SYNC_FAILURES = Counter, "thalweg_sync_failures_total", Count, ["directory"],
        "Syncs that failed; the first one takes the directory offline.";
    SYNC_SECONDS = Histogram(LATENCIES), "thalweg_sync_seconds", Seconds, ["directory"],
        "How long a group took to reach stable storage.";
    SYNC_LOGS = Histogram(GROUP_SIZES), "thalweg_sync_logs", Count, ["directory"],
        "Logs in one group.";
    SYNC_QUEUE = Gauge, "thalweg_sync_queue_logs", Count, ["directory"],
        "Logs with bytes that wait for a sync or are being synced.";
    REMOVED_SEGMENTS = Counter, "thalweg_removed_segments_total", Count, ["directory"],
        "Segments removed by retention or by deleting records.";
    PINNED_BYTES = Gauge, "thalweg_pinned_deleted_bytes", Bytes, ["directory"],
        "Bytes of deleted segments that readers still hold: the disk has them back when these have been sent.";
    SCRUBBED_BYTES = Counter, "thalweg_scrubbed_bytes_total", Bytes, ["directory"],
        "Bytes of closed segments that the scrub has read and checked.";
    MADE_IN_APPEND = Counter, "thalweg_made_in_append_total", Count, ["directory"],
        "Times an append reserved blocks or made a segment's file itself; many mean that preparing them is late.";

    // recovery
    RECOVERED_LOGS = Counter, "thalweg_recovered_logs_total", Count, ["directory"],
        "Logs opened after an unclean stop.";
    RECOVERY_SECONDS = Gauge, "thalweg_recovery_seconds", Seconds, ["directory"],
        "How long the last opening of all logs took.";
    CUT_BYTES = Counter, "thalweg_recovery_cut_bytes_total", Bytes, ["directory"],
        "Bytes above the recovery point that were cut off and kept aside.";
    CORRUPT_RANGES = Counter, "thalweg_corrupt_ranges_total", Count, ["directory"],
        "Damaged ranges found in what was on stable storage, by a start or by the scrub.";

    // compaction
    COMPACTION_RUNS = Counter, "thalweg_compaction_runs_total", Count, [],
        "Runs that ended well, those that had nothing to change included.";
    COMPACTION_FAILURES = Counter, "thalweg_compaction_failures_total", Count, [],
        "Runs that failed; their logs stay as they are and are tried again later.";
    COMPACTION_SECONDS = Histogram(RUN_TIMES), "thalweg_compaction_seconds", Seconds, [],
        "How long the runs took that ended well, the throttle's waits included.";
    COMPACTION_READ_BYTES = Counter, "thalweg_compaction_read_bytes_total", Bytes, [],
        "Bytes of batches read to be rewritten, in all passes.";
    COMPACTION_BEFORE_BYTES = Counter, "thalweg_compaction_before_bytes_total", Bytes, [],
        "Bytes of segments that were exchanged for compacted ones.";
    COMPACTION_AFTER_BYTES = Counter, "thalweg_compaction_after_bytes_total", Bytes, [],
        "Bytes of the compacted segments that took their place.";
    COMPACTION_REMOVED_RECORDS = Counter, "thalweg_compaction_removed_records_total", Count, [],
        "Records that went: older ones of their keys, and tombstones whose time had come.";
    DIRTY_RATIO = Gauge, "thalweg_partition_dirty_ratio", Count, ["topic", "partition"],
        "The share of a compacted log's closed segments that was not compacted yet.";
    COMPACTION_FAILED = Gauge, "thalweg_partition_compaction_failed", Count, ["topic", "partition"],
        "1 when the last compaction run of this log failed; topic compact --status says why.";

    // groups
    SHARD_LOADS = Counter, "thalweg_group_shard_loads_total", Count, [],
        "Shards of `__consumer_offsets` that were read to their end.";
    SHARD_LOAD_FAILURES = Counter, "thalweg_group_shard_load_failures_total", Count, [],
        "Attempts to read a shard that failed; each is followed by another.";
    SHARD_RELOADS = Counter, "thalweg_group_shard_reloads_total", Count, [],
        "Shards that were read anew because something could not be written.";
    SHARD_LOAD_RECORDS = Counter, "thalweg_group_shard_load_records_total", Count, [],
        "Records read while shards were loaded.";
    SHARD_LOAD_SECONDS = Gauge, "thalweg_group_shard_load_seconds", Seconds, [],
        "How long the last loading of a shard took.";
    FENCED_MEMBERS = Counter, "thalweg_group_fenced_members_total", Count, [],
        "Members that were taken out: no sign of life, or they did not let go in time.";
    GROUPS = Gauge, "thalweg_groups", Count, [], "Groups whose coordinator this broker is.";
    GROUP_LEFT_OUT = Gauge, "thalweg_group_series_left_out", Count, [],
        "Groups and partitions of groups that have no series of their own, because there are too many.";
    GROUP_MEMBERS = Gauge, "thalweg_group_members", Count, ["group"], "Members of the group.";
    GROUP_STATE = Gauge, "thalweg_group_state", Count, ["group", "state"],
        "1 for the state that the group is in, 0 for the others.";
    GROUP_REBALANCES = Counter, "thalweg_group_rebalances_total", Count, ["group"],
        "How often the group's partitions were shared out anew.";
    GROUP_STALL = Gauge, "thalweg_group_stall_seconds", Seconds, ["group"],
        "How long partitions were without an owner while the group had members, all together, since this broker took it over.";
    GROUP_COMMITS = Counter, "thalweg_group_committed_offsets_total", Count, ["group"],
        "Offsets that the group has committed.";
    GROUP_LAG = Gauge, "thalweg_group_lag_records", Count, ["group", "topic", "partition"],
        "Records that the group has still to read, by its committed offset.";
    GROUP_LAG_SECONDS = Gauge, "thalweg_group_lag_seconds", Seconds, ["group", "topic", "partition"],
        "How old the next record is that the group has to read; 0 at the end. There is no series while that is not known.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_in_snake_case() {
        let mut seen = HashSet::new();
        for metric in ALL {
            assert!(seen.insert(metric.name), "{} is declared twice", metric.name);
            let snake = |text: &str| {
                text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
                    && text.starts_with(|c: char| c.is_ascii_lowercase())
                    && !text.contains("__")
                    && !text.ends_with('_')
            };
            assert!(snake(metric.name), "{}", metric.name);
            assert!(metric.labels.iter().all(|label| snake(label)), "{:?}", metric.labels);
            let ours = ["thalweg_", "process_"].iter().any(|start| metric.name.starts_with(start));
            assert!(ours, "{} needs the prefix thalweg_", metric.name);
        }
    }

    #[test]
    fn names_end_as_prometheus_wants_it() {
        for metric in ALL {
            let name = metric.name;
            let counts = metric.kind == Counter;
            assert_eq!(name.ends_with("_total"), counts, "{name}: only what grows ends in _total");
            let bare = name.strip_suffix("_total").unwrap_or(name);
            assert_eq!(bare.ends_with("_bytes"), metric.unit == Unit::Bytes, "{name}: unit");
            assert_eq!(bare.ends_with("_seconds"), metric.unit == Unit::Seconds, "{name}: unit");
            for reserved in ["_count", "_sum", "_bucket", "_info_total"] {
                assert!(!name.ends_with(reserved), "{name}: {reserved} belongs to histograms");
            }
            assert!(!metric.labels.contains(&"le"), "{name}: le belongs to histograms");
        }
    }

    #[test]
    fn every_metric_says_what_it_is_in_a_sentence() {
        for metric in ALL {
            assert!(metric.help.ends_with('.') && metric.help.len() > 15, "{}", metric.name);
            if let Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted_by(|a, b| a < b) && !bounds.is_empty(), "{}", metric.name);
            }
        }
    }
}
