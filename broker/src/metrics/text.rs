//! Prometheus' text format, version 0.0.4: metrics and their numbers to lines.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::histogram::Counted;
use super::names::{Kind, Metric, Unit};
use super::registry::Number;

/// Shows a metric and its series, by their labels as text; nothing of a metric without series.
pub(super) fn show_metric(text: &mut String, metric: &Metric, series: &BTreeMap<String, Number>) {
    if series.is_empty() {
        return;
    }
    let Metric { name, help, .. } = metric;
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, number) in series {
        match number {
            Number::Whole(whole) => {
                start(text, name, "", labels);
                let _ = writeln!(text, "{}", whole.load(Ordering::Relaxed));
            }
            Number::Real(bits) => {
                start(text, name, "", labels);
                let _ = writeln!(text, "{}", f64::from_bits(bits.load(Ordering::Relaxed)));
            }
            Number::Samples(histogram) => {
                show_samples(text, metric, labels, &histogram.counted());
            }
        }
    }
}

fn show_samples(text: &mut String, metric: &Metric, labels: &str, counted: &Counted) {
    let name = metric.name;
    let comma = if labels.is_empty() { "" } else { "," };
    for (bound, count) in &counted.up_to {
        let _ = write!(text, "{name}_bucket{{{labels}{comma}le=\"");
        amount_of(text, metric.unit, *bound);
        let _ = writeln!(text, "\"}} {count}");
    }
    let _ = writeln!(text, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {}", counted.count);
    start(text, name, "_sum", labels);
    amount_of(text, metric.unit, counted.sum);
    text.push('\n');
    start(text, name, "_count", labels);
    let _ = writeln!(text, "{}", counted.count);
}

/// A sample in the metric's unit: times are counted in nanoseconds, and shown in seconds.
fn amount_of(text: &mut String, unit: Unit, sample: u64) {
    let _ = match unit {
        Unit::Seconds => write!(text, "{}", Duration::from_nanos(sample).as_secs_f64()),
        Unit::Count | Unit::Bytes => write!(text, "{sample}"),
    };
}

/// Everything of a line before its number.
fn start(text: &mut String, name: &str, suffix: &str, labels: &str) {
    text.push_str(name);
    text.push_str(suffix);
    if !labels.is_empty() {
        text.push('{');
        text.push_str(labels);
        text.push('}');
    }
    text.push(' ');
}

/// The labels of one series of `metric`, as they stand in its lines.
pub(super) fn label_text(metric: &Metric, values: &[&str]) -> String {
    assert_eq!(metric.labels.len(), values.len(), "{} has other labels", metric.name);
    let mut text = String::new();
    for (name, value) in metric.labels.iter().zip(values) {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{name}=\"");
        for letter in value.chars() {
            match letter {
                '\\' => text.push_str(r"\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str(r"\n"),
                other => text.push(other),
            }
        }
        text.push('"');
    }
    text
}
