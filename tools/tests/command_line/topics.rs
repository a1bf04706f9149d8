//! Topics: created, listed, described, altered, deleted; refusals name what is wrong.

use crate::broker;

#[test]
fn a_topic_lives_from_create_to_delete() {
    let (_folder, broker) = broker();
    let none = broker.run(&["topic", "list"]).good();
    assert!(none.stderr.contains("there are no topics yet"), "{none:?}");
    let created =
        broker.run(&["topic", "create", "events", "-p", "3", "-c", "retention.ms=1d"]).good();
    assert_eq!(created.stdout, "created topic events with 3 partitions\n");

    let listed = broker.run(&["topic", "list", "--output", "json"]).good().json();
    assert_eq!((&listed[0]["name"], &listed[0]["partitions"]), (&"events".into(), &3.into()));
    let table = broker.run(&["topic", "describe", "events"]).good().stdout;
    assert!(table.contains("HIGH WATERMARK") && table.contains("retention.ms"), "{table}");
    assert!(!table.contains("segment.bytes"), "only what was changed: {table}");
    assert!(
        broker
            .run(&["topic", "describe", "events", "--all"])
            .good()
            .stdout
            .contains("segment.bytes")
    );

    broker
        .run(&[
            "topic",
            "alter",
            "events",
            "-p",
            "5",
            "-c",
            "segment.bytes=2MiB",
            "--reset",
            "retention.ms",
        ])
        .good();
    let described = broker.run(&["topic", "describe", "events", "--output", "json"]).good().json();
    assert_eq!(described["partitions"].as_array().unwrap().len(), 5);
    let config = |key: &str| {
        let configs = described["configs"].as_array().unwrap();
        configs.iter().find(|it| it["key"] == key).unwrap().clone()
    };
    assert_eq!(config("segment.bytes")["source"], "topic");
    assert_eq!(config("retention.ms")["source"], "default");

    broker.run(&["topic", "delete", "events"]).failed(2, &["needs --yes"]);
    broker.run(&["topic", "delete", "events", "--yes"]).good();
    broker.run(&["topic", "describe", "events"]).failed(1, &["events", "`thalweg topic list`"]);
}

#[test]
fn what_cannot_be_done_is_refused_with_its_reason() {
    let (_folder, broker) = broker();
    broker.run(&["topic", "create", "events", "-p", "2"]).good();
    broker
        .run(&["topic", "create", "events"])
        .failed(1, &["events", "`thalweg topic describe NAME`"]);
    broker.run(&["topic", "create", "a/b"]).failed(1, &["a/b"]);
    let misspelt = ["topic", "create", "other", "-c", "retention.msec=1"];
    broker.run(&misspelt).failed(1, &["retention.msec", "did you mean", "retention.ms"]);
    broker
        .run(&["topic", "create", "other", "-c", "retention.ms=soon"])
        .failed(1, &["retention.ms", "soon"]);
    broker.run(&["topic", "alter", "events", "-p", "1"]).failed(1, &["partition"]);
    broker.run(&["topic", "alter", "nope", "-p", "2"]).failed(1, &["nope"]);
    broker.run(&["topic", "delete", "nope", "--yes"]).failed(1, &["nope"]);
}

#[test]
fn validating_changes_nothing() {
    let (_folder, broker) = broker();
    broker.run(&["topic", "create", "events", "--validate"]).good();
    assert_eq!(
        broker.run(&["topic", "list", "--output", "json"]).good().json(),
        serde_json::json!([])
    );
}

#[test]
fn records_below_an_offset_are_deleted() {
    let (_folder, broker) = broker();
    broker.run(&["topic", "create", "events"]).good();
    broker.run_with(&["produce", "events"], b"a\nb\nc\nd\n").good();
    let args = ["topic", "delete-records", "events", "--before", "2", "--output", "json"];
    let starts = broker.run(&args).good().json();
    assert_eq!(starts, serde_json::json!([{"partition": 0, "log_start": 2}]));
    assert_eq!(broker.run(&["consume", "events"]).good().stdout, "c\nd\n");
    broker.run(&["consume", "events", "--from", "0"]).failed(1, &["2", "4"]);
    broker.run(&["topic", "delete-records", "events", "--before", "9"]).failed(1, &["9"]);
    broker
        .run(&["topic", "delete-records", "events", "--before", "end"])
        .failed(2, &["needs --yes"]);
    broker.run(&["topic", "delete-records", "events", "--before", "end", "--yes"]).good();
    assert_eq!(broker.run(&["consume", "events"]).good().stdout, "");
}

#[test]
fn a_compacted_topic_keeps_the_last_record_of_each_key() {
    let (_folder, broker) = broker();
    broker.run(&["topic", "create", "keys", "-c", "cleanup.policy=compact"]).good();
    let lines = b"{\"k\":\"a\",\"n\":1}\n{\"k\":\"b\",\"n\":2}\n{\"k\":\"a\",\"n\":3}\n";
    broker.run_with(&["produce", "keys", "--key-field", "k"], lines).good();
    let args = ["topic", "compact", "keys", "--output", "json"];
    let rows = broker.run(&args).good().json();
    let row = &rows[0];
    assert_eq!((&row["runs"], &row["waits"]), (&1.into(), &false.into()), "{rows}");
    assert_eq!((&row["cleaned_end"], &row["failure"]), (&3.into(), &serde_json::Value::Null));
    let left = broker.run(&["consume", "keys"]).good().stdout;
    assert_eq!(left, "{\"k\":\"b\",\"n\":2}\n{\"k\":\"a\",\"n\":3}\n");
    let table = broker.run(&["topic", "compact", "keys", "--status"]).good().stdout;
    assert!(table.contains("CLEANED TO"), "{table}");
    broker.run(&["topic", "create", "plain"]).good();
    broker.run(&["topic", "compact", "plain"]).failed(1, &["cleanup.policy"]);
    broker.run(&["topic", "compact", "nope"]).failed(1, &["nope"]);
}

#[test]
fn the_cluster_shows_brokers_and_disks() {
    let (folder, broker) = broker();
    let status = broker.run(&["cluster", "status", "--output", "json"]).good().json();
    assert_eq!(status["brokers"].as_array().unwrap().len(), 1);
    let disk = &status["brokers"][0]["directories"][0];
    assert_eq!(disk["state"], "online");
    assert!(disk["path"].as_str().unwrap().ends_with("data"), "{disk}");
    let table = broker.run(&["cluster", "status"]).good().stdout;
    assert!(table.contains(&broker.address) && table.contains("online"), "{table}");
    drop(folder);
}
