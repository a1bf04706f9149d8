//! Groups over all topics of a pattern, and how a member asks for its partitions to be shared out.

use crate::ask::{describe, until};
use crate::broker;
use crate::member::Member;
use crate::support::{Broker, run, thalweg};

fn topic(broker: &Broker, name: &str, lines: &str) {
    broker.run(&["topic", "create", name, "--partitions", "2"]).good();
    broker.run_with(&["produce", name], lines.as_bytes()).good();
}

fn follow(broker: &Broker, args: &[&str]) -> Member {
    let pattern = ["consume", "--pattern", r"orders\..*", "--follow"];
    Member::spawn(&mut broker.command(&[&pattern[..], args].concat()))
}

#[test]
fn a_pattern_means_topics_that_come_later_too() {
    let (_folder, broker) = broker();
    topic(&broker, "orders.eu", "one\n");
    topic(&broker, "payments", "no\n");
    let all = follow(&broker, &["--group", "all", "--format", "json"]);
    // Only what comes from now on: a topic that is made now has nothing else.
    let new = follow(&broker, &["--group", "new", "--from", "end", "--format", "%t %v"]);
    all.wait_for("the first", |said| said.out.len() == 1);
    new.wait_for("places", |said| {
        said.err.iter().filter(|it| it.contains("from offset")).count() == 2
    });
    topic(&broker, "orders.us", "two\n");
    topic(&broker, "my-orders.x", "no\n");
    broker.run_with(&["produce", "orders.eu"], b"three\n").good();
    all.wait_for("all", |said| said.out.len() == 3);
    new.wait_for("what is new", |said| said.out.len() == 2);
    let mut read = new.said().out.clone();
    read.sort_unstable();
    assert_eq!(read, ["orders.eu three", "orders.us two"]);
    let named = |line: &String| {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        format!("{} {}", record["topic"].as_str().unwrap(), record["value"].as_str().unwrap())
    };
    let mut read: Vec<String> = all.said().out.iter().map(named).collect();
    read.sort_unstable();
    assert_eq!(read, ["orders.eu one", "orders.eu three", "orders.us two"]);
}

#[test]
fn a_pattern_without_follow_ends_where_the_topics_end() {
    let (_folder, broker) = broker();
    let read = || broker.run(&["consume", "--pattern", r"orders\..*", "--group", "g"]).good();
    let nothing = read();
    assert!(nothing.stdout.is_empty(), "{nothing:?}");
    assert!(nothing.stderr.contains(r"the topics that match orders\..*"), "{nothing:?}");
    topic(&broker, "orders.eu", "one\n");
    topic(&broker, "orders.us", "two\nthree\n");
    assert_eq!(read().stdout.lines().count(), 3);
}

#[test]
fn members_can_ask_for_neighbours_together() {
    let (_folder, broker) = broker();
    broker.run(&["topic", "create", "events", "--partitions", "6"]).good();
    let start = || Member::start(&broker, "events", "g", &["--assignor", "range"]);
    let members = [start(), start()];
    for member in &members {
        member.id();
    }
    until("halves", || {
        let described = describe(&broker, "g");
        let owners = crate::ask::owners(&described);
        let halves = owners.len() == 6
            && owners[..3].iter().all(|owner| owner.is_some() && *owner == owners[0])
            && owners[3..].iter().all(|owner| owner.is_some() && *owner == owners[3])
            && owners[0] != owners[3];
        (described["assignor"] == "range" && halves).then_some(())
    });
}

#[test]
fn what_does_not_fit_together_is_refused_with_what_is_possible() {
    let (_folder, broker) = broker();
    for (args, texts) in [
        (&["--pattern", "a.*"][..], &["--group"][..]),
        (&["--group", "g"], &["TOPIC"]),
        (&["events", "--pattern", "a.*", "--group", "g"], &["--pattern", "cannot be used with"]),
        (&["events", "--group", "g", "--assignor", "best"], &["sticky", "range"]),
        (&["events", "--assignor", "range"], &["--group"]),
    ] {
        broker.run(&[&["consume"][..], args].concat()).failed(2, texts);
    }
    let bad = ["consume", "--pattern", "orders(", "--group", "g"];
    broker.run(&bad).failed(1, &["orders(", "group g"]);
    for shell in ["bash", "zsh", "fish"] {
        let script = run(thalweg().args(["completions", shell]), b"").good().stdout;
        assert!(script.contains("pattern") && script.contains("assignor"), "{shell}");
    }
}
