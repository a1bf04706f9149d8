//! Proves that the examples do what they say: each runs as its own process against a fake broker.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use support::{Cluster, eventually};
use thalweg_client::{Record, TimestampMs};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// No example takes so long.
const LIMIT: Duration = Duration::from_secs(20);

/// Cargo builds the examples before the tests, into the folder beside theirs.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().unwrap().parent().unwrap();
    target.join("examples").join(name)
}

async fn run(name: &str, arguments: &[&str]) -> (String, String) {
    ended(name, start(name, arguments)).await
}

fn start(name: &str, arguments: &[&str]) -> Child {
    let mut command = Command::new(example(name));
    command.args(arguments).kill_on_drop(true).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

async fn ended(name: &str, child: Child) -> (String, String) {
    let output = timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{name}: {stderr}");
    (stdout, stderr)
}

#[tokio::test]
async fn publish_and_subscribe_pass_on_lines() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 1);
    let broker = cluster.address(0);
    let (_, told) = run("publish", &[&broker, "events", "one", "two"]).await;
    assert_eq!(told, "partition 0 offset 0\npartition 0 offset 1\n");
    let (read, _) = run("subscribe", &[&broker, "events", "all"]).await;
    assert_eq!(read, "0/0 one\n0/1 two\n");
}

#[tokio::test]
async fn admin_creates_grows_and_deletes_a_topic() {
    let cluster = Cluster::start(1).await;
    let (told, _) = run("admin", &[&cluster.address(0)]).await;
    assert!(told.starts_with("created example-admin with 2 partitions\n"), "{told}");
    assert_eq!(told.lines().count(), 4, "{told}");
    assert!(cluster.state().topics.is_empty());
}

#[tokio::test]
async fn a_request_gets_its_reply() {
    let cluster = Cluster::start(1).await;
    let (told, _) = run("request_reply", &[&cluster.address(0)]).await;
    assert_eq!(told, "HOW DEEP IS THE RIVER?\n");
}

/// Ctrl-C.
async fn interrupted(name: &str, child: Child) -> Vec<String> {
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    ended(name, child).await.0.lines().map(str::to_owned).collect()
}

/// Publishes `records` to each of the partitions of `events`, the times counted in seconds from 1 on.
async fn publish(cluster: &Cluster, partitions: i32, records: i64) -> Vec<String> {
    let producer = cluster.client().producer().build().await.unwrap();
    let mut sent = Vec::new();
    for number in 0..records {
        for partition in 0..partitions {
            let value = format!("{partition}-{number}");
            let time = TimestampMs::new(1000 * (number + 1));
            let record = Record::to("events").partition(partition).timestamp(time).value(&value);
            let delivered = producer.send(record).await.unwrap().await.unwrap();
            sent.push(format!("{partition}/{} {value}", delivered.offset));
        }
    }
    producer.close().await.unwrap();
    sent
}

fn committed(cluster: &Cluster) -> i64 {
    cluster.state().groups.offsets.values().map(|(offset, _, _)| *offset).sum()
}

#[tokio::test]
async fn two_workers_share_all_records_and_one_that_ends_leaves_its_share_to_the_other() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 4);
    let broker = cluster.address(0);
    let workers = [(); 2].map(|()| start("worker_pool", &[&broker, "events", "pool"]));
    eventually("sharing", || cluster.state().groups.owned() == [2, 2]).await;
    let mut sent = publish(&cluster, 4, 10).await;
    eventually("committing", || committed(&cluster) == 40).await;

    let [one, two] = workers;
    let mut done = interrupted("worker_pool", one).await;
    assert_eq!(done.len(), 20, "{done:?}");
    assert_eq!(cluster.state().groups.members.len(), 1, "it has left");
    sent.extend(publish(&cluster, 4, 2).await);
    eventually("committing all", || committed(&cluster) == 48).await;
    let others = interrupted("worker_pool", two).await;
    assert_eq!(others.len(), 28, "{others:?}");
    assert!(cluster.state().groups.members.is_empty());

    done.extend(others);
    done.sort();
    sent.sort();
    assert_eq!(done, sent);
}

/// What the table holds, doubles included, as [`publish`] names it.
fn stored(file: &Path) -> Vec<String> {
    let database = rusqlite::Connection::open(file).unwrap();
    let mut select = database.prepare("SELECT part, offset, value FROM results").unwrap();
    let mut rows = select.query([]).unwrap();
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let (part, offset): (i64, i64) = (row.get(0).unwrap(), row.get(1).unwrap());
        lines.push(format!("{part}/{offset} {}", row.get::<_, String>(2).unwrap()));
    }
    lines.sort();
    lines
}

#[tokio::test]
async fn a_table_that_is_written_exactly_once_has_each_record_once_after_kills() {
    let cluster = Cluster::start(2).await;
    cluster.create("events", 2);
    let mut sent = publish(&cluster, 2, 60).await;
    sent.sort();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.db");
    let (broker, path) = (cluster.address(0), file.to_str().unwrap());

    // One partition's records come, the other's are held back: the kill is in the middle, whatever the machine does.
    cluster.state().fetch_gate = Some(Arc::new(Semaphore::new(1)));
    let mut child = start("exactly_once", &[&broker, "events", path]);
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..20 {
        timeout(LIMIT, told.next_line()).await.unwrap().unwrap().unwrap();
    }
    child.kill().await.unwrap();
    cluster.state().fetch_gate = None;
    let before = stored(&file).len();
    assert!((20..=60).contains(&before), "{before} stored before the kill");

    let (rest, _) = run("exactly_once", &[&broker, "events", path]).await;
    assert_eq!(rest.lines().count(), 120 - before, "it went on where the table ended");
    assert_eq!(stored(&file), sent);
    let (nothing, _) = run("exactly_once", &[&broker, "events", path]).await;
    assert_eq!(nothing, "");
    assert_eq!(cluster.state().groups.commits, 0, "no group has a part in it");
}

#[tokio::test]
async fn a_replay_reads_the_records_of_its_time_and_moves_no_committed_offset() {
    let cluster = Cluster::start(1).await;
    cluster.create("events", 2);
    let sent = publish(&cluster, 2, 20).await;
    // Clocks that went back: the same times once more, at later offsets.
    let again = publish(&cluster, 2, 20).await;
    let broker = cluster.address(0);
    let worker = start("worker_pool", &[&broker, "events", "pool"]);
    eventually("committing", || committed(&cluster) == 80).await;
    interrupted("worker_pool", worker).await;
    let kept = || {
        let state = cluster.state();
        (state.groups.offsets.clone(), state.groups.commits)
    };
    let before = kept();

    let (told, _) = run("replay_yesterday", &[&broker, "events", "5000", "12000"]).await;
    let mut told: Vec<_> = told.lines().collect();
    told.sort_unstable();
    // Record 4 is of second 5; the second 12 is not in it any more.
    let mut wanted: Vec<_> = [&sent[8..22], &again[8..22]].concat();
    wanted.sort();
    assert_eq!(told, wanted);
    assert_eq!(kept(), before);
}
