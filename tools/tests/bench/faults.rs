//! Faults that are planted, and what the bench says of them.

use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{self, Broker, DEADLINE, wait};

/// A topic with 3,000 records of a verified run: the bench takes a topic that is there as it is, and leaves it there.
fn written() -> (tempfile::TempDir, Broker) {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(&folder.path().join("data"));
    broker.run(&["topic", "create", "written", "--partitions", "2"]).good();
    let options =
        ["--topic", "written", "--records", "3000", "--warm-up", "0", "--spread", "record"];
    let base = ["bench", "produce", "--verify", "--no-control", "--output", "json"];
    let report = broker.run(&[&base[..], &options].concat()).good().json();
    assert_eq!(
        (&report["verified"]["checked"], &report["is_intact"]),
        (&3_000.into(), &true.into())
    );
    (folder, broker)
}

/// What `look` finds as soon as there is something.
fn until<T>(look: impl Fn() -> Option<T>) -> T {
    const PAUSE: Duration = Duration::from_millis(5);
    // Nobody sends: each receiving is a pause.
    let (_sender, never) = mpsc::channel::<()>();
    let looks = DEADLINE.as_millis() / PAUSE.as_millis();
    let found =
        (0..looks).find_map(|_| look().or_else(|| never.recv_timeout(PAUSE).err().and(None)));
    found.unwrap_or_else(|| panic!("nothing came within {DEADLINE:?}"))
}

/// The first child of a process.
fn child_of(pid: u32) -> Option<Pid> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
}

fn verify(broker: &Broker) -> support::Ran {
    let base = ["bench", "consume", "--topic", "written", "--verify", "--no-control"];
    broker.run(&[&base[..], &["--warm-up", "0", "--records", "3000", "--output", "json"]].concat())
}

#[test]
fn records_that_are_gone_are_missed() {
    let (_folder, broker) = written();
    let before = verify(&broker).good().json();
    assert_eq!(
        (&before["verified"]["checked"], &before["is_intact"]),
        (&3_000.into(), &true.into())
    );
    broker
        .run(&["topic", "delete-records", "written", "--before", "100", "--partition", "1"])
        .good();
    let ran = verify(&broker).failed(1, &["records are missing, doubled, reordered or changed"]);
    let after = ran.json();
    assert_eq!((&after["verified"]["missing"], &after["is_intact"]), (&100.into(), &false.into()));
}

#[test]
fn records_of_others_in_the_topic_are_no_fault() {
    let (_folder, broker) = written();
    broker.run_with(&["produce", "written"], b"somebody else's line\n").good();
    let report = verify(&broker).good().json();
    assert_eq!(
        (&report["verified"]["checked"], &report["is_intact"]),
        (&3_000.into(), &true.into())
    );
}

#[test]
fn errors_are_counted_by_code_and_the_run_ends_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(&folder.path().join("data"));
    // One record is larger than the topic takes.
    let small = ["topic", "create", "small", "--config", "max.message.bytes=2048"];
    broker.run(&small).good();
    let base = ["bench", "produce", "--topic", "small", "--no-control", "--output", "json"];
    let options = ["--record-size", "4096", "--records", "200", "--warm-up", "0"];
    let report = broker.run(&[&base[..], &options].concat()).good().json();
    assert_eq!((&report["errors"], &report["records"]), (&200.into(), &0.into()), "{report}");
    let codes = report["errors_by_code"].as_object().unwrap();
    assert_eq!(codes.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), 200, "{report}");
    assert!(report["first_error"].as_str().unwrap().contains("2048"), "{report}");
}

#[test]
fn a_run_that_is_interrupted_leaves_no_broker_and_no_file_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = support::thalweg();
    bench.args(["bench", "produce", "--embedded", "--duration", "10min", "--rate", "100"]);
    bench.args(["--no-control", "--data-dir"]).arg(folder.path());
    let mut bench = bench.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let log = until(|| {
        let run = std::fs::read_dir(folder.path()).unwrap().next()?.unwrap().path();
        std::fs::read_dir(run.join("data")).ok()?.next().map(|_| run.join("broker.log"))
    });
    let broker = until(|| child_of(bench.id()));
    kill_process(Pid::from_child(&bench), Signal::TERM).unwrap();
    assert_eq!(wait(&mut bench).code(), Some(1));
    assert!(!log.exists(), "files were left behind");
    assert!(rustix::process::test_kill_process(broker).is_err(), "the broker was left behind");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a folder was left behind");
}
