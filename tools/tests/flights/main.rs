//! Proves that one running `thalweg produce` survives a kill of the broker: real flights go in on its standard
//! input, the broker is killed with SIGKILL in the middle and started again, the command ends with exit code 0, and
//! everything comes back equal, in order per key, each exactly once.
//!
//! The lines are the first 20,000 of the U.S. Bureau of Transportation Statistics' flights of January 2001 (U.S.
//! government data; from the package `vega-datasets` 3.2.1), in `tests/data/`. `FLIGHTS` names another file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::mpsc;

use serde_json::Value;

use crate::support::{Broker, DEADLINE, wait};

fn lines() -> Vec<String> {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/flights.jsonl.gz");
    let file = std::env::var("FLIGHTS").unwrap_or_else(|_| own.to_owned());
    let mut text = String::new();
    let file = std::fs::File::open(file).unwrap();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn by_origin<'a>(pairs: impl Iterator<Item = (String, &'a str)>) -> BTreeMap<String, Vec<&'a str>> {
    let mut map: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (key, value) in pairs {
        map.entry(key).or_default().push(value);
    }
    map
}

#[test]
fn one_running_produce_spans_a_kill_of_the_broker_and_nothing_is_lost_doubled_or_reordered() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(&folder.path().join("data"));
    broker.run(&["topic", "create", "flights", "--partitions", "3"]).good();
    let lines = lines();
    let half = lines.len() / 2;
    assert!(half >= 10_000, "the flights are missing");

    let mut produce = broker
        .command(&["produce", "flights", "--key-field", "origin", "--batch-bytes", "16KiB"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = produce.stdin.take().unwrap();
    let (first, second) = (lines[..half].join("\n") + "\n", lines[half..].join("\n") + "\n");
    let (killed, go_on) = mpsc::channel();
    let writing = std::thread::spawn(move || {
        stdin.write_all(first.as_bytes()).unwrap();
        // The second half comes when the broker is dead: the command runs on without it.
        go_on.recv_timeout(DEADLINE).unwrap();
        stdin.write_all(second.as_bytes()).unwrap();
    });
    while broker.records("flights") == 0 {
        assert_eq!(produce.try_wait().unwrap(), None, "the command has ended too early");
    }
    broker.kill();
    killed.send(()).unwrap();
    let broker = broker.restart();
    writing.join().unwrap();
    let status = wait(&mut produce);
    let mut told = String::new();
    produce.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(status.success(), "{told}");
    assert!(told.contains("published"), "{told}");

    let read = broker.run(&["consume", "flights", "--format", "json"]).good();
    let records: Vec<Value> = read.json_lines();
    let found = by_origin(
        records
            .iter()
            .map(|it| (it["key"].as_str().unwrap().to_owned(), it["value"].as_str().unwrap())),
    );
    let origin = |line: &String| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["origin"].as_str().unwrap().to_owned()
    };
    let expected = by_origin(lines.iter().map(|line| (origin(line), line.as_str())));
    assert_eq!(records.len(), lines.len());
    assert!(found == expected, "flights differ from what was published");
}
