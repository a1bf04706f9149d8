//! Metrics: every number is what the test did, no more and no less.
#![expect(clippy::float_cmp, reason = "whole numbers, which floating point holds exactly")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use thalweg_broker::base::ByteSize;
use thalweg_client::Offset;
use thalweg_protocol::native::PREFACE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bad_input::{Raw, handshake, long_poll, request};
use crate::limits::http;
use crate::support::{Fixture, PATIENCE, create, numbered, publish, read};

/// What the broker shows at one moment.
pub struct Shown(String);

impl Shown {
    pub async fn now(fixture: &Fixture) -> Self {
        let answer = http(fixture, "/metrics").await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        Self(body.to_owned())
    }

    /// Looks until `series` shows `value`, and then once more: what happens on other tasks needs a moment to be counted,
    /// and a figure that is counted before this one may have been looked at before it.
    pub async fn once(fixture: &Fixture, series: &str, value: f64) -> Self {
        let began = tokio::time::Instant::now();
        loop {
            let shown = Self::now(fixture).await;
            if shown.find(series) == Some(value) {
                return Self::now(fixture).await;
            }
            assert!(began.elapsed() < PATIENCE, "{series} is not {value} in\n{}", shown.0);
        }
    }

    fn find(&self, series: &str) -> Option<f64> {
        let number = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
        self.0.lines().find_map(number)
    }

    #[track_caller]
    pub fn get(&self, series: &str) -> f64 {
        self.find(series).unwrap_or_else(|| panic!("no {series} in\n{}", self.0))
    }

    /// The sum over all series of a metric.
    fn sum(&self, metric: &str) -> f64 {
        let ours =
            |line: &&str| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with('{'));
        let number = |line: &str| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        self.0.lines().filter(ours).map(number).sum()
    }

    /// The phases of each kind of request add up to the whole: nothing is counted twice or left out.
    fn every_phase_is_a_part_of_the_whole(&self) {
        for kind in ["produce", "create_topics", "init_producer", "list_offsets"] {
            let labels = format!("{{door=\"native\",request=\"{kind}\"");
            let (mut parts, mut counts) = (0.0, Vec::new());
            for phase in ["queue", "handling", "waiting", "sending"] {
                let figure = |of| {
                    self.get(&format!(
                        "thalweg_request_phase_seconds_{of}{labels},phase=\"{phase}\"}}"
                    ))
                };
                parts += figure("sum");
                counts.push(figure("count"));
            }
            let whole = self.get(&format!("thalweg_request_seconds_sum{labels}}}"));
            assert!(
                (parts - whole).abs() < 1e-6,
                "{kind}: {parts} s in parts, {whole} s as a whole"
            );
            let requests = self.get(&format!("thalweg_requests_total{labels}}}"));
            assert_eq!([counts[0], counts[1], counts[3]], [requests; 3], "{kind}: {counts:?}");
            assert!(counts[2] <= requests && requests > 0.0, "{kind}: {counts:?}");
            self.all(&[(&format!("thalweg_requests_waiting{labels}}}"), 0.0)]);
        }
    }

    #[track_caller]
    fn all(&self, table: &[(&str, f64)]) {
        for (series, value) in table {
            let found = self.get(series);
            assert!((found - value).abs() < 1e-9, "{series} is {found}, not {value}");
        }
    }
}

#[tokio::test]
async fn records_and_requests_are_counted_exactly() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "counted", 2, &[]).await;
    let twice = client.admin().create_topic(thalweg_client::NewTopic::new("counted")).await;
    twice.unwrap_err();
    let producer = client.producer().build().await.unwrap();
    publish(&producer, "counted", 0, &numbered("v", 123)).await;
    publish(&producer, "counted", 1, &numbered("w", 7)).await;
    read(&client, "counted", 130).await;
    client.admin().delete_records("counted", 1, Offset::new(3)).await.unwrap();
    drop((producer, client));

    // Looked at now and then, not with each change.
    Shown::once(&fixture, "thalweg_waiting_request_memory_bytes", 0.0).await;
    Shown::once(&fixture, "thalweg_answer_memory_bytes", 0.0).await;
    let shown = Shown::once(&fixture, "thalweg_connections", 0.0).await;
    let directory = fixture.data().display().to_string();
    let state = |state| {
        format!("thalweg_log_directory_state{{directory=\"{directory}\",state=\"{state}\"}}")
    };
    shown.all(&[
        ("thalweg_ready", 1.0),
        ("thalweg_topics", 1.0),
        ("thalweg_task_panics_total", 0.0),
        ("thalweg_produced_records_total{topic=\"counted\"}", 130.0),
        ("thalweg_fetched_records_total{topic=\"counted\"}", 130.0),
        ("thalweg_duplicate_batches_total{topic=\"counted\"}", 0.0),
        ("thalweg_partition_log_start_offset{topic=\"counted\",partition=\"0\"}", 0.0),
        ("thalweg_partition_high_watermark_offset{topic=\"counted\",partition=\"0\"}", 123.0),
        ("thalweg_partition_log_end_offset{topic=\"counted\",partition=\"0\"}", 123.0),
        ("thalweg_partition_log_start_offset{topic=\"counted\",partition=\"1\"}", 3.0),
        ("thalweg_partition_high_watermark_offset{topic=\"counted\",partition=\"1\"}", 7.0),
        ("thalweg_partition_log_end_offset{topic=\"counted\",partition=\"1\"}", 7.0),
        ("thalweg_partitions{state=\"leading\"}", 2.0),
        ("thalweg_partitions{state=\"following\"}", 0.0),
        ("thalweg_partitions{state=\"read_only\"}", 0.0),
        ("thalweg_partitions{state=\"offline\"}", 0.0),
        (&state("online"), 1.0),
        (&state("read_only"), 0.0),
        ("thalweg_requests_total{door=\"native\",request=\"create_topics\"}", 2.0),
        ("thalweg_request_seconds_count{door=\"native\",request=\"create_topics\"}", 2.0),
        ("thalweg_requests_total{door=\"native\",request=\"delete_records\"}", 1.0),
        ("thalweg_request_errors_total{door=\"native\",request=\"create_topics\",code=\"TopicExists\"}", 1.0),
        ("thalweg_requests_in_flight", 0.0),
        ("thalweg_connections_in_handshake", 0.0),
        ("thalweg_request_memory_bytes", 0.0),
        ("thalweg_request_memory_waits_total", 0.0),
    ]);
    assert_eq!(shown.sum("thalweg_request_errors_total"), 1.0, "{}", shown.0);
    assert_eq!(shown.sum("thalweg_malformed_requests_total"), 0.0);

    figures_agree_with_each_other(&shown);
    check_with_promtool(&shown.0);
}

fn figures_agree_with_each_other(shown: &Shown) {
    let batches = shown.get("thalweg_produced_batches_total{topic=\"counted\"}");
    assert!((2.0..=130.0).contains(&batches), "{batches}");
    shown.all(&[("thalweg_acknowledged_batches_total{topic=\"counted\"}", batches)]);
    let bytes = shown.get("thalweg_produced_bytes_total{topic=\"counted\"}");
    shown.all(&[("thalweg_fetched_bytes_total{topic=\"counted\"}", bytes)]);
    assert_eq!(shown.sum("thalweg_partition_log_bytes"), bytes);
    let produced = "{door=\"native\",request=\"produce\"}";
    let requests = shown.get(&format!("thalweg_requests_total{produced}"));
    shown.all(&[(
        "thalweg_request_seconds_bucket{door=\"native\",request=\"produce\",le=\"+Inf\"}",
        requests,
    )]);
    shown.every_phase_is_a_part_of_the_whole();
    let logs = shown.sum("thalweg_partition_log_bytes");
    assert_eq!(shown.sum("thalweg_log_directory_log_bytes"), logs);

    let accepted = shown.get("thalweg_connections_accepted_total");
    assert_eq!(shown.sum("thalweg_connections_closed_total"), accepted);
    let syncs = shown.sum("thalweg_syncs_total");
    assert!(syncs >= 2.0 && syncs == shown.sum("thalweg_sync_seconds_count"), "{syncs}");
    assert_eq!(shown.sum("thalweg_sync_failures_total"), 0.0);
}

/// Has Prometheus' own tool read the text, where it is installed.
fn check_with_promtool(text: &str) {
    let unpacked = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/prometheus/usr/bin/promtool");
    let tool = if Path::new(unpacked).is_file() { unpacked } else { "promtool" };
    let tool = Command::new(tool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut tool) = tool else {
        return eprintln!(
            "there is no promtool, scripts/prometheus.sh gets it: the text was NOT checked by it"
        );
    };
    tool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn bytes_and_connections_are_counted_exactly() {
    let fixture = Fixture::start();
    let mut raw = Raw::connect(&fixture).await;
    Shown::once(&fixture, "thalweg_connections_in_handshake", 1.0).await;
    let mut sent = PREFACE.to_vec();
    for chunk in request(1, &handshake()) {
        sent.extend_from_slice(&chunk);
    }
    raw.stream.write_all(&sent).await.unwrap();
    let mut length = [0; 4];
    raw.stream.read_exact(&mut length).await.unwrap();
    let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    raw.stream.read_exact(&mut answer).await.unwrap();
    let (received, answered) = (sent.len(), length.len() + answer.len());
    let shown = Shown::once(&fixture, "thalweg_sent_bytes_total", number(answered)).await;
    shown.all(&[
        ("thalweg_received_bytes_total", number(received)),
        ("thalweg_connections", 1.0),
        ("thalweg_connections_in_handshake", 0.0),
    ]);

    // A client of another protocol.
    let mut stranger = Raw::connect(&fixture).await;
    stranger.stream.write_all(&[0; 64]).await.unwrap();
    stranger.closed().await;
    let shown = Shown::once(&fixture, "thalweg_connections", 1.0).await;
    shown.all(&[
        ("thalweg_connections_accepted_total", 2.0),
        ("thalweg_connections_closed_total{reason=\"protocol\"}", 1.0),
        ("thalweg_malformed_requests_total{door=\"native\"}", 1.0),
    ]);
    assert!(shown.get("thalweg_received_bytes_total") > number(received));

    drop(raw);
    let shown = Shown::once(&fixture, "thalweg_connections", 0.0).await;
    shown.all(&[("thalweg_connections_closed_total{reason=\"client\"}", 1.0)]);
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

#[tokio::test]
async fn a_request_is_in_flight_until_its_client_is_gone() {
    let fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "quiet", 1, &[]).await;
    let topic = client.admin().describe_topic("quiet").await.unwrap().id;
    drop(client);
    let mut raw = Raw::open(&fixture).await;
    raw.send(&long_poll(7, topic)).await;
    let waiting = "thalweg_requests_waiting{door=\"native\",request=\"fetch\"}";
    let shown = Shown::once(&fixture, waiting, 1.0).await;
    shown.all(&[
        ("thalweg_requests_in_flight", 1.0),
        ("thalweg_requests_waiting{door=\"native\",request=\"produce\"}", 0.0),
    ]);
    drop(raw);
    Shown::once(&fixture, "thalweg_requests_in_flight", 0.0).await;
}

#[tokio::test]
async fn a_refused_connection_is_counted_with_its_reason() {
    let fixture = Fixture::start_with(|config| config.limits.connections_per_address_max = 1);
    let _first = Raw::open(&fixture).await;
    Raw::connect(&fixture).await.closed().await;
    let shown = Shown::once(&fixture, "thalweg_connections", 1.0).await;
    shown.all(&[
        ("thalweg_connections_accepted_total", 2.0),
        ("thalweg_connections_closed_total{reason=\"connections_per_address_max\"}", 1.0),
    ]);
}

#[tokio::test]
async fn a_crash_and_a_full_disk_are_told_by_numbers() {
    let mut fixture = Fixture::start();
    let client = fixture.client();
    create(&client, "three", 3, &[]).await;
    let producer = client.producer().build().await.unwrap();
    publish(&producer, "three", 0, &numbered("v", 10)).await;
    drop((producer, client));
    fixture.abandon();
    fixture.restart_with(|_| {});
    let shown = Shown::now(&fixture).await;
    shown.all(&[
        ("thalweg_unclean_sole_leader_starts_total", 3.0),
        ("thalweg_partitions{state=\"leading\"}", 3.0),
    ]);
    assert_eq!(shown.sum("thalweg_recovered_logs_total"), 3.0);
    assert!(shown.sum("thalweg_recovery_seconds") > 0.0);
    assert_eq!(shown.sum("thalweg_recovery_cut_bytes_total"), 0.0);

    assert!(fixture.stop());
    fixture.restart_with(|config| {
        config.storage.free_bytes_min = ByteSize::gib(1024 * 1024);
    });
    let shown = Shown::now(&fixture).await;
    shown.all(&[
        ("thalweg_ready", 0.0),
        ("thalweg_unclean_sole_leader_starts_total", 0.0),
        ("thalweg_partitions{state=\"leading\"}", 0.0),
        ("thalweg_partitions{state=\"read_only\"}", 3.0),
    ]);
    assert_eq!(shown.sum("thalweg_recovered_logs_total"), 0.0);
}

#[tokio::test]
async fn a_topic_beyond_the_limit_is_refused() {
    let fixture = Fixture::start_with(|config| config.limits.topics_max = 1);
    let client = fixture.client();
    create(&client, "first", 1, &[]).await;
    let second = client.admin().create_topic(thalweg_client::NewTopic::new("second")).await;
    let error = second.unwrap_err().to_string();
    assert!(error.contains("topics_max allows 1"), "{error}");
    let errors = "thalweg_request_errors_total";
    let labels = "door=\"native\",request=\"create_topics\",code=\"TooManyPartitions\"";
    Shown::now(&fixture).await.all(&[(&format!("{errors}{{{labels}}}"), 1.0)]);
    client.admin().delete_topic("first").await.unwrap();
    create(&client, "second", 1, &[]).await;
}

/// Its series used to stay until the restart, and took their places for good.
#[tokio::test]
async fn a_deleted_topic_takes_its_series_along_and_makes_room_for_another() {
    let fixture = Fixture::start_with(|config| {
        config.metrics.topic_series_max = 1;
        config.metrics.partition_series_max = 2;
    });
    let client = fixture.client();
    for name in ["first", "second"] {
        create(&client, name, 2, &[]).await;
        let producer = client.producer().build().await.unwrap();
        publish(&producer, name, 0, &numbered("v", 5)).await;
        read(&client, name, 5).await;
        let shown = Shown::now(&fixture).await;
        shown.all(&[
            (&format!("thalweg_produced_records_total{{topic=\"{name}\"}}"), 5.0),
            (&format!("thalweg_partition_log_end_offset{{topic=\"{name}\",partition=\"0\"}}"), 5.0),
            ("thalweg_partitions_without_series", 0.0),
        ]);
        drop(producer);
        client.admin().delete_topic(name).await.unwrap();
        let began = tokio::time::Instant::now();
        let label = format!("topic=\"{name}\"");
        while Shown::now(&fixture).await.0.contains(&label) {
            assert!(began.elapsed() < PATIENCE, "{name} is deleted, and its series are there");
        }
    }
    assert!(!Shown::now(&fixture).await.0.contains("(other)"));
}
