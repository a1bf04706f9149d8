//! Proves that `thalweg top` can be read and driven: the built binary in a real terminal of 80 columns and 24 lines,
//! whose screen is read as a person would see it, while a broker works, dies and comes back.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

#[path = "../support/mod.rs"]
mod support;
mod terminal;

use rustix::process::Signal;

use crate::support::Broker;
use crate::terminal::Terminal;

fn traffic(broker: &Broker) {
    for topic in ["quakes", "alarms"] {
        broker.run(&["topic", "create", topic, "--partitions", "3"]).good();
    }
    broker.run_with(&["produce", "quakes"], b"one\ntwo\nthree\n").good();
}

#[test]
fn pages_are_sorted_filtered_opened_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(&folder.path().join("data"));
    traffic(&broker);
    let reader = ["consume", "quakes", "--group", "readers", "--from", "beginning", "--count", "3"];
    broker.run(&reader).good();
    let mut top = Terminal::start(&mut broker.command(&["top", "--interval", "100ms"]));
    top.until("both topics", |screen| screen.contains("quakes") && screen.contains("alarms"));
    top.press("/qua");
    top.until("the filter", |screen| screen.contains("filter: qua") && !screen.contains("alarms"));
    top.press("\r\r");
    top.until("partitions", |screen| screen.contains("topic quakes") && screen.contains("IN SYNC"));
    top.press("\x7f");
    top.until("all topics again", |screen| screen.contains("alarms"));
    top.press("4");
    let screen = top.until("brokers", |screen| screen.contains("ADDRESS") && screen.contains("up"));
    assert!(screen.contains(&broker.address), "{screen}");
    top.press("2");
    top.until("the group", |screen| screen.contains("readers") && screen.contains("BEHIND"));
    top.press("\r");
    let screen = top.until("its partitions", |screen| screen.contains("group readers"));
    assert!(screen.contains("HEARTBEAT") && screen.contains("OWNER"), "{screen}");
    top.press("q");
    assert_eq!(top.end(), 0);
    assert!(top.is_restored());
}

#[test]
fn a_broker_that_is_killed_leaves_old_figures_and_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(&folder.path().join("data"));
    traffic(&broker);
    let command = &["top", "--interval", "100ms", "--timeout", "1s"];
    let mut top = Terminal::start(&mut broker.command(command));
    top.until("a topic", |screen| screen.contains("quakes"));
    broker.kill();
    top.until("silence", |screen| screen.contains("NO ANSWER") && screen.contains("quakes"));
    let _again = broker.restart();
    top.until("an answer", |screen| !screen.contains("NO ANSWER") && screen.contains("quakes"));
    top.signal(Signal::TERM);
    assert_eq!(top.end(), 0);
    assert!(top.is_restored());
}

#[test]
fn without_a_terminal_one_snapshot_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(&folder.path().join("data"));
    traffic(&broker);
    let table = broker.run(&["top", "--interval", "100ms"]).good().stdout;
    assert!(table.contains("quakes") && table.contains("ADDRESS"), "{table}");
    let json =
        broker.run(&["top", "--once", "--interval", "100ms", "--output", "json"]).good().json();
    let names: Vec<_> = json["topics"].as_array().unwrap().iter().map(|it| &it["topic"]).collect();
    assert!(names.contains(&&"quakes".into()), "{json}");
    broker.run(&["top", "--interval", "1ms"]).failed(2, &["at least 100ms"]);
}
