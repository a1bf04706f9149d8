//! Publishing and reading: keys, timestamps, headers, codecs, formats, where to begin and where to end.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::mpsc;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::{Broker, DEADLINE, Ran, wait};
use crate::{EARTHQUAKES, broker};

fn create(broker: &Broker, partitions: &str) {
    broker.run(&["topic", "create", "events", "--partitions", partitions]).good();
}

fn produce(broker: &Broker, args: &[&str], input: &[u8]) -> Ran {
    broker.run_with(&[&["produce", "events"], args].concat(), input)
}

fn consume(broker: &Broker, args: &[&str]) -> Ran {
    broker.run(&[&["consume", "events"], args].concat())
}

#[test]
fn earthquakes_come_back_in_order_per_network() {
    let (_folder, broker) = broker();
    create(&broker, "3");
    let args = [
        "--file",
        EARTHQUAKES,
        "--key-field",
        "properties.net",
        "--timestamp-field",
        "properties.time",
    ];
    let published = produce(&broker, &args, b"").good();
    assert!(published.stderr.contains("published 1,707 records"), "{published:?}");
    assert_eq!(published.stdout, "");

    let ten =
        consume(&broker, &["--from", "beginning", "--count", "10", "--format", "json"]).good();
    assert_eq!(ten.json_lines().len(), 10);
    let mut published: Vec<(String, String)> = Vec::new();
    for line in std::fs::read_to_string(EARTHQUAKES).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        published.push((event["properties"]["net"].as_str().unwrap().to_owned(), line.to_owned()));
    }
    let mut read: Vec<(String, String)> = Vec::new();
    for record in consume(&broker, &["--format", "json"]).good().json_lines() {
        let event: Value = serde_json::from_str(record["value"].as_str().unwrap()).unwrap();
        assert_eq!(record["timestamp"], event["properties"]["time"]);
        let text = |key: &str| record[key].as_str().unwrap().to_owned();
        read.push((text("key"), text("value")));
    }
    // Stable: the order within a network stays.
    published.sort_by(|one, other| one.0.cmp(&other.0));
    read.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(published == read, "the events differ");
}

#[test]
fn every_codec_and_every_acknowledgement_work() {
    let (_folder, broker) = broker();
    create(&broker, "1");
    let mut expected = String::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        for acks in ["none", "leader", "all"] {
            let line = format!("{codec} {acks}\n");
            produce(&broker, &["--compression", codec, "--acks", acks], line.as_bytes()).good();
            expected += &line;
        }
    }
    assert_eq!(consume(&broker, &["--count", "15"]).good().stdout, expected);
}

#[test]
fn json_has_key_value_and_headers_in_order() {
    let (_folder, broker) = broker();
    create(&broker, "1");
    let args = [
        "--key-field",
        "id",
        "--timestamp-field",
        "at",
        "--header",
        "b=1",
        "--header",
        "a=2",
        "--header",
        "b=3",
    ];
    let line = r#"{"id":7,"at":"2018-02-01T00:00:00Z"}"#;
    produce(&broker, &args, line.as_bytes()).good();
    let expected = json!({
        "partition": 0, "offset": 0, "timestamp": 1_517_443_200_000_i64, "key": "7", "value": line,
        "headers": [["b", "1"], ["a", "2"], ["b", "3"]],
    });
    let read = consume(&broker, &["--format", "json"]).good();
    assert_eq!(read.json_lines(), [expected]);
    let order =
        ["\"partition\"", "\"offset\"", "\"timestamp\"", "\"key\"", "\"value\"", "\"headers\""];
    let places: Vec<usize> = order.iter().map(|name| read.stdout.find(name).unwrap()).collect();
    assert!(places.is_sorted(), "{read:?}");
    let base64 = consume(&broker, &["--format", "json", "--encoding", "base64"]).good();
    assert_eq!(base64.json_lines()[0]["key"], "Nw==");
    assert_eq!(consume(&broker, &["--output", "json"]).good().stdout, read.stdout);
}

#[test]
fn patterns_print_fields() {
    let (_folder, broker) = broker();
    create(&broker, "1");
    produce(&broker, &["--key-field", "k", "--header", "h=x"], br#"{"k":"a"}"#).good();
    let pattern = consume(&broker, &["--format", "%t/%p/%o %k %v %h 100%%"]).good();
    assert_eq!(pattern.stdout, "events/0/0 a {\"k\":\"a\"} h=x 100%\n");
    assert_eq!(consume(&broker, &["--format", "%k\\t%o\\n"]).good().stdout, "a\t0\n");
}

#[test]
fn bytes_that_are_no_text_survive() {
    let (_folder, broker) = broker();
    create(&broker, "1");
    produce(&broker, &[], b"\xff\x00\xfe\n").good();
    let base64 = consume(&broker, &["--encoding", "base64"]).good();
    assert_eq!(base64.stdout, "/wD+\n");
    let shown = consume(&broker, &["--format", "json"]).good();
    assert!(shown.stderr.contains("--encoding base64 keeps them"), "{shown:?}");
}

#[test]
fn reading_begins_where_it_is_told() {
    let (_folder, broker) = broker();
    create(&broker, "1");
    let days: Vec<String> = (1..10).map(|day| format!("{{\"at\":\"2018-02-0{day}\"}}")).collect();
    produce(&broker, &["--timestamp-field", "at"], days.join("\n").as_bytes()).good();
    let offsets = |from: &str| {
        let read = consume(&broker, &["--from", from, "--format", "%o"]).good();
        read.stdout.lines().map(|line| line.parse::<i64>().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(offsets("beginning"), (0..9).collect::<Vec<_>>());
    assert_eq!(offsets("5"), [5, 6, 7, 8]);
    assert_eq!(offsets("2018-02-08"), [7, 8]);
    assert_eq!(offsets("2018-02-07T00:00:00.001Z"), [7, 8]);
    assert_eq!(offsets("@1517961600000"), [6, 7, 8]);
    assert!(offsets("end").is_empty() && offsets("9").is_empty() && offsets("1h").is_empty());
    consume(&broker, &["--from", "4711"]).failed(1, &["4711", "0", "9"]);
    consume(&broker, &["--partition", "3"]).failed(1, &["events has no partition 3, only 0 to 0"]);
    consume(&broker, &["--count", "0"]).good();
}

#[test]
fn a_line_without_the_field_is_named_and_those_before_are_delivered() {
    let (_folder, broker) = broker();
    create(&broker, "1");
    let input = b"{\"a\":{\"b\":1}}\n{\"a\":{\"c\":2}}\n";
    let ran = produce(&broker, &["--key-field", "a.b"], input);
    ran.failed(1, &["line 2", "there is no field \"a.b\": \"a\" has c"]);
    produce(&broker, &["--key-field", "a"], b"no json\n").failed(1, &["line 1", "not JSON"]);
    produce(&broker, &["--key-field", "a"], input)
        .failed(1, &["is an object", "choose one of its fields: b"]);
    produce(&broker, &["--partition", "7"], b"x\n")
        .failed(1, &["line 1", "partition 7", "1 partitions"]);
    produce(&broker, &["--file", "no-such-file"], b"").failed(1, &["cannot open no-such-file"]);
    broker
        .run_with(&["produce", "nope"], b"x\n")
        .failed(1, &["nope", "`thalweg topic create NAME` makes one"]);
    assert_eq!(consume(&broker, &["--format", "%k"]).good().stdout, "1\n");
}

#[test]
fn compressed_files_and_several_files_are_read() {
    let (folder, broker) = broker();
    create(&broker, "1");
    let (gz, plain) = (folder.path().join("a.jsonl.gz"), folder.path().join("b.txt"));
    let mut encoder = GzEncoder::new(std::fs::File::create(&gz).unwrap(), Compression::fast());
    encoder.write_all(b"one\ntwo\n").unwrap();
    encoder.finish().unwrap();
    std::fs::write(&plain, "three\n\nlast without end").unwrap();
    let args =
        ["--file", gz.to_str().unwrap(), "--file", plain.to_str().unwrap(), "--output", "json"];
    let summary = produce(&broker, &args, b"").good().json();
    assert_eq!((&summary["records"], &summary["topic"]), (&5.into(), &"events".into()));
    assert_eq!(consume(&broker, &[]).good().stdout, "one\ntwo\nthree\n\nlast without end\n");
}

#[test]
fn following_prints_records_as_they_come() {
    let (_folder, broker) = broker();
    create(&broker, "1");
    let mut follow = broker
        .command(&["consume", "events", "--from", "beginning", "--follow", "--count", "3"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (sender, lines) = mpsc::channel();
    let stdout = follow.stdout.take().unwrap();
    std::thread::spawn(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    for line in ["one", "two", "three"] {
        produce(&broker, &[], line.as_bytes()).good();
        // It must come before the next is published.
        assert_eq!(lines.recv_timeout(DEADLINE).as_deref(), Ok(line));
    }
    assert!(wait(&mut follow).success());
}

#[test]
fn a_line_typed_goes_out_before_the_next() {
    let (_folder, broker) = broker();
    create(&broker, "1");
    let mut typing = broker
        .command(&["produce", "events"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = typing.stdin.take().unwrap();
    for line in ["one", "two"] {
        writeln!(stdin, "{line}").unwrap();
        while !consume(&broker, &[]).good().stdout.ends_with(&format!("{line}\n")) {
            assert_eq!(typing.try_wait().unwrap(), None);
        }
    }
    drop(stdin);
    assert!(wait(&mut typing).success());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (_folder, broker) = broker();
    create(&broker, "1");
    let many: Vec<String> = (0..50_000).map(|number| format!("line {number}")).collect();
    produce(&broker, &[], many.join("\n").as_bytes()).good();
    let mut reading = broker
        .command(&["consume", "events"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(reading.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "line 0\n");
    let mut errors = String::new();
    std::io::Read::read_to_string(&mut reading.stderr.take().unwrap(), &mut errors).unwrap();
    assert!(wait(&mut reading).success() && errors.is_empty(), "{errors}");
}
