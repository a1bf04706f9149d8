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

#[path = "../groups/ask.rs"]
mod ask;
mod documents;
#[path = "../groups/member.rs"]
mod member;
#[path = "../support/mod.rs"]
mod support;
mod terminal;

use rustix::process::Signal;

use crate::member::Member;
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
    top.until("brokers", |screen| {
        screen.contains("ADDRESS") && screen.contains("up") && screen.contains(&broker.address)
    });
    top.press("2");
    top.until("the group", |screen| screen.contains("readers") && screen.contains("BEHIND"));
    top.press("\r");
    top.until("its partitions", |screen| {
        ["group readers", "HEARTBEAT", "OWNER"].iter().all(|part| screen.contains(part))
    });
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

/// Two members of a group, known by their names.
pub fn members(broker: &Broker) -> [Member; 2] {
    let members = ["north", "south"].map(|name| {
        Member::start(broker, "quakes", "readers", &["--instance", name, "--session-timeout", "5m"])
    });
    for member in &members {
        member.id();
    }
    members
}

#[test]
fn a_group_with_members_shows_who_reads_what() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(&folder.path().join("data"));
    traffic(&broker);
    let [_north, mut south] = members(&broker);
    let mut top = Terminal::start(&mut broker.command(&["top", "--interval", "100ms"]));
    top.until("topics", |screen| screen.contains("quakes"));
    top.press("2");
    top.until("two members", |screen| {
        screen.lines().any(|line| line.starts_with("readers") && line.contains("stable  "))
    });
    top.press("\r");
    let owned = |screen: &str, name: &str| {
        let rows = screen.lines().filter(|line| line.starts_with("readers"));
        rows.filter(|line| line.trim_end().ends_with(name)).count()
    };
    let both = |screen: &str| owned(screen, "north") >= 1 && owned(screen, "south") >= 1;
    // A screen comes in pieces.
    let parts = ["MEMBER", "HEARTBEAT", "thalweg-cli", "127.0.0.1"];
    top.until("owners", |screen| both(screen) && parts.iter().all(|part| screen.contains(part)));
    // A static member is waited for; one that is gone for good leaves its partitions to the other.
    assert_eq!(south.interrupt().code(), Some(0));
    top.press("q");
    assert_eq!(top.end(), 0);
}

#[test]
fn a_window_can_be_made_smaller_and_larger() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(&folder.path().join("data"));
    traffic(&broker);
    let mut top = Terminal::start(&mut broker.command(&["top", "--interval", "100ms"]));
    top.until("the keys below", |screen| screen.lines().nth(23).is_some_and(is_help));
    top.resize(10, 50);
    top.until("ten lines", |screen| {
        let is_readable = screen.contains("quakes") && screen.contains("BYTES/S");
        is_readable && screen.lines().nth(9).is_some_and(is_help)
    });
    top.resize(40, 120);
    top.until("forty lines", |screen| {
        let is_whole = screen.contains("quakes") && screen.contains("i internal");
        is_whole && screen.lines().nth(39).is_some_and(is_help)
    });
    // Smaller than anything useful: it must not break.
    top.resize(2, 8);
    top.resize(24, 80);
    top.until("the old size", |screen| screen.lines().nth(23).is_some_and(is_help));
    top.press("q");
    assert_eq!(top.end(), 0);
    assert!(top.is_restored());
}

fn is_help(line: &str) -> bool {
    line.starts_with("q quit")
}

#[test]
fn the_terminal_is_as_it_was_after_signals_and_after_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(&folder.path().join("data"));
    traffic(&broker);
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut top = Terminal::start(&mut broker.command(&["top", "--interval", "100ms"]));
        top.until("a topic", |screen| screen.contains("quakes"));
        top.signal(signal);
        assert_eq!(top.end(), 0, "{signal:?}");
        assert!(top.is_restored(), "{signal:?}");
    }
    let mut top = Terminal::start(&mut broker.command(&["top", "--interval", "100ms"]));
    top.until("a topic", |screen| screen.contains("quakes"));
    top.press("\x03");
    assert_eq!(top.end(), 0);
    assert!(top.is_restored());

    let mut breaking = broker.command(&["top", "--interval", "100ms"]);
    breaking.env("THALWEG_TOP_BREAKS", "yes");
    let mut top = Terminal::start(&mut breaking);
    assert_eq!(top.end(), 101, "a panic");
    assert!(top.is_restored());
    top.until("the panic's message", |screen| screen.contains("panicked at"));
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
