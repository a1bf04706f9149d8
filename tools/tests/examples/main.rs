//! Proves the client's examples where their readers will run them: as processes of their own at a real broker, several at
//! once, killed in the middle of their work. `client/tests/examples.rs` has them at a broker that does as it is told.
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

#[path = "../groups/ask.rs"]
mod ask;
#[path = "../groups/member.rs"]
mod member;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::ask::{describe, owners, until};
use crate::member::Member;
use crate::support::{Broker, Ran, run};

/// Cargo builds the examples before the tests, into the folder beside theirs.
fn example(name: &str, broker: &Broker, arguments: &[&str]) -> Command {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().unwrap().parent().unwrap();
    let mut command = Command::new(target.join("examples").join(format!("client-{name}")));
    command.arg(&broker.address).args(arguments);
    command
}

/// A broker, with an empty topic.
fn broker(partitions: &str) -> (TempDir, Broker) {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(&folder.path().join("data"));
    broker.run(&["topic", "create", "events", "--partitions", partitions]).good();
    (folder, broker)
}

/// Keyed records of these numbers.
fn publish(broker: &Broker, numbers: std::ops::Range<u32>) {
    let mut lines = String::new();
    for number in numbers {
        writeln!(lines, "{{\"key\":\"k{}\",\"number\":{number}}}", number % 97).unwrap();
    }
    broker.run_with(&["produce", "events", "--key-field", "key"], lines.as_bytes()).good();
}

/// All records of the topic, as `partition/offset value`.
fn all(broker: &Broker) -> BTreeSet<String> {
    let read = broker.run(&["consume", "events", "--format", "%p/%o %v"]).good();
    read.stdout.lines().map(str::to_owned).collect()
}

fn to_its_end(mut command: Command) -> Ran {
    run(&mut command, b"").good()
}

#[test]
fn workers_of_a_pool_share_all_records_though_one_ends_and_one_is_killed() {
    let (_folder, broker) = broker("6");
    publish(&broker, 0..300);
    let start = || Member::spawn(&mut example("worker-pool", &broker, &["events", "pool"]));
    let mut workers = [start(), start(), start()];
    let shares = |count: usize| {
        // It is no group before its first member has joined.
        let asked = broker.run(&["group", "describe", "pool", "--output", "json"]);
        let described = (asked.code == 0).then(|| asked.json())?;
        let mut shares: BTreeMap<String, usize> = BTreeMap::new();
        for owner in owners(&described).into_iter().flatten() {
            *shares.entry(owner).or_default() += 1;
        }
        let is_all = shares.values().sum::<usize>() == 6 && shares.len() == count;
        (is_all && described["state"] == "stable").then_some(())
    };
    until("a share for each", || shares(3));
    publish(&broker, 300..900);
    let done = |workers: &[Member], count: usize| {
        let read: BTreeSet<String> =
            workers.iter().flat_map(|worker| worker.said().out.clone()).collect();
        // A process asked in between gives the others time.
        describe(&broker, "pool");
        (read.len() >= count).then_some(())
    };
    until("all is worked on", || done(&workers, 900));

    assert_eq!(workers[0].interrupt().code(), Some(0), "{:?}", workers[0].said().err);
    until("two share", || shares(2));
    publish(&broker, 900..1500);
    // In the middle of its work: what it has not committed is another's to do again.
    let before = workers[1].said().out.len();
    workers[1].wait_for("work", |said| said.out.len() > before + 20);
    workers[1].kill();
    until("all is worked on again", || done(&workers, 1500));
    assert_eq!(workers[2].interrupt().code(), Some(0), "{:?}", workers[2].said().err);

    let printed: Vec<String> =
        workers.iter().flat_map(|worker| worker.said().out.clone()).collect();
    let once: BTreeSet<String> = printed.iter().cloned().collect();
    assert_eq!(once, all(&broker));
    // One commit for each record: no more than what each of its partitions had in hand comes twice.
    assert!(printed.len() - once.len() <= 6, "{} came twice", printed.len() - once.len());
    assert_eq!(describe(&broker, "pool")["lag_records"], 0);
}

/// What the table holds, doubles included.
fn stored(file: &Path) -> Vec<String> {
    let database = rusqlite::Connection::open(file).unwrap();
    let mut select = database.prepare("SELECT part, offset, value FROM results").unwrap();
    let rows = select
        .query_map([], |row| {
            let (part, offset): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok(format!("{part}/{offset} {}", row.get::<_, String>(2)?))
        })
        .unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn a_table_has_each_record_once_after_a_kill_and_two_writers_at_a_time() {
    let (folder, broker) = broker("3");
    publish(&broker, 0..400);
    let start = |file: &Path| example("exactly-once", &broker, &["events", file.to_str().unwrap()]);
    let in_the_middle = |turn: u32| {
        let file = folder.path().join(format!("results-{turn}.db"));
        let mut killed = Member::spawn(&mut start(&file));
        killed.wait_for("half of the work", |said| said.out.len() >= 150);
        killed.kill();
        let before = stored(&file).len();
        assert!(before >= 150, "{before} stored of what was told");
        (before < 400).then_some(file)
    };
    // Where this process stands still at the wrong moment, the other one is done before it can be killed.
    let file = (0..20).find_map(in_the_middle).expect("no kill fell in the middle of the work");

    let mut pair = [Member::spawn(&mut start(&file)), Member::spawn(&mut start(&file))];
    for one in &mut pair {
        assert!(one.end().success(), "{:?}", one.said().err);
    }
    let rows = stored(&file);
    let table: BTreeSet<String> = rows.iter().cloned().collect();
    assert_eq!((rows.len(), table), (400, all(&broker)));
    assert_eq!(to_its_end(start(&file)).stdout, "", "nothing is left");
}

#[test]
fn a_replay_has_the_events_of_its_time_and_moves_no_group() {
    const EVENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/earthquakes.jsonl");
    const DAY: std::ops::Range<i64> = 1_517_702_400_000..1_517_788_800_000;
    let (_folder, broker) = broker("3");
    let fields = ["--key-field", "properties.net", "--timestamp-field", "properties.time"];
    broker.run(&[&["produce", "events", "--file", EVENTS][..], &fields].concat()).good();
    broker.run(&["consume", "events", "--group", "g", "--count", "100"]).good();
    let kept = || {
        let described = describe(&broker, "g");
        let partitions = described["partitions"].as_array().unwrap();
        partitions.iter().map(|it| (it["committed"].clone(), it["committed_at"].clone())).collect()
    };
    let before: Vec<_> = kept();

    let (from, until) = (DAY.start.to_string(), DAY.end.to_string());
    let told = to_its_end(example("replay-yesterday", &broker, &["events", &from, &until])).stdout;
    let told: BTreeSet<&str> = told.lines().collect();
    let read = broker.run(&["consume", "events", "--format", "%T %p/%o %v"]).good().stdout;
    let timed = read.lines().map(|line| line.split_once(' ').unwrap());
    let of_day = timed.filter(|(time, _)| DAY.contains(&time.parse().unwrap()));
    let expected: BTreeSet<&str> = of_day.map(|(_, line)| line).collect();
    assert!(!expected.is_empty(), "no event of that day");
    assert_eq!(told, expected);
    assert_eq!(kept(), before);
}

#[test]
fn the_program_of_the_front_page_does_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(&folder.path().join("data"));
    let mut program = Member::spawn(&mut example("front-page", &broker, &[]));
    program.wait_for("its record", |said| said.out.len() == 2);
    let lines = program.said().out.clone();
    assert!(lines[0].starts_with("partition ") && lines[0].ends_with(" offset 0"), "{lines:?}");
    assert_eq!(lines[1], "0 Some(b\"hello\")");
    program.kill();
}

/// The lines of the first block of code on the front page, hidden ones as well, and of the example: without indentation,
/// and but for where the broker is.
#[test]
fn the_front_page_is_the_program_that_runs() {
    const PAGE: &str = include_str!("../../../client/src/lib.rs");
    const PROGRAM: &str = include_str!("../../../client/examples/front_page.rs");
    let documented = PAGE.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let block = documented.skip_while(|line| !line.starts_with("```")).skip(1);
    let page: Vec<String> = block
        .take_while(|line| !line.starts_with("```"))
        .map(|line| line.strip_prefix("# ").unwrap_or(line).to_owned())
        .collect();
    let program: Vec<String> = PROGRAM
        .lines()
        .skip_while(|line| !line.starts_with("use "))
        .map(|line| line.trim().replace("bootstrap(broker)", "bootstrap(\"127.0.0.1:9092\")"))
        .filter(|line| !line.starts_with("let broker = "))
        .collect();
    assert!(page.len() > 15, "{page:?}");
    assert_eq!(page, program);
}
