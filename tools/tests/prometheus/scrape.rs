//! A broker under load, as a real Prometheus sees it.
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]

use std::process::Command;

use thalweg_client::Client;

use crate::group::Group;
use crate::load::{Done, Load, create};
use crate::queries::{of_alerts, of_dashboard};
use crate::server::{Prometheus, get, wait_until};
use crate::support::{Broker, run};
use crate::{program, say};

/// Scrapes under load: enough for a rate over most of them.
const SCRAPES_MIN: f64 = 20.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_answers_what_the_load_has_counted() {
    let folder = tempfile::tempdir().unwrap();
    let often = ["groups.lag_interval_ms=200ms", "storage.compaction_check_interval_ms=200ms"];
    let mut broker = Broker::start_set(&folder.path().join("data"), &often, &[]);
    let target = broker.http.trim_start_matches("http://").to_owned();
    let Some(prometheus) = Prometheus::start(&target).await else { return };
    // Its connections end, so that there are some that did.
    create(&connect(&broker), "load").await;
    let client = connect(&broker);
    // An increase is counted from the first sample on, which must be from before the load.
    prometheus.wait_for("thalweg_produced_records_total{topic=\"load\"}", 0.0).await;

    let group = Group::start(&client, 12).await;
    let load = Load::start(&client, "load").await;
    let scraped = "count_over_time(thalweg_produced_records_total{topic=\"load\"}[1h])";
    let enough = wait_until(|| prometheus.value(scraped) >= Some(SCRAPES_MIN)).await;
    assert!(enough, "it does not scrape");
    rates_are_seen(&prometheus).await;
    group.is_behind(&prometheus, 12).await;
    every_query_of_the_dashboard_is_answered(&prometheus).await;
    promtool_accepts(&get(&target, "/metrics").unwrap().1);
    let done = load.finish().await;
    group.leave(&prometheus).await;
    assert!(done.records > 1_000, "vacuous: {done:?}");

    let records = done.records as f64;
    let of_load = |metric: &str| format!("thalweg_{metric}{{topic=\"load\"}}");
    for metric in ["produced_records_total", "fetched_records_total"] {
        prometheus.wait_for(&of_load(metric), records).await;
    }
    prometheus
        .wait_for("sum(thalweg_partition_high_watermark_offset{topic=\"load\"})", records)
        .await;
    prometheus.wait_for("sum(thalweg_requests_waiting{request=\"produce\"})", 0.0).await;
    increases_match(&prometheus, &done).await;
    nothing_rings(&prometheus);

    client.admin().delete_topic("load").await.unwrap();
    let left = "count({topic=\"load\"})";
    let gone = wait_until(|| prometheus.value(left).is_none()).await;
    assert!(gone, "series of a deleted topic stay");
    drop(client);
    broker.kill();
    prometheus.wait_for("up{job=\"thalweg\"}", 0.0).await;
    prometheus.wait_for("count(ALERTS{alertname=\"ThalwegBrokerDown\"})", 1.0).await;
    say(&format!("PROMETHEUS: {} records in and out, as it says", done.records));
}

fn connect(broker: &Broker) -> Client {
    Client::builder().bootstrap(&broker.address).build().unwrap()
}

/// While the load runs, what goes in and out has a rate, and so have the phases of requests.
async fn rates_are_seen(prometheus: &Prometheus) {
    for query in [
        "sum(rate(thalweg_produced_records_total{topic=\"load\"}[5s]))",
        "sum(rate(thalweg_fetched_records_total{topic=\"load\"}[5s]))",
        "sum(rate(thalweg_fetched_bytes_total{topic=\"load\"}[5s]))",
        "sum(rate(thalweg_sent_bytes_total[5s]))",
        "sum(rate(thalweg_syncs_total[5s]))",
        "sum(rate(process_cpu_seconds_total[5s]))",
        "histogram_quantile(0.99, sum by (le) (rate(thalweg_request_seconds_bucket{request=\"produce\"}[5s])))",
        "sum(rate(thalweg_request_phase_seconds_sum{phase=\"waiting\",request=\"produce\"}[5s]))",
        "sum(rate(thalweg_request_phase_seconds_sum{phase=\"sending\",request=\"fetch\"}[5s]))",
    ] {
        let mut last = None;
        let seen = wait_until(|| {
            last = prometheus.value(query);
            last.is_some_and(|rate| rate > 0.0)
        })
        .await;
        assert!(seen, "{query}: {last:?}");
    }
}

/// Each is PromQL, and answers something; what nothing has happened of may be silent.
async fn every_query_of_the_dashboard_is_answered(prometheus: &Prometheus) {
    let queries = of_dashboard();
    assert!(queries.len() > 40, "the dashboard's queries were not found: {}", queries.len());
    for query in queries {
        let asked = query.replace("$__rate_interval", "5s").replace("$instance", ".*");
        let answered = || !prometheus.query(&asked).is_empty();
        let may_be_silent = ["_errors_total", "_malformed_", "changes("];
        assert!(
            answered()
                || may_be_silent.iter().any(|it| query.contains(it))
                || wait_until(answered).await,
            "nothing answers {query}"
        );
    }
}

fn promtool_accepts(text: &str) {
    let Some(promtool) = program("promtool") else { return };
    assert!(text.contains("thalweg_produced_records_total{topic=\"load\"}"), "{text}");
    let ran = run(Command::new(promtool).args(["check", "metrics"]), text.as_bytes());
    // It says nothing of a text without faults, and calls some faults mere warnings.
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (0, "", ""));
}

/// Exact by the numbers themselves; by `increase` within what Prometheus extrapolates: it takes the slope of its
/// samples to reach at most 1.1 intervals beyond the first and the last one.
async fn increases_match(prometheus: &Prometheus, done: &Done) {
    let value = async |query: &str| some(prometheus, query).await;
    let batches = value("thalweg_produced_batches_total{topic=\"load\"}").await;
    let bytes_in = value("thalweg_produced_bytes_total{topic=\"load\"}").await;
    // Each was read once, whole.
    prometheus.wait_for("thalweg_fetched_bytes_total{topic=\"load\"}", bytes_in).await;
    prometheus.wait_for("thalweg_acknowledged_batches_total{topic=\"load\"}", batches).await;
    prometheus.wait_for("sum(thalweg_partition_log_bytes{topic=\"load\"})", bytes_in).await;
    // A batch has 61 bytes of its own, a record at most 12 beside its value of 200 bytes, at least 7.
    let (values, records) = (done.value_bytes as f64, done.records as f64);
    let least = values + 7.0 * records + 61.0 * batches;
    let most = values + 12.0 * records + 61.0 * batches;
    assert!((least..=most).contains(&bytes_in), "{bytes_in} bytes, not {least} to {most}");

    for (metric, counted) in [
        ("produced_records_total", records),
        ("fetched_records_total", records),
        ("produced_bytes_total", bytes_in),
        ("fetched_bytes_total", bytes_in),
    ] {
        let series = format!("thalweg_{metric}{{topic=\"load\"}}[10m]");
        let samples = value(&format!("count_over_time({series})")).await;
        let beyond = 1.0 + 2.2 / (samples - 1.0);
        let increase = value(&format!("increase({series})")).await;
        let rate = value(&format!("rate({series})")).await * 600.0;
        for answer in [increase, rate] {
            let share = answer / counted;
            assert!((0.999..=beyond).contains(&share), "{metric}: {answer} for {counted}");
        }
    }
}

/// What a query answers, once it does: after a scrape that took longer than a fifth of a second there is nothing.
async fn some(prometheus: &Prometheus, query: &str) -> f64 {
    let mut value = None;
    let is_there = wait_until(|| {
        value = prometheus.value(query);
        value.is_some()
    })
    .await;
    assert!(is_there, "no {query}");
    value.unwrap()
}

/// Prometheus has taken all rules, and none rings on a broker that is well.
fn nothing_rings(prometheus: &Prometheus) {
    let rules = prometheus.ask("/api/v1/rules");
    let groups = rules["data"]["groups"].as_array().unwrap();
    let rules: Vec<_> = groups.iter().flat_map(|it| it["rules"].as_array().unwrap()).collect();
    assert_eq!(rules.len(), of_alerts().len(), "{rules:?}");
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    assert_eq!(prometheus.query("ALERTS{alertstate=\"firing\"}"), []);
}
