//! The demo: what it claims is so, and it leaves nothing behind.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::{run, thalweg, wait};

#[test]
fn the_demo_shows_the_kill_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let demo = |output: &str| {
        let mut command = thalweg();
        command.args(["demo", "--output", output]).env("TMPDIR", folder.path());
        run(&mut command, b"").good()
    };
    let summary = demo("json").json();
    assert_eq!((&summary["events"], &summary["networks"]), (&1_707.into(), &12.into()));
    assert_eq!((&summary["acknowledged"], &summary["read_back"]), (&3_414.into(), &3_414.into()));
    let at_kill = summary["acknowledged_at_kill"].as_u64().unwrap();
    assert!(at_kill > 0 && at_kill < 1_707, "{summary}");
    let group = &summary["group"];
    assert_eq!((&group["events"], &group["lag_records"]), (&5_121.into(), &0.into()), "{group}");
    let owners = |when: &str| -> BTreeSet<String> {
        group[when].as_array().unwrap().iter().map(ToString::to_string).collect()
    };
    let (before, after) = (owners("owners_before"), owners("owners_after"));
    assert_eq!((before.len(), after.len()), (3, 2), "{group}");
    assert!(after.is_subset(&before), "{group}");

    let text = demo("table").stdout;
    for expected in [
        "1,707 real earthquakes",
        "NETWORK",
        "metrics",
        "end to end",
        "kill -9",
        "each of the 3,414",
        "OWNER BEFORE",
        "each of the 5,121 events was counted at least once",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing: {text}");
    }
    assert!(!text.contains('\x1b'), "colour is for terminals: {text}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a folder was left behind");
    let broker = broker_of(&text);
    assert!(test_kill_process(broker).is_err(), "the broker was left behind");
}

/// The broker's process, as the demo tells it.
fn broker_of(told: &str) -> Pid {
    let digits = told.split("A broker starts: process ").nth(1).unwrap().split(',').next().unwrap();
    Pid::from_raw(digits.parse().unwrap()).unwrap()
}

#[test]
fn a_demo_that_is_interrupted_leaves_nothing_behind_either() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = thalweg()
        .arg("demo")
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("A broker starts: process ")).unwrap();
    let broker = broker_of(&line);
    assert!(test_kill_process(broker).is_ok());
    kill_process(Pid::from_child(&demo), Signal::INT).unwrap();
    assert_eq!(wait(&mut demo).code(), Some(1));
    assert!(test_kill_process(broker).is_err(), "the broker was left behind");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a folder was left behind");
}
