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

use std::path::PathBuf;

use support::Cluster;

/// Cargo builds the examples before the tests, into the folder beside theirs.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().unwrap().parent().unwrap();
    target.join("examples").join(name)
}

async fn run(name: &str, arguments: &[&str]) -> (String, String) {
    let output =
        tokio::process::Command::new(example(name)).args(arguments).kill_on_drop(true).output();
    let limit = std::time::Duration::from_secs(20);
    let output = tokio::time::timeout(limit, output).await.unwrap().unwrap();
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
