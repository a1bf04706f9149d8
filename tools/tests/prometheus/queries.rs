//! Every query of the dashboard and of the alerts names metrics and labels that exist.

use std::fs;

use serde_json::Value;
use thalweg_broker::metrics::{ALL, Kind, Metric};

use crate::project;
use crate::promql::named;

/// What Prometheus itself adds to every series.
const ADDED: [&str; 2] = ["job", "instance"];

/// Every `expr` of the dashboard.
pub fn of_dashboard() -> Vec<String> {
    let text = fs::read_to_string(project().join("config/grafana/thalweg.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut queries = Vec::new();
    gather(&dashboard, &mut queries);
    queries
}

fn gather(value: &Value, queries: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(query) if name == "expr" => queries.push(query.clone()),
                    other => gather(other, queries),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, queries)),
        _ => {}
    }
}

/// Every alert with its `expr`.
pub fn of_alerts() -> Vec<(String, String)> {
    let text = fs::read_to_string(project().join("config/prometheus/alerts.yml")).unwrap();
    let mut alerts = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.trim().strip_prefix("- alert: ") {
            alerts.push((name.to_owned(), String::new()));
        } else if let Some(query) = line.trim().strip_prefix("expr: ") {
            let query = query.trim_matches('\'').replace("''", "'");
            query.clone_into(&mut alerts.last_mut().unwrap().1);
        }
    }
    alerts
}

/// The declared metric that a series belongs to.
fn metric_of(series: &str) -> Option<&'static Metric> {
    let plain = |metric: &&&Metric| !matches!(metric.kind, Kind::Histogram(_));
    if let Some(metric) = ALL.iter().filter(plain).find(|metric| metric.name == series) {
        return Some(metric);
    }
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| series.strip_suffix(end))?;
    ALL.iter().find(|metric| metric.name == base && !plain(metric)).copied()
}

/// What is wrong with a query.
fn complaints(query: &str) -> Vec<String> {
    let named = named(query);
    let mut complaints = Vec::new();
    let mut known: Vec<&str> = ADDED.to_vec();
    for (series, labels) in &named.metrics {
        let mut own = ADDED.to_vec();
        if series != "up" {
            let Some(metric) = metric_of(series) else {
                complaints.push(format!("there is no {series}"));
                continue;
            };
            own.extend(metric.labels);
            own.extend(series.ends_with("_bucket").then_some("le"));
        }
        let unknown = labels.iter().filter(|label| !own.contains(&label.as_str()));
        complaints.extend(unknown.map(|label| format!("{series} has no label {label}")));
        known.extend(own);
    }
    let unknown = named.grouped.iter().filter(|label| !known.contains(&label.as_str()));
    complaints.extend(unknown.map(|label| format!("nothing here has a label {label}")));
    if named.metrics.is_empty() {
        complaints.push("it names no metric".to_owned());
    }
    complaints
}

#[test]
fn a_query_of_what_is_not_there_is_found() {
    let wrong = [
        ("rate(thalweg_nothing_total[1m])", "there is no thalweg_nothing_total"),
        ("thalweg_request_seconds", "there is no thalweg_request_seconds"),
        ("thalweg_ready{topic=\"a\"}", "thalweg_ready has no label topic"),
        ("thalweg_sync_seconds_sum{le=\"1\"}", "thalweg_sync_seconds_sum has no label le"),
        ("sum by (code) (thalweg_requests_total)", "nothing here has a label code"),
        ("vector(1)", "it names no metric"),
    ];
    for (query, complaint) in wrong {
        assert_eq!(complaints(query), [complaint], "{query}");
    }
}

#[test]
fn every_query_names_what_exists() {
    let mut queries = of_dashboard();
    assert!(queries.len() > 40, "the dashboard's queries were not found: {}", queries.len());
    let alerts = of_alerts();
    assert!(alerts.len() > 15, "the alerts were not found: {}", alerts.len());
    queries.extend(alerts.into_iter().map(|(_, query)| query));
    let wrong: Vec<_> = queries
        .iter()
        .flat_map(|query| complaints(query).into_iter().map(move |it| format!("{it}: {query}")))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
