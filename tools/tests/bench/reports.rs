//! What each workload reports.

use serde_json::Value;

use crate::support::{run, thalweg};
use crate::{embedded, support};

/// The report of a workload, of whose broker and files nothing is left.
fn report(workload: &str, options: &[&str]) -> Value {
    let (folder, ran) = embedded(workload, options);
    let report = ran.good().json();
    assert_eq!(report["workload"], workload);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files were left behind");
    for field in ["records_per_second", "bytes_per_second", "client_cpu_seconds_per_gb", "seconds"]
    {
        assert!(report[field].as_f64().is_some_and(|value| value >= 0.0), "{field}: {report}");
    }
    for field in ["kernel", "cpu", "cores", "memory_bytes", "file_system", "fsync", "build"] {
        assert!(!report["machine"][field].is_null(), "{field}: {report}");
    }
    assert_eq!(report["errors"], 0, "{report}");
    assert!(report["broker_cpu_seconds_per_gb"].is_f64(), "{report}");
    // A share is told, or why there is none: a debug build measures nothing.
    let is_void = report["share_of_machine"].is_null();
    assert_eq!(is_void, report["void"].is_string(), "{report}");
    // Cores are watched, or it is told why not. It may be void as well, when others use them meanwhile.
    assert!(report["pauses_us"].is_object() || report["pauses_void"].is_string(), "{report}");
    report
}

/// What the cores let a request wait fits together, however long that was.
fn check_pauses(pauses: &Value) {
    let values: Vec<f64> = ["p50", "p99", "p999", "max"]
        .iter()
        .map(|name| pauses[name].as_f64().unwrap_or_else(|| panic!("{name}: {pauses}")))
        .collect();
    assert!(values.is_sorted() && values[0] >= 0.0, "{pauses}");
    let share = pauses["share"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&share), "{pauses}");
    // Whoever waits does so in a gap.
    assert_eq!(share > 0.0, values[3] > 0.0, "{pauses}");
    // What the host took is a part of it. A kernel may not tell.
    if !pauses["host"].is_null() {
        for name in ["p99", "p999", "max", "share"] {
            let (host, all) = (&pauses["host"][name], &pauses[name]);
            assert!(host.as_f64().unwrap() <= all.as_f64().unwrap(), "{name}: {pauses}");
        }
    }
    assert!(pauses["seconds"].as_f64().unwrap() > 0.0, "{pauses}");
}

/// Percentiles rise, and there are so many samples at least.
fn check_latency(latency: &Value, samples_min: u64) {
    let values: Vec<f64> = ["p50", "p90", "p99", "p999", "p9999", "max"]
        .iter()
        .map(|name| latency[name].as_f64().unwrap_or_else(|| panic!("{name}: {latency}")))
        .collect();
    assert!(values.is_sorted() && values[0] > 0.0, "{latency}");
    assert!(latency["samples"].as_u64().unwrap() >= samples_min, "{latency}");
}

#[test]
fn producers_report_every_record_that_was_acknowledged_and_no_warm_up() {
    let report = report(
        "produce",
        &["--records", "20000", "--producers", "3", "--record-size", "100", "--send-many", "50"],
    );
    assert_eq!(report["records"], 20_000);
    assert_eq!(report["settings"]["durability"], "synced");
    assert!(report["flushes"].as_f64().unwrap() >= 1.0, "{report}");
    assert!(report["fresh"].is_null() && report["fresh_void"].is_string(), "{report}");
    check_latency(&report["latency_us"], 10);
    assert_eq!(report["latency_us"], report["acknowledged_us"]);
    assert!(report["control"]["bytes_per_second"].as_f64().unwrap() > 0.0, "{report}");
}

#[test]
fn the_control_of_writes_without_a_flush_is_the_bare_loop() {
    let options = ["--records", "5000", "--durability", "replicated", "--batch-bytes", "16384"];
    let report = report("produce", &options);
    assert_eq!(report["control"]["what"], "the bare produce loop");
    assert!(report["control"]["expected"].as_f64().unwrap() > 0.0, "{report}");
    assert_eq!(report["fresh"]["what"], "the bare produce loop into new memory");
    assert!(report["fresh"]["bytes_per_second"].as_f64().unwrap() > 0.0, "{report}");
    assert!(report["fresh_void"].is_string(), "a debug build measures nothing: {report}");
}

#[test]
fn with_a_rate_so_many_are_sent_and_each_is_measured() {
    let options = ["--rate", "2000", "--duration", "500ms", "--no-control", "--spread", "record"];
    let report = report("produce", &options);
    assert_eq!(report["records"], 1_000, "{report}");
    assert_eq!(report["latency_us"]["samples"], 1_000, "{report}");
    check_latency(&report["latency_us"], 1_000);
    assert!(report["pauses_void"].as_str().unwrap().contains("--no-control"), "{report}");
}

#[test]
fn beside_the_latency_of_a_rate_stands_how_long_the_cores_stood_still() {
    let rate = ["--rate", "2000", "--duration", "300ms"];
    let produced = report("produce", &rate);
    check_pauses(&produced["pauses_us"]);
    assert!(produced["void"].as_str().unwrap().contains("as fast as the rate"), "{produced}");
    let folder = tempfile::tempdir().unwrap();
    let mut command = thalweg();
    command.args(["bench", "end-to-end", "--embedded", "--data-dir"]).arg(folder.path());
    let ran = run(command.args(rate), b"").good();
    for text in ["core p99", "core p99.9", "core max", "cores still"] {
        assert!(ran.stdout.contains(text), "{text:?} is missing: {ran:?}");
    }
}

#[test]
fn one_at_a_time_is_compared_with_an_echo() {
    let report = report("produce", &["--one-at-a-time", "--records", "300"]);
    check_latency(&report["latency_us"], 300);
    // An answer from a synced topic without a flush for it would be a lie: no two of these can share one.
    assert!(report["flushes"].as_f64().unwrap() >= 300.0, "{report}");
    assert_eq!(report["control"]["what"], "bare echo, each synced");
    assert!(report["pauses_us"].is_null(), "{report}");
    check_latency(&report["control"]["latency_us"], 1);
}

#[test]
fn consumers_read_what_was_written_for_them() {
    let options = ["--records", "20000", "--consumers", "2", "--payload", "half-random"];
    let mut options = options.to_vec();
    options.extend(["--compression", "lz4", "--verify"]);
    let report = report("consume", &options);
    assert_eq!(report["records"], 20_000);
    assert_eq!(
        (&report["verified"]["checked"], &report["is_intact"]),
        (&20_000.into(), &true.into())
    );
    assert_eq!(report["control"]["what"], "the loopback stream");
}

#[test]
fn readers_without_a_number_of_records_go_on_until_the_time_is_over() {
    let options = ["--duration", "1s", "--record-size", "32KiB", "--no-control"];
    let report = report("consume", &options);
    assert!(report["records"].as_u64().unwrap() > 0, "{report}");
    assert!(report["seconds"].as_f64().unwrap() >= 1.0, "{report}");
}

#[test]
fn end_to_end_waits_for_the_reader_of_each_record() {
    let report = report("end-to-end", &["--records", "200", "--partitions", "2", "--verify"]);
    assert_eq!(report["records"], 200);
    check_latency(&report["arrived_us"], 200);
    check_latency(&report["acknowledged_us"], 200);
    assert_eq!(report["latency_us"], report["arrived_us"]);
    assert_eq!(report["is_intact"], true, "{report}");
}

#[test]
fn writers_and_readers_together_lose_nothing() {
    let options = ["--records", "20000", "--producers", "2", "--consumers", "2", "--verify"];
    let report = report("mixed", &options);
    assert_eq!(report["records"], 20_000);
    assert!(report["read_records_per_second"].as_f64().unwrap() > 0.0, "{report}");
    check_latency(&report["arrived_us"], 10);
    // The warm-up is proved, too.
    assert!(report["verified"]["checked"].as_u64().unwrap() >= 20_000, "{report}");
    assert_eq!(report["is_intact"], true, "{report}");
}

#[test]
fn a_broker_that_runs_already_keeps_no_topic_of_the_bench() {
    let folder = tempfile::tempdir().unwrap();
    let broker = support::Broker::start(&folder.path().join("data"));
    let base = ["bench", "produce", "--records", "1000", "--output", "json", "--no-control"];
    let without = broker.run(&base).good().json();
    assert!(without["broker_cpu_seconds_per_gb"].is_null() && without["flushes"].is_null());
    let with = broker.run(&[&base[..], &["--http", &broker.http]].concat()).good().json();
    assert!(with["broker_cpu_seconds_per_gb"].is_f64() && with["flushes"].is_f64(), "{with}");
    let topics = broker.run(&["topic", "list", "--output", "json"]).good().stdout;
    assert!(!topics.contains("bench"), "{topics}");
}

#[test]
fn the_table_tells_people_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = thalweg();
    command.args(["bench", "produce", "--embedded", "--records", "2000", "--data-dir"]);
    let ran = run(command.arg(folder.path()), b"").good();
    for text in ["records/s", "p99.9", "broker CPU", "s/GB", "share of the machine: "] {
        assert!(ran.stdout.contains(text), "{text:?} is missing: {ran:?}");
    }
    let is_warned = ran.stderr.contains("this is a debug build");
    assert_eq!(is_warned, cfg!(debug_assertions), "{ran:?}");
}

#[test]
fn the_machine_is_measured_without_any_broker() {
    let measured = measured(&["machine"], ["20ms", "500ms", "5s"], &|measured| {
        let whats =
            ["copy memory", "page cache", "fdatasync", "loopback", "echo", "bare produce loop"];
        whats.iter().all(|what| has_happened(measured, what))
    });
    check_pauses(&measured["pauses_us"]);
    assert_eq!(measured["figures"][0]["what"], "cores standing still", "{measured}");
}

/// What is measured without a workload, by the first of these times in which something happened: a machine that stands
/// still does nothing in a few milliseconds.
fn measured(args: &[&str], times: [&str; 3], is_enough: &dyn Fn(&Value) -> bool) -> Value {
    for (place, time) in times.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = thalweg();
        command.arg("bench").args(args);
        command.args(["--duration", time, "--output", "json", "--data-dir"]).arg(folder.path());
        let measured = run(&mut command, b"").good().json();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files were left behind");
        if is_enough(&measured) {
            return measured;
        }
        assert!(place < 2, "nothing happens within {time}: {measured}");
    }
    unreachable!("the last time was enough, or the test has failed");
}

/// The first figure whose name contains `what`.
fn figure<'a>(measured: &'a Value, what: &str) -> Option<&'a Value> {
    let mut figures = measured["figures"].as_array().unwrap().iter();
    figures.find(|it| it["what"].as_str().unwrap().contains(what))
}

/// What has not happened is zero, or is not told at all.
fn has_happened(measured: &Value, what: &str) -> bool {
    figure(measured, what).is_some_and(|it| it["value"].as_f64().unwrap() > 0.0)
}

#[test]
fn groups_are_measured_by_every_question() {
    let whats = [
        "commits, one group of one member",
        "a commit, 3 groups of one member, p99",
        "flushes, 3 groups",
        "control: bare echo, each synced, p50",
        "heartbeats, 12 members in 3 groups",
        "until the first group of a new broker is stable",
        "until a group of 10 is stable",
        "longest gap of a kept partition, control",
        "longest gap of a kept partition, members come and go",
        "until all is loaded, 2000 offsets in 1 shard",
        "until all is loaded, 2000 offsets in 50 shards",
    ];
    let args = ["groups", "--groups", "3", "--members", "12", "--partitions", "4"];
    let args = [&args[..], &["--offsets", "2000"]].concat();
    let measured = measured(&args, ["400ms", "2s", "10s"], &|measured| {
        whats.iter().all(|what| has_happened(measured, what))
    });
    assert_eq!(measured["workload"], "groups");
    let figure =
        |what: &str| figure(&measured, what).unwrap_or_else(|| panic!("{what}: {measured}"));
    // A commit of a lone member that no flush stands behind would be answered too early.
    let (commits, flushes) = (figure("commits, one group"), figure("flushes, one group"));
    let (commits, flushes) = (commits["value"].as_f64(), flushes["value"].as_f64());
    assert!(flushes.unwrap() >= commits.unwrap() * 0.9, "{measured}");
    // One for each offset, and one for each of the two groups.
    assert_eq!(figure("records read, 2000 offsets in 1 shard")["value"], 2_002.0);
    assert_eq!(figure("until a group of 10")["aim"], 1.0);
}
