//! No more file handles: connections are refused one by one, logs go on rolling, and all is well again when there are
//! handles.

use std::net::TcpStream;
use std::process::Command;

use crate::support::{Broker, say, thalweg};
use crate::traffic::{Ledger, client, create, holds, publish_many, read, runtime};

const TOPIC: &str = "rolling";

/// Far fewer than `connections_max`.
const DESCRIPTORS: u32 = 400;

#[test]
fn without_file_handles_connections_are_refused_and_logs_go_on() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    let thalweg = thalweg();
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -n {DESCRIPTORS}; exec \"$0\" \"$@\"")])
        .arg(thalweg.get_program())
        .args(["serve", "--output", "json", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .args(["--set", "storage.free_bytes_min=1MiB", "--data-dir"])
        .arg(&data);
    let mut broker = Broker::spawn(&mut command, &data);
    let metrics = broker.metrics();
    let allowed = metrics.sum("process_max_fds", "");
    assert!((allowed - f64::from(DESCRIPTORS)).abs() < 0.5, "vacuous: {allowed} are allowed");
    // The operator is told.
    broker.log_until("ulimit -n");

    let (runtime, mut ledger) = (runtime(), Ledger::new());
    let client = client(&broker);
    runtime.block_on(create(
        &client,
        TOPIC,
        8,
        &[("segment.bytes", "65536"), ("max.message.bytes", "8192")],
    ));
    let strangers: Vec<_> =
        (0..DESCRIPTORS + 100).filter_map(|_| TcpStream::connect(&broker.address).ok()).collect();
    broker.metrics_until("some are refused", |now| {
        now.sum("thalweg_connections_closed_total", "connections_max") > 0.0
    });
    // Segments are made, rolled, synced and read while no further connection has a place.
    for partition in 0..8 {
        runtime.block_on(publish_many(&client, TOPIC, partition, 300, 1_000, &mut ledger));
    }
    holds(&runtime.block_on(read(&client, TOPIC, false)), &ledger);
    let metrics = broker.metrics();
    let refused = metrics.sum("thalweg_connections_closed_total", "connections_max");
    assert!(metrics.sum("thalweg_log_directory_state", "offline") < 1.0, "{}", broker.log());
    assert_eq!(broker.get("/readyz").0, 200, "{}", broker.log());
    drop(strangers);
    broker.metrics_until("the places are free", |now| now.sum("thalweg_connections", "") < 20.0);
    // A new client comes in.
    assert_eq!(usize::try_from(broker.records(TOPIC)).unwrap(), ledger.len());
    say(&format!(
        "FAULTS descriptors: {DESCRIPTORS} allowed, {refused} connections refused, {} records over 8 rolling partitions",
        ledger.len()
    ));
    assert_eq!(broker.stop(), 0);
}
