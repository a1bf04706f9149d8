//! Offsets go where a reset says, by the events' own timestamps; without `--execute` nothing changes; refusals name
//! who is in the way.

use crate::ask::describe;
use crate::member::Member;
use crate::support::Broker;
use crate::{EVENTS, broker_with_earthquakes, committed};

/// Noon of a day in the middle of the events.
const MOMENT: &str = "2018-02-04T12:00:00Z";
const MOMENT_MS: i64 = 1_517_745_600_000;

fn read_all(broker: &Broker, group: &str) -> Vec<[i64; 3]> {
    let read = broker.run(&["consume", "earthquakes", "--group", group, "--format", "%p %o %T"]);
    let numbers = |line: &str| -> [i64; 3] {
        let words: Vec<i64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
        words.try_into().unwrap()
    };
    read.good().stdout.lines().map(numbers).collect()
}

fn reset(broker: &Broker, args: &[&str]) -> serde_json::Value {
    broker.run(&[&["group", "reset", "g", "--output", "json"][..], args].concat()).good().json()
}

#[test]
fn a_reset_to_a_moment_brings_back_what_happened_since() {
    let (_folder, broker) = broker_with_earthquakes();
    let all = read_all(&broker, "g");
    assert_eq!(all.len(), EVENTS);
    let before = committed(&broker, "g");

    // What it would do is what a count says, and it does not do it.
    let planned = reset(&broker, &["--to-time", MOMENT]);
    assert_eq!((&planned["executed"], committed(&broker, "g")), (&false.into(), before.clone()));
    for one in planned["partitions"].as_array().unwrap() {
        let partition = one["partition"].as_i64().unwrap();
        let since = |line: &&[i64; 3]| line[0] == partition && line[2] >= MOMENT_MS;
        let first = all.iter().filter(since).map(|line| line[1]).min();
        assert_eq!(one["after"].as_i64(), first.or(one["log_end"].as_i64()), "{one}");
        assert_eq!(one["before"].as_i64(), before[usize::try_from(partition).unwrap()]);
    }
    let told = broker.run(&["group", "reset", "g", "--to-time", MOMENT]).good();
    assert!(told.stderr.contains("nothing was changed: --execute does it"), "{told:?}");

    let done = reset(&broker, &["--to-time", MOMENT, "--execute"]);
    assert_eq!((&done["executed"], &done["partitions"]), (&true.into(), &planned["partitions"]));
    let mut again = read_all(&broker, "g");
    let mut expected: Vec<[i64; 3]> = all.into_iter().filter(|line| line[2] >= MOMENT_MS).collect();
    again.sort_unstable();
    expected.sort_unstable();
    assert!(expected.len() > 100 && expected.len() < EVENTS);
    assert_eq!(again, expected, "exactly what happened since then");
}

#[test]
fn offsets_move_by_every_way_that_there_is_and_back_from_a_file() {
    let (folder, broker) = broker_with_earthquakes();
    read_all(&broker, "g");
    let ends = committed(&broker, "g");
    let file = folder.path().join("before.csv");
    let file = file.to_str().unwrap();

    reset(&broker, &["--to-earliest", "--export", file, "--execute"]);
    assert_eq!(committed(&broker, "g"), [Some(0); 3]);
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.starts_with("topic,partition,offset\nearthquakes,0,"), "{text}");
    reset(&broker, &["--from-file", file, "--topic", "earthquakes:1", "--execute"]);
    assert_eq!(committed(&broker, "g"), [Some(0), ends[1], Some(0)]);
    reset(&broker, &["--from-file", file, "--execute"]);
    assert_eq!(committed(&broker, "g"), ends);

    reset(&broker, &["--shift-by", "-5", "--topic", "earthquakes:0,2", "--execute"]);
    let back = |end: Option<i64>| end.map(|end| end - 5);
    assert_eq!(committed(&broker, "g"), [back(ends[0]), ends[1], back(ends[2])]);
    reset(&broker, &["--to-offset", "3", "--execute"]);
    assert_eq!(committed(&broker, "g"), [Some(3); 3]);
    reset(&broker, &["--to-latest", "--execute"]);
    assert_eq!(committed(&broker, "g"), ends);
    // All of it happened in 2018.
    reset(&broker, &["--by-duration", "365000d", "--execute"]);
    assert_eq!(committed(&broker, "g"), [Some(0); 3]);
    let beyond = reset(&broker, &["--to-offset", "99999"]);
    let one = &beyond["partitions"][0];
    assert_eq!(
        (one["after"].as_i64(), &one["note"]),
        (ends[0], &"99999 is beyond the log end".into())
    );

    let described = ["group", "describe", "g", "--export", "-"];
    let printed = broker.run(&described).good().stdout;
    assert_eq!(printed.lines().count(), 4, "{printed}");
    // A group that nobody knows yet is told where to begin.
    let fresh =
        ["group", "reset", "new", "--topic", "earthquakes", "--to-offset", "7", "--execute"];
    broker.run(&fresh).good();
    assert_eq!(committed(&broker, "new"), [Some(7); 3]);
}

#[test]
fn what_must_not_be_done_is_refused_with_who_is_in_the_way() {
    let (folder, broker) = broker_with_earthquakes();
    let mut member = Member::start(&broker, "earthquakes", "g", &[]);
    member.wait_for("all events", |said| said.out.len() == EVENTS);
    let id = member.id();
    let before = describe(&broker, "g")["partitions"].clone();
    let who = [&id[..8], "thalweg-cli"];
    let reset = ["group", "reset", "g", "--topic", "earthquakes", "--to-earliest"];
    let told = broker.run(&reset).good();
    assert!(told.stderr.contains("but not while the group has members"), "{told:?}");
    broker.run(&[&reset[..], &["--execute"]].concat()).failed(1, &who);
    let after = describe(&broker, "g")["partitions"].clone();
    for (one, other) in before.as_array().unwrap().iter().zip(after.as_array().unwrap()) {
        assert!(other["committed"].as_i64() >= one["committed"].as_i64(), "{one} {other}");
    }
    broker.run(&["group", "delete", "g"]).failed(2, &["--yes", "group g with its"]);
    broker.run(&["group", "delete", "g", "--yes"]).failed(1, &["group not empty"]);
    let offsets = ["group", "delete-offsets", "g", "--topic", "earthquakes:0", "--yes"];
    broker.run(&offsets).failed(1, &["group not empty", "subscribed to topic earthquakes;"]);
    let listed = broker.run(&["group", "list", "--output", "json"]).good().json();
    assert_eq!((&listed[0]["group"], &listed[0]["members"]), (&"g".into(), &1.into()));

    assert_eq!(member.interrupt().code(), Some(0));
    let file = folder.path().join("bad.csv");
    std::fs::write(&file, "topic,partition,offset\nearthquakes,0,here\n").unwrap();
    let file = file.to_str().unwrap();
    broker
        .run(&["group", "reset", "g", "--from-file", file])
        .failed(1, &["bad.csv: line 2: \"here\" is no offset"]);
    broker
        .run(&["group", "reset", "g", "--topic", "earthquakes:9", "--to-latest"])
        .failed(1, &["topic earthquakes has no partition 9, only 0 to 2"]);
    broker
        .run(&["group", "reset", "g", "--topic", "no", "--to-latest"])
        .failed(1, &["unknown topic"]);
    broker.run(&["group", "reset", "who", "--to-latest"]).failed(1, &["is not known", "--topic"]);
    broker.run(&["group", "describe", "who"]).failed(1, &["unknown group"]);

    broker.run(&offsets).good();
    assert_eq!(
        describe(&broker, "g")["partitions"][0]["partition"],
        1,
        "the first one is forgotten"
    );
    broker.run(&["group", "delete", "g", "--yes"]).good();
    broker.run(&["group", "describe", "g"]).failed(1, &["unknown group"]);
    assert!(broker.run(&["group", "list"]).good().stderr.contains("there are no groups yet"));
}

#[test]
fn a_timestamp_that_is_none_names_its_line() {
    let (_folder, broker) = broker_with_earthquakes();
    let lines = b"{\"t\":1517443200000}\n{\"t\":\"2018-02-01T00:00:00Z\"}\n{\"t\":\"soon\"}\n";
    broker
        .run_with(&["produce", "earthquakes", "--timestamp-field", "t"], lines)
        .failed(1, &["line 3: field \"t\" is \"soon\", which is no moment", "milliseconds"]);
    broker
        .run_with(&["produce", "earthquakes", "--timestamp-field", "t"], b"{\"u\":1}\n")
        .failed(1, &["line 1: there is no field \"t\": it has u"]);
}
