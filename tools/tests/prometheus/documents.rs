//! The tables of `docs/operating.md`: every metric as it is declared, every alert with what to do.

use std::fmt::Write;
use std::fs;

use thalweg_broker::metrics::{ALL, Kind};

use crate::project;
use crate::queries::of_alerts;

const BEGIN: &str =
    "<!-- metrics: BLESS=1 cargo test -p thalweg --test prometheus writes this table -->\n";
const END: &str = "<!-- end of metrics -->\n";

/// The table as the declarations have it.
fn table() -> String {
    let mut table = "| metric | kind | labels | |\n|---|---|---|---|\n".to_owned();
    for metric in ALL {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, labels, help) = (metric.name, labels.join(", "), metric.help);
        writeln!(table, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
    }
    table
}

#[test]
fn every_metric_is_in_the_table() {
    let path = project().join("docs/operating.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("docs/operating.md lost the table's begin");
    let (found, after) = rest.split_once(END).expect("docs/operating.md lost the table's end");
    if std::env::var_os("BLESS").is_some() {
        return fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
    }
    assert!(found == table(), "the table is not as declared; it should be:\n{}", table());
}

#[test]
fn every_alert_says_what_to_do() {
    let text = fs::read_to_string(project().join("docs/operating.md")).unwrap();
    let row = |line: &str| Some(line.strip_prefix("| `Thalweg")?.split_once('`')?.0.to_owned());
    let mut rows: Vec<_> = text.lines().filter_map(row).collect();
    let mut alerts: Vec<_> = of_alerts()
        .iter()
        .map(|(name, _)| name.strip_prefix("Thalweg").unwrap().to_owned())
        .collect();
    rows.sort();
    alerts.sort();
    assert_eq!(rows, alerts);
}
