use std::time::Duration;

use thalweg_protocol::{ErrorCode, Offset};

use super::*;
use crate::metrics::{DirectoryState, PartitionFigures, Phase};

fn metrics(partition_series_max: u32, topic_series_max: u32) -> Arc<Metrics> {
    let config =
        MetricsConfig { partition_series_max, topic_series_max, ..MetricsConfig::default() };
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
    for took in [Duration::from_micros(50), Duration::from_micros(700), Duration::from_mins(1)] {
        produce.answered();
        produce.ended(took);
    }
    produce.spent(Phase::Handling, Duration::from_micros(70));
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
    let sum = format!("thalweg_request_seconds_sum{{{labels}}} ");
    let sum: f64 = text.lines().find_map(|line| line.strip_prefix(&sum)).unwrap().parse().unwrap();
    assert!((sum - 60.000_75).abs() < 1e-9, "{sum}");
    has(&text, &format!("thalweg_request_seconds_count{{{labels}}} 3"));
    let parts = "thalweg_request_phase_seconds_count";
    has(&text, &format!("{parts}{{{labels},phase=\"handling\"}} 1"));
    has(&text, &format!("{parts}{{{labels},phase=\"queue\"}} 0"));
    let code = format!("{:?}", ErrorCode::ALL[0]);
    has(&text, &format!("thalweg_request_errors_total{{{labels},code=\"{code}\"}} 1"));
}

#[test]
fn every_line_is_one_that_prometheus_reads() {
    let metrics = metrics(10, 10);
    let _topic = metrics.topic(&topic("events"));
    let directory = metrics.directory(Path::new("/data/with \"quotes\" and \\"));
    directory.syncs.grouped(3);
    directory.syncs.took(Duration::from_millis(2));
    let text = metrics.render();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (series, number) = line.rsplit_once(' ').unwrap();
        assert!(number.parse::<f64>().is_ok(), "{line}");
        let name = series.split('{').next().unwrap();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
        assert_eq!(series.contains('{'), series.ends_with('}'), "{line}");
    }
    has(&text, r#"thalweg_syncs_total{directory="/data/with \"quotes\" and \\"} 1"#);
    let mut typed: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    typed.sort_unstable();
    let mut once = typed.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(typed, once);
}

#[test]
fn what_is_under_way_is_counted_until_it_is_dropped() {
    let metrics = metrics(10, 10);
    let (one, two) = (metrics.connections.request(), metrics.connections.request());
    let handshake = metrics.connections.handshake();
    has(&metrics.render(), "thalweg_requests_in_flight 2");
    has(&metrics.render(), "thalweg_connections_in_handshake 1");
    drop((one, two, handshake));
    has(&metrics.render(), "thalweg_requests_in_flight 0");
    has(&metrics.render(), "thalweg_connections_in_handshake 0");
}

#[test]
fn a_topics_series_end_with_the_last_that_holds_them() {
    let metrics = metrics(10, 10);
    let (one, two) = (metrics.topic(&topic("events")), metrics.topic(&topic("events")));
    one.produced(500, 7);
    drop(one);
    two.produced(500, 3);
    has(&metrics.render(), "thalweg_produced_records_total{topic=\"events\"} 10");
    // What is still being sent to a reader counts for nobody.
    let sending = Arc::clone(two.figures());
    drop(two);
    sending.fetched_bytes.increment(1);
    assert!(!metrics.render().contains("events"));
    let again = metrics.topic(&topic("events"));
    drop(sending);
    again.produced(500, 2);
    has(&metrics.render(), "thalweg_produced_records_total{topic=\"events\"} 2");
}

#[test]
fn topics_beyond_the_bound_count_together_until_there_is_room() {
    let metrics = metrics(10, 1);
    let first = metrics.topic(&topic("first"));
    first.produced(10, 1);
    let second = metrics.topic(&topic("second"));
    second.produced(10, 1);
    metrics.topic(&topic("third")).produced(10, 1);
    let text = metrics.render();
    has(&text, "thalweg_produced_batches_total{topic=\"(other)\"} 2");
    has(&text, "thalweg_produced_batches_total{topic=\"first\"} 1");
    drop(first);
    let third = metrics.topic(&topic("third"));
    third.produced(10, 1);
    drop(second);
    let text = metrics.render();
    has(&text, "thalweg_produced_batches_total{topic=\"(other)\"} 2");
    has(&text, "thalweg_produced_batches_total{topic=\"third\"} 1");
    assert!(!text.contains("first"));
}

const FIGURES: PartitionFigures = PartitionFigures {
    log_start: Offset::new(5),
    high_watermark: Offset::new(8),
    log_end: Offset::new(1 << 53),
    log_bytes: 4_096,
};

#[test]
fn partitions_beyond_the_bound_have_no_figures() {
    let metrics = metrics(1, 10);
    let first = metrics.partition(&topic("events"), PartitionIndex::new(0));
    let second = metrics.partition(&topic("events"), PartitionIndex::new(1));
    first.show(&FIGURES);
    second.show(&FIGURES);
    let text = metrics.render();
    let labels = "{topic=\"events\",partition=\"0\"}";
    has(&text, &format!("thalweg_partition_log_start_offset{labels} 5"));
    has(&text, &format!("thalweg_partition_high_watermark_offset{labels} 8"));
    has(&text, &format!("thalweg_partition_log_end_offset{labels} 9007199254740992"));
    has(&text, &format!("thalweg_partition_log_bytes{labels} 4096"));
    assert!(!text.contains("partition=\"1\""));
    has(&text, "thalweg_partitions_without_series 1");
    drop(second);
    has(&metrics.render(), "thalweg_partitions_without_series 0");
}

#[test]
fn a_deleted_partition_makes_room_and_takes_no_series_from_its_successor() {
    let metrics = metrics(1, 10);
    let (topic, index) = (topic("events"), PartitionIndex::new(0));
    let deleted = metrics.partition(&topic, index);
    deleted.show(&FIGURES);
    // A reader may hold the deleted one while one of its name is made.
    let again = metrics.partition(&topic, index);
    again.show(&FIGURES);
    drop(deleted);
    has(&metrics.render(), "thalweg_partition_log_bytes{topic=\"events\",partition=\"0\"} 4096");
    drop(again);
    assert!(!metrics.render().contains("events"));
    metrics.partition(&topic, PartitionIndex::new(7)).show(&FIGURES);
    let other = metrics.partition(&topic, PartitionIndex::new(7));
    other.show(&FIGURES);
    assert!(metrics.render().contains("partition=\"7\""));
}

#[test]
fn the_text_of_ten_thousand_partitions_is_bounded() {
    let metrics = metrics(10_000, 1_000);
    let topics: Vec<_> = (0..1_000).map(|number| topic(&format!("{number:0>249}"))).collect();
    let _topics: Vec<_> = topics.iter().map(|name| metrics.topic(name)).collect();
    let partitions = |name| (0..20).map(move |index| (name, PartitionIndex::new(index)));
    let all: Vec<_> = topics
        .iter()
        .flat_map(partitions)
        .map(|(name, index)| metrics.partition(name, index))
        .collect();
    for partition in &all {
        partition.show(&FIGURES);
    }
    let began = SystemClock::new();
    let text = metrics.render();
    eprintln!("{} bytes in {:?}", text.len(), began.now().get());
    // The longest name there can be, and the longest numbers.
    assert!(text.len() < 20_000_000, "{}", text.len());
    let lines = |metric| text.lines().filter(|line| line.starts_with(metric)).count();
    assert_eq!(lines("thalweg_partition_log_bytes{"), 10_000);
    assert_eq!(lines("thalweg_produced_bytes_total{"), 1_000);
    has(&text, "thalweg_partitions_without_series 10000");
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
    one.before_render(move || topics.increment(1));
    assert!(one.render().contains("thalweg_topics 1\n"));
    assert!(one.render().contains("thalweg_topics 2\n"));
    assert!(two.render().contains("thalweg_topics 0\n"));
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_knows_its_own_figures() {
    let text = metrics(10, 10).render();
    has(&text, "# TYPE process_cpu_seconds_total counter");
    for name in ["process_open_fds", "process_resident_memory_bytes", "thalweg_process_threads"] {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        assert_ne!(line, format!("{name} 0"));
    }
}
