//! A report for people.

use std::io;

use super::chain::Verdict;
use super::latency::Percentiles;
use super::machine::{Control, Machine, Pauses, Waits};
use super::report::Report;
use crate::console::{Console, Paint};
use crate::table::Table;
use crate::values::grouped;

/// Prints a report.
pub(super) fn show(console: &mut Console, report: &Report) -> io::Result<()> {
    let mut table = Table::new(&["measured", "#value", "of"]);
    let mut row = |name: &str, value: String, of: String| table.row([name.to_owned(), value, of]);
    row("records", grouped(report.records), format!("in {:.2} s", report.seconds));
    row("records/s", whole(report.records_per_second), settings(report));
    row("MB/s", decimals(report.bytes_per_second / 1e6), "values alone".to_owned());
    if let Some(read) = report.read_records_per_second {
        row("read/s", whole(read), "records that readers got meanwhile".to_owned());
    }
    if let Some(latency) = &report.latency_us {
        for (name, micros) in named(latency) {
            row(name, decimals(micros), format!("µs, {}", report.latency_of));
        }
    }
    if let Some(pauses) = &report.pauses_us {
        for (name, value, of) in pauses_rows(pauses) {
            row(name, value, of);
        }
    }
    if let ("end-to-end", Some(latency)) = (report.workload, &report.acknowledged_us) {
        row("ack p50", decimals(latency.p50), "µs".to_owned());
        row("ack p99", decimals(latency.p99), "µs".to_owned());
    }
    let cpu = |seconds: Option<f64>| seconds.map_or_else(unknown, |s| format!("{s:.3}"));
    row("broker CPU", cpu(report.broker_cpu_seconds_per_gb), "s/GB".to_owned());
    row("client CPU", cpu(report.client_cpu_seconds_per_gb), "s/GB".to_owned());
    row("flushes", report.flushes.map_or_else(unknown, whole), flushed(report));
    row("errors", grouped(report.errors), errors(report));
    if let Some(verdict) = &report.verified {
        row("verified", grouped(verdict.checked), verified(verdict));
    }
    console.table(&table)?;
    if let Some(error) = &report.first_error {
        let text = console.paint(Paint::Red, &format!("first error: {error}"));
        console.line(&text)?;
    }
    console.line("")?;
    verdict(console, report)?;
    let line = console.paint(Paint::Dim, &machine_line(&report.machine));
    console.line(&line)
}

/// Where a figure was measured.
pub(super) fn machine_line(machine: &Machine) -> String {
    let Machine { cpu, cores, kernel, file_system, folder, build, .. } = machine;
    let folder = folder.display();
    format!("{cpu}, {cores} cores, kernel {kernel}, {file_system} at {folder}, {build} build")
}

/// What the cores alone let a request wait.
pub(super) fn pauses_line(pauses: &Pauses) -> String {
    let told = |waits: &Waits| {
        let Waits { p50, p99, p999, max, .. } = waits;
        format!("p50 {p50:.1} µs, p99 {p99:.1} µs, p99.9 {p999:.1} µs, max {max:.1} µs")
    };
    let all = told(&pauses.all);
    let host = pauses.host.as_ref().map_or_else(unknown, told);
    format!("who comes at any moment to any core waits for it: {all}; for the host alone: {host}")
}

/// Rows of the table: what, how much, and of what.
fn pauses_rows(pauses: &Pauses) -> [(&'static str, String, String); 4] {
    let Pauses { all, host, seconds } = pauses;
    let micros = |name, micros: fn(&Waits) -> f64| {
        let host = host.as_ref().map_or_else(unknown, |host| decimals(micros(host)));
        let of = format!("µs until a core goes on, for who comes then; for the host alone: {host}");
        (name, decimals(micros(all)), of)
    };
    let percent = |waits: &Waits| format!("{:.2} %", waits.share * 100.0);
    let host = host.as_ref().map_or_else(unknown, percent);
    let of = format!("of {seconds} s after the run; for the host alone: {host}");
    [
        micros("core p99", |waits| waits.p99),
        micros("core p99.9", |waits| waits.p999),
        micros("core max", |waits| waits.max),
        ("cores still", percent(all), of),
    ]
}

fn verdict(console: &mut Console, report: &Report) -> io::Result<()> {
    if let Some(control) = &report.control {
        console.line(&control_line(control))?;
    }
    share(console, "share of the machine", report.share_of_machine, report.void.as_deref())?;
    if let (Some(_), Some(reason)) = (&report.pauses_us, &report.pauses_void) {
        console.line(&format!("cores that stand still: void, {reason}"))?;
    }
    let Some(fresh) = &report.fresh else { return Ok(()) };
    console.line(&control_line(fresh))?;
    let void = report.fresh_void.as_deref();
    share(console, "share of it with new memory", report.share_of_fresh, void)
}

fn share(
    console: &mut Console,
    what: &str,
    share: Option<f64>,
    void: Option<&str>,
) -> io::Result<()> {
    let text = match (share, void) {
        (Some(share), _) => console.paint(Paint::Bold, &format!("{what}: {:.1} %", share * 100.0)),
        (None, Some(reason)) => format!("{what}: void, {reason}"),
        (None, None) => format!("{what}: not measured"),
    };
    console.line(&text)
}

fn control_line(control: &Control) -> String {
    let Control { what, latency_us, .. } = control;
    match latency_us {
        Some(latency) => format!(
            "control: {what}: p50 {:.1} µs, p99 {:.1} µs, p99.9 {:.1} µs; this kind of machine: {} µs at p50",
            latency.p50,
            latency.p99,
            latency.p999,
            control.expected.map_or_else(unknown, decimals)
        ),
        None => format!(
            "control: {what}: {} records/s, {:.0} MB/s, {:.3} CPU s/GB both sides; this kind of machine: {} MB/s",
            whole(control.records_per_second),
            control.bytes_per_second / 1e6,
            control.cpu_seconds_per_gb,
            control.expected.map_or_else(unknown, |bytes| whole(bytes / 1e6)),
        ),
    }
}

fn named(latency: &Percentiles) -> [(&'static str, f64); 6] {
    [
        ("p50", latency.p50),
        ("p90", latency.p90),
        ("p99", latency.p99),
        ("p99.9", latency.p999),
        ("p99.99", latency.p9999),
        ("max", latency.max),
    ]
}

fn settings(report: &Report) -> String {
    let it = &report.settings;
    let mut text = format!(
        "{} B, {} partitions, {} producers, acks={}, {}, batches of {} B",
        grouped(i64::try_from(it.record_size).unwrap_or(i64::MAX)),
        it.partitions,
        it.producers,
        it.acks,
        it.durability.unwrap_or("durability not known"),
        grouped(i64::try_from(it.batch_bytes).unwrap_or(i64::MAX)),
    );
    if it.compression != "none" {
        text += ", ";
        text += it.compression;
    }
    if let Some(rate) = it.rate {
        text = format!("{text}, {} records/s asked for", grouped(rate));
    }
    text
}

fn flushed(report: &Report) -> String {
    let bytes = report.bytes_per_flush.map(|bytes| format!("{:.3} MB each", bytes / 1e6));
    let logs = report.logs_per_flush.map(|logs| format!(", of {logs} logs"));
    bytes.unwrap_or_default() + &logs.unwrap_or_default()
}

fn errors(report: &Report) -> String {
    let each = report.errors_by_code.iter().map(|(code, count)| format!("{code}: {count}"));
    each.collect::<Vec<_>>().join(", ")
}

fn verified(verdict: &Verdict) -> String {
    let Verdict { missing, doubled, reordered, changed, .. } = verdict;
    format!("{missing} missing, {doubled} doubled, {reordered} reordered, {changed} changed")
}

fn unknown() -> String {
    "not known".to_owned()
}

/// A rate without fractions, with its thousands apart.
fn whole(number: f64) -> String {
    grouped(format!("{number:.0}").parse::<i64>().unwrap_or(i64::MAX))
}

fn decimals(number: f64) -> String {
    if number >= 10_000.0 { whole(number) } else { format!("{number:.1}") }
}
