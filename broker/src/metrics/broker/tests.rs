use std::time::Duration;

use thalweg_protocol::{ErrorCode, Offset};

use super::*;
use crate::metrics::{DirectoryState, PartitionFigures};

fn metrics(partition_series_max: u32, topic_series_max: u32) -> Arc<Metrics> {
    let config = MetricsConfig { partition_series_max, topic_series_max };
    Metrics::of(&config, "1.2.3", TimestampMs::new(1_700_000_000_250))
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

#[track_caller]
fn has(text: &str, line: &str) {
    assert!(text.lines().any(|other| other == line), "no line {line:?} in:\n{text}");
}

#[test]
fn the_text_has_help_type_and_exact_numbers() {
    let metrics = metrics(10, 10);
    metrics.connections.accepted();
    let produce = metrics.request("native", "Produce");
    produce.answered(Duration::from_micros(50));
    produce.answered(Duration::from_micros(700));
    produce.answered(Duration::from_mins(1));
    produce.failed(ErrorCode::ALL[0]);
    let text = metrics.render();
    has(&text, "# TYPE thalweg_connections gauge");
    has(&text, "# HELP thalweg_connections Connections that are open.");
    has(&text, "thalweg_connections 1");
    has(&text, "thalweg_build_info{version=\"1.2.3\"} 1");
    has(&text, "process_start_time_seconds 1700000000.25");
    let labels = "door=\"native\",request=\"Produce\"";
    has(&text, &format!("thalweg_requests_total{{{labels}}} 3"));
    has(&text, "# TYPE thalweg_request_seconds histogram");
    has(&text, &format!("thalweg_request_seconds_bucket{{{labels},le=\"0.00005\"}} 1"));
    has(&text, &format!("thalweg_request_seconds_bucket{{{labels},le=\"0.0005\"}} 1"));
    has(&text, &format!("thalweg_request_seconds_bucket{{{labels},le=\"0.001\"}} 2"));
    has(&text, &format!("thalweg_request_seconds_bucket{{{labels},le=\"10\"}} 2"));
    has(&text, &format!("thalweg_request_seconds_bucket{{{labels},le=\"+Inf\"}} 3"));
    has(&text, &format!("thalweg_request_seconds_sum{{{labels}}} 60.00075"));
    has(&text, &format!("thalweg_request_seconds_count{{{labels}}} 3"));
    let code = format!("{:?}", ErrorCode::ALL[0]);
    has(&text, &format!("thalweg_request_errors_total{{{labels},code=\"{code}\"}} 1"));
}

#[test]
fn every_line_is_one_that_prometheus_reads() {
    let metrics = metrics(10, 10);
    let _topic = metrics.topic(&topic("events"));
    let directory = metrics.directory(Path::new("/data/with \"quotes\" and \\"));
    directory.syncs.synced(3, Duration::from_millis(2));
    let text = metrics.render();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, number) = line.rsplit_once(' ').unwrap();
        assert!(number.parse::<f64>().is_ok(), "{line}");
        let name = series.split('{').next().unwrap();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
        assert_eq!(series.contains('{'), series.ends_with('}'), "{line}");
    }
    has(&text, r#"thalweg_syncs_total{directory="/data/with \"quotes\" and \\"} 1"#);
    let typed: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let mut once = typed.clone();
    once.dedup();
    assert_eq!(typed, once);
}

#[test]
fn a_topics_series_end_with_the_topic() {
    let metrics = metrics(10, 10);
    let one = metrics.topic(&topic("events"));
    let same = metrics.topic(&topic("events"));
    one.produced(500, 7);
    same.produced(500, 3);
    drop(one);
    has(&metrics.render(), "thalweg_produced_records_total{topic=\"events\"} 10");
    drop(same);
    assert!(!metrics.render().contains("events"));
}

#[test]
fn topics_beyond_the_bound_count_together() {
    let metrics = metrics(10, 1);
    let first = metrics.topic(&topic("first"));
    metrics.topic(&topic("second")).produced(10, 1);
    metrics.topic(&topic("third")).produced(10, 1);
    let text = metrics.render();
    has(&text, "thalweg_produced_batches_total{topic=\"(other)\"} 2");
    has(&text, "thalweg_produced_batches_total{topic=\"first\"} 0");
    assert!(!text.contains("topic=\"second\""));
    drop(first);
    let _second = metrics.topic(&topic("second"));
    has(&metrics.render(), "thalweg_produced_batches_total{topic=\"second\"} 0");
}

#[test]
fn partitions_beyond_the_bound_have_no_figures_until_another_ends() {
    let metrics = metrics(1, 10);
    let figures = PartitionFigures {
        log_start: Offset::new(5),
        high_watermark: Offset::new(8),
        log_end: Offset::new(i64::MAX),
        log_bytes: 4_096,
    };
    let first = metrics.partition(&topic("events"), PartitionIndex::new(0));
    let second = metrics.partition(&topic("events"), PartitionIndex::new(1));
    first.show(&figures);
    second.show(&figures);
    let text = metrics.render();
    let labels = "{topic=\"events\",partition=\"0\"}";
    has(&text, &format!("thalweg_partition_log_start_offset{labels} 5"));
    has(&text, &format!("thalweg_partition_log_end_offset{labels} 9223372036854775807"));
    assert!(!text.contains("partition=\"1\""));
    drop((first, second));
    let third = metrics.partition(&topic("events"), PartitionIndex::new(2));
    third.show(&figures);
    let text = metrics.render();
    has(&text, "thalweg_partition_log_bytes{topic=\"events\",partition=\"2\"} 4096");
    assert!(!text.contains("partition=\"0\""));
}

#[test]
fn a_directory_is_in_one_state_at_a_time() {
    let metrics = metrics(10, 10);
    let directory = metrics.directory(Path::new("/data"));
    directory.set_state(DirectoryState::Offline);
    let text = metrics.render();
    has(&text, "thalweg_log_directory_state{directory=\"/data\",state=\"online\"} 0");
    has(&text, "thalweg_log_directory_state{directory=\"/data\",state=\"offline\"} 1");
}

#[test]
fn brokers_in_one_process_share_nothing_and_collectors_run_before_each_rendering() {
    let (one, two) = (metrics(10, 10), metrics(10, 10));
    let topics = one.broker.topics.clone();
    one.before_render(move || topics.increment());
    assert!(one.render().contains("thalweg_topics 1\n"));
    assert!(one.render().contains("thalweg_topics 2\n"));
    assert!(two.render().contains("thalweg_topics 0\n"));
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_knows_its_own_figures() {
    let text = metrics(10, 10).render();
    for name in ["process_open_fds", "process_resident_memory_bytes", "thalweg_process_threads"] {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        assert_ne!(line, format!("{name} 0"));
    }
}
