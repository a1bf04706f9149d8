//! What a broker says of itself on its HTTP port: its metrics, as text.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A broker answers at once, however much it has to do.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Metrics of many partitions are long, but not so long.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What is read of the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counters {
    /// CPU time of the broker, in seconds.
    pub(super) cpu_seconds: f64,
    /// Groups of logs brought to stable storage.
    pub(super) flushes: f64,
    /// Logs in all these groups.
    pub(super) flushed_logs: f64,
    /// Requests that ended.
    pub(super) requests: f64,
    /// Heartbeats of members among them.
    pub(super) heartbeats: f64,
    /// Shards of committed offsets that were read to their end, and the records in them.
    pub(super) shard_loads: f64,
    pub(super) shard_load_records: f64,
}

impl Counters {
    /// Asks the broker.
    pub(super) async fn read(http: &str) -> io::Result<Self> {
        let text = timeout(ANSWER_MAX, get(http)).await??;
        Ok(Self::parse(&text))
    }

    /// What came between `earlier` and this.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds - earlier.cpu_seconds,
            flushes: self.flushes - earlier.flushes,
            flushed_logs: self.flushed_logs - earlier.flushed_logs,
            requests: self.requests - earlier.requests,
            heartbeats: self.heartbeats - earlier.heartbeats,
            shard_loads: self.shard_loads - earlier.shard_loads,
            shard_load_records: self.shard_load_records - earlier.shard_load_records,
        }
    }

    fn parse(text: &str) -> Self {
        Self {
            cpu_seconds: sum(text, "process_cpu_seconds_total"),
            flushes: sum(text, "thalweg_syncs_total"),
            flushed_logs: sum(text, "thalweg_sync_logs_sum"),
            requests: sum(text, "thalweg_requests_total"),
            heartbeats: sum_where(text, "thalweg_requests_total", "request=\"group_heartbeat\""),
            shard_loads: sum(text, "thalweg_group_shard_loads_total"),
            shard_load_records: sum(text, "thalweg_group_shard_load_records_total"),
        }
    }
}

/// The sum of a metric over all its labels.
fn sum(text: &str, name: &str) -> f64 {
    sum_where(text, name, "")
}

/// The sum of a metric over its labels with `part` in them.
fn sum_where(text: &str, name: &str, part: &str) -> f64 {
    let lines = text.lines().filter_map(|line| line.strip_prefix(name));
    // What follows is another metric, when neither labels nor the number begin there.
    let own = lines.filter(|rest| rest.starts_with(['{', ' ']) && rest.contains(part));
    own.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

async fn get(http: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(http).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(io::Error::other("the answer is not that of a broker's HTTP port")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_added_over_their_labels_and_never_taken_for_others() {
        let text = "# HELP thalweg_syncs_total Groups.\n\
            thalweg_syncs_total{directory=\"a b\"} 3\nthalweg_syncs_total{directory=\"c\"} 4\n\
            thalweg_syncs_total_other 100\nprocess_cpu_seconds_total 1.25\n\
            thalweg_sync_logs_sum{directory=\"c\"} 9\nthalweg_sync_logs_count 100\n\
            thalweg_requests_total{door=\"native\",request=\"fetch\"} 5\n\
            thalweg_requests_total{door=\"native\",request=\"group_heartbeat\"} 6\n";
        let expected = Counters {
            cpu_seconds: 1.25,
            flushes: 7.0,
            flushed_logs: 9.0,
            requests: 11.0,
            heartbeats: 6.0,
            ..Counters::default()
        };
        assert_eq!(Counters::parse(text), expected);
    }
}
