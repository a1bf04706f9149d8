//! The broker's process: what it refuses, what it announces, how it stops.

use rustix::process::Signal;

use crate::broker;
use crate::support::{Broker, run, thalweg};

#[test]
fn settings_that_are_wrong_are_all_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broker.toml");
    std::fs::write(&file, "node_id = 1\nnode_idd = 2\n[limits]\nframe_bytes_max = \"1B\"\n")
        .unwrap();
    let mut command = thalweg();
    command
        .args(["serve", "--set", "storage.flush_thread=2", "--set", "oops", "--config"])
        .arg(&file);
    let texts = [
        "broker.toml:2",
        "node_idd",
        "did you mean \"node_id\"",
        "frame_bytes_max",
        "storage.flush_threads",
        "write it as key=value",
    ];
    run(&mut command, b"").failed(2, &texts);
    run(thalweg().args(["serve", "--listen", "nonsense"]), b"")
        .failed(2, &["--listen", "nonsense"]);
    run(thalweg().args(["serve", "--config", "no-such.toml"]), b"").failed(2, &["no-such.toml"]);
    run(thalweg().arg("serve").env("THALWEG_NODE_IDD", "2"), b"")
        .failed(2, &["THALWEG_NODE_IDD", "node_id"]);
}

#[test]
fn a_second_broker_on_the_same_folder_or_port_is_refused() {
    let (folder, broker) = broker();
    let data = folder.path().join("data");
    let serve = |listen: &str, http: &str, data: &std::path::Path| {
        let mut command = thalweg();
        command.args(["serve", "--listen", listen, "--http", http, "--data-dir"]).arg(data);
        run(&mut command, b"")
    };
    let other = folder.path().join("other");
    serve("127.0.0.1:0", "off", &data).failed(1, &[data.to_str().unwrap()]);
    serve(&broker.address, "off", &other).failed(1, &[&broker.address, "choose another port"]);
    serve("127.0.0.1:0", &broker.http, &other).failed(1, &[&broker.http]);
    // The one that runs is none the worse for it.
    broker.run(&["topic", "create", "events"]).good();
}

#[test]
fn a_foreign_folder_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("precious.txt"), "mine").unwrap();
    let mut command = thalweg();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--http", "off", "--data-dir"])
        .arg(folder.path());
    run(&mut command, b"").failed(1, &[folder.path().to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(folder.path().join("precious.txt")).unwrap(), "mine");
}

#[test]
fn sigterm_and_sigint_stop_clean_and_what_was_published_is_there_again() {
    let (folder, mut broker) = broker();
    broker.run(&["topic", "create", "events"]).good();
    for (signal, line) in [(Signal::TERM, "one"), (Signal::INT, "two")] {
        broker.run_with(&["produce", "events"], line.as_bytes()).good();
        broker.signal(signal);
        assert_eq!(broker.stop_after_signal(), 0, "{}", broker.log());
        assert!(folder.path().join("data/clean-stop").exists(), "{}", broker.log());
        broker = broker.restart();
    }
    assert_eq!(broker.run(&["consume", "events"]).good().stdout, "one\ntwo\n");
}

#[test]
fn it_says_where_it_listens_and_where_metrics_are() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(&folder.path().join("data"));
    broker.log_until(&format!("listens on {}", broker.address));
    broker.log_until(&format!("http://{}/metrics", broker.http));
    assert_eq!(broker.stop(), 0);
}

#[test]
fn several_listeners_several_disks_and_json_logs_are_taken_from_options() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let mut command = thalweg();
    command
        .args([
            "serve",
            "--output",
            "json",
            "--http",
            "off",
            "--node-id",
            "7",
            "--set",
            "log.format=json",
        ])
        .args([
            "--set",
            "storage.free_bytes_min=1MiB",
            "--listen",
            "127.0.0.1:0",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
        ])
        .arg(&one)
        .arg("--data-dir")
        .arg(&two);
    let broker = Broker::spawn(&mut command, &one);
    let [first, second] = &*broker.addresses else { panic!("{:?}", broker.addresses) };
    assert!(*first == broker.address && first != second, "{first} {second}");
    assert_eq!(broker.http, "");
    let status =
        broker.run(&["cluster", "status", "--broker", second, "--output", "json"]).good().json();
    assert_eq!(status["brokers"][0]["id"], 7);
    assert_eq!(status["brokers"][0]["directories"].as_array().unwrap().len(), 2);
    for line in broker.log().lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}
