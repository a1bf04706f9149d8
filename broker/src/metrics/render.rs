//! Prometheus' text format, version 0.0.4.

use std::fmt::{self, Write};

use super::names::{Kind, Metric, Unit};
use super::registry::{Family, Value};
use super::series::Histogram;

/// The content type of the text that [`super::Registry::render`] makes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All of `families`, each with its help and type.
pub(super) fn text<'a>(families: impl Iterator<Item = &'a Family>) -> String {
    let mut text = String::new();
    for family in families.filter(|family| !family.series.is_empty()) {
        // Writing to a String cannot fail.
        let _ = write_family(&mut text, family);
    }
    text
}

fn write_family(text: &mut String, family: &Family) -> fmt::Result {
    let metric = family.metric;
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    writeln!(text, "# HELP {} {}", metric.name, metric.help)?;
    writeln!(text, "# TYPE {} {kind}", metric.name)?;
    for (labels, series) in &family.series {
        match &series.value {
            Value::Counter(counter) => {
                write_line(text, metric, "", labels, None, i128::from(counter.get()))?;
            }
            Value::Gauge(gauge) => {
                write_line(text, metric, "", labels, None, i128::from(gauge.get()))?;
            }
            Value::Histogram(histogram) => write_histogram(text, metric, labels, histogram)?,
        }
    }
    Ok(())
}

fn write_histogram(
    text: &mut String,
    metric: &Metric,
    labels: &[String],
    histogram: &Histogram,
) -> fmt::Result {
    let mut all = 0;
    for (bound, count) in histogram.cumulative() {
        let bound = bound.map_or_else(
            || "+Inf".to_owned(),
            |bound| Number { raw: i128::from(bound), unit: metric.unit }.to_string(),
        );
        write_head(text, metric, "_bucket", labels, Some(&bound))?;
        writeln!(text, "{count}")?;
        all = count;
    }
    write_line(text, metric, "_sum", labels, None, i128::from(histogram.sum()))?;
    // The same reading as the last bucket: Prometheus wants them equal.
    write_head(text, metric, "_count", labels, None)?;
    writeln!(text, "{all}")
}

fn write_line(
    text: &mut String,
    metric: &Metric,
    suffix: &str,
    labels: &[String],
    bound: Option<&str>,
    raw: i128,
) -> fmt::Result {
    write_head(text, metric, suffix, labels, bound)?;
    writeln!(text, "{}", Number { raw, unit: metric.unit })
}

/// Name and labels, up to the space before the number.
fn write_head(
    text: &mut String,
    metric: &Metric,
    suffix: &str,
    labels: &[String],
    bound: Option<&str>,
) -> fmt::Result {
    write!(text, "{}{suffix}", metric.name)?;
    let named = metric.labels.iter().copied().zip(labels.iter().map(String::as_str));
    let mut separator = '{';
    for (name, value) in named.chain(bound.map(|bound| ("le", bound))) {
        write!(text, "{separator}{name}=\"{}\"", Escaped(value))?;
        separator = ',';
    }
    text.push_str(if separator == '{' { " " } else { "} " });
    Ok(())
}

/// Nanoseconds in a second.
const SECOND: u128 = 1_000_000_000;

/// A number in the unit that people see: nanoseconds become seconds, without rounding.
struct Number {
    raw: i128,
    unit: Unit,
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unit != Unit::Seconds {
            return write!(f, "{}", self.raw);
        }
        let sign = if self.raw < 0 { "-" } else { "" };
        let (whole, rest) = (self.raw.unsigned_abs() / SECOND, self.raw.unsigned_abs() % SECOND);
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{rest:09}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}
